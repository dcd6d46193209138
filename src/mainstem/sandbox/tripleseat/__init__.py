"""A stand-in for Tripleseat: OAuth 2.0, events, search, endpoints of webhooks, and the webhooks themselves."""
