"""Webhooks: events signed and delivered to the endpoints of a tenant, retried, healed, replayed."""
