"""Tripleseat, a source of bookings: its webhooks, its events, its API."""
