"""Connectors: bookings of one system as orders of another, exactly once."""
