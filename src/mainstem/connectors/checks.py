"""What `mainstem vault check` asks about the roll-up of bookings."""

from typing import Final

from mainstem.platform.db import load_queries
from mainstem.vault.engine.checks import Check

_sql: Final = load_queries("mainstem.connectors", "checks.sql")

CHECKS: Final = (
    Check(name="roll-up", subject="business.booking_day", count=_sql["days"], examples=_sql["days_examples"]),
)
"""The roll-up against the vault."""
