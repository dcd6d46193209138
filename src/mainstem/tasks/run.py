"""The working part of tasks: reminders that are due, and tasks of events that met rules."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from mainstem.pii.store import Subjects
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Pool, is_transient
from mainstem.platform.outbox import Outbox
from mainstem.tasks.matching import Matcher, make_due
from mainstem.tasks.remind import Reminders

EVERY_S: Final = 2.0
"""Longest pause: reminders are this late at most."""
log = structlog.get_logger(__name__)


class Chores:
    """What a working process does for tasks."""

    def __init__(self, pool: Pool, subjects: Subjects, outbox: Outbox, *, url: str, zone: str) -> None:
        """Keep a worker pool, the keys of people, where mails go, the address and the zone of this hub."""
        self._pool = pool
        self._subjects = subjects
        self._reminders = Reminders(subjects, outbox, url)
        self._zone = ZoneInfo(zone)
        self._wake = asyncio.Event()
        self.matcher = Matcher()

    def nudge(self) -> None:
        """Say that something may be due."""
        self._wake.set()

    async def once(self, now: Callable[[], datetime] = utc_now) -> int:
        """Do what is due; return how much that was."""
        done = 0
        while made := await make_due(self._pool, self._subjects, self._zone, now):
            done += made
        while sent := await self._reminders.send_due(self._pool, now):
            done += sent
        return done

    async def run(self, stop: asyncio.Event) -> None:
        """Do what is due until `stop` is set; a database that is away is waited for."""
        ends = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    await self.once()
                except Exception as error:
                    if is_transient(error):
                        log.warning("tasks_postponed", reason=type(error).__name__)
                    else:
                        log.exception("tasks_failed")
                wakes = asyncio.create_task(self._wake.wait())
                await asyncio.wait({wakes, ends}, timeout=EVERY_S, return_when=asyncio.FIRST_COMPLETED)
                wakes.cancel()
                with suppress(asyncio.CancelledError):
                    await wakes
        finally:
            ends.cancel()
