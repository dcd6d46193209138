"""What a process does again and again in the background: none of it ends because the database is away for a while."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from mainstem.platform import metrics
from mainstem.platform.db import is_transient
from mainstem.platform.log import capture

Step = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


class Steps:
    """Tasks of one owner, and how their failures are taken."""

    def __init__(self, on_away: Callable[[], None]) -> None:
        """Keep whom to tell when a step found the database away."""
        self._on_away = on_away
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Let something run in the background."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def every(self, seconds: float, step: Step, name: str) -> None:
        """Take a step again and again, `seconds` after the one before."""

        async def repeat() -> None:
            while True:
                await asyncio.sleep(seconds)
                await self.take(step)

        self.begin(repeat(), name)

    async def take(self, step: Step) -> bool:
        """Take a step; tell whether it went well. Raises nothing."""
        try:
            await step()
        except Exception as error:
            if is_transient(error):
                log.debug("live_step_away", error=str(error))
                self._on_away()
            else:
                log.exception("live_step_failed")
                metrics.unexpected_error(error)
                capture(error)
            return False
        return True

    async def stop(self) -> None:
        """End all tasks."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
