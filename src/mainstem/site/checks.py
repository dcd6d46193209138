"""What `mainstem vault check` asks about the business layer of site events."""

from typing import Final

from mainstem.platform.db import load_queries
from mainstem.vault.engine.checks import Check

_sql: Final = load_queries("mainstem.site", "checks.sql")

CHECKS: Final = (
    Check(
        name="roll-up",
        subject="business.site_hour",
        count=_sql["hours"],
        examples=_sql["hours_examples"],
        takes="recent",
    ),
)
"""Roll-ups against facts."""
