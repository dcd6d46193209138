"""Mainstem: one customer from click to visit to booking to order to follow-up, on one PostgreSQL."""

__version__ = "0.1.0"
