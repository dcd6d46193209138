"""What `mainstem vault check` asks about the statistics of links."""

from typing import Final

from mainstem.platform.db import load_queries
from mainstem.vault.engine.checks import Check

_sql: Final = load_queries("mainstem.links", "checks.sql")

CHECKS: Final = (
    Check(
        name="roll-up",
        subject="business.link_time",
        count=_sql["times"],
        examples=_sql["times_examples"],
        takes="recent",
    ),
)
"""Roll-ups against facts."""
