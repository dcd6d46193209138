"""Revel, a sink for orders: its API, and orders made by its cart or its resources."""
