"""Fixtures of the spine's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from events.landing import StartIntake

from mainstem.events.intake import Intake
from mainstem.events.log import PostgresLog
from mainstem.events.spool import Spool


@pytest.fixture
async def start_intake(dsn: str, tmp_path: Path) -> AsyncIterator[StartIntake]:
    """Return a starter of intakes on the test's database, with the spool in the test's folder."""
    started: list[Intake] = []

    async def start(url: str = dsn, *, spool: Spool | None = None, commit_timeout_s: float = 5.0) -> Intake:
        intake = Intake(PostgresLog(url), spool or Spool(tmp_path / "spool"), commit_timeout_s=commit_timeout_s)
        await intake.start()
        started.append(intake)
        return intake

    yield start
    for intake in started:
        await intake.stop()
