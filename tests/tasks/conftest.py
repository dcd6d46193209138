"""Fixtures of the tests of tasks."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from tasks.desk import open_office

from mainstem.events.model import RawEvent


@pytest.fixture
async def office(dsn, tmp_path, connection):
    """Yield an application with no people yet."""
    async with open_office(dsn, tmp_path, connection) as found:
        yield found


@pytest.fixture
def raw_task():
    """Return a function that makes a raw event of a task."""

    def make(kind: str, data: str) -> RawEvent:
        now = datetime(2026, 5, 1, tzinfo=UTC)
        return RawEvent(1, now, 1, uuid4(), kind, now, "tasks", None, "x", None, None, None, 0, data)

    return make
