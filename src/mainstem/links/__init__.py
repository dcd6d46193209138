"""Tracked links: short addresses, where they lead, and the clicks on them."""
