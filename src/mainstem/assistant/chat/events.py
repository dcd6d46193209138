"""What is told of an answer while it is made: kept in rows where somebody reads along, so that any process can tell it again."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final

_FLUSH_CHARACTERS: Final = 40
_FLUSH_S: Final = 0.05


class Event(StrEnum):
    """Names of the events of a stream."""

    STARTED = "message.started"
    TOOL_CALL = "tool.call"
    TOOL_RESULT = "tool.result"
    TEXT = "text.delta"
    APPROVAL = "approval.needed"
    COMPLETED = "message.completed"
    ERROR = "error"


ENDS: Final = (Event.COMPLETED, Event.ERROR)
Keep = Callable[[str, Any], Awaitable[None]]
"""Writes an event down."""


class Bell:
    """Wakes those in this process who read along; those in others look for themselves."""

    def __init__(self) -> None:
        """Begin without anybody."""
        self._waiting: dict[int, set[asyncio.Event]] = defaultdict(set)

    def ring(self, message_id: int) -> None:
        """Tell that there is news of an answer."""
        for one in self._waiting.get(message_id, ()):
            one.set()

    async def wait(self, message_id: int, timeout_s: float) -> None:
        """Return at the next news, or after a while: news of other processes don't ring here."""
        own = asyncio.Event()
        self._waiting[message_id].add(own)
        try:
            async with asyncio.timeout(timeout_s):
                await own.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting[message_id].discard(own)
            if not self._waiting[message_id]:
                del self._waiting[message_id]


class Teller:
    """Tells of one answer: its text in portions of some size, everything in order."""

    def __init__(self, keep: Keep) -> None:
        """Take where to write events."""
        self._keep = keep
        self._waiting = ""
        self._flushed = time.monotonic()
        self.text = ""
        """All that was said."""

    async def say(self, words: str) -> None:
        """Tell the next words."""
        if not words:
            return
        self.text += words
        self._waiting += words
        if len(self._waiting) >= _FLUSH_CHARACTERS or time.monotonic() - self._flushed >= _FLUSH_S:
            await self.flush()

    async def tell(self, name: str, data: Any) -> None:  # noqa: ANN401 - JSON
        """Tell an event, after the words before it."""
        await self.flush()
        await self._keep(name, data)

    async def flush(self) -> None:
        """Tell the words that wait."""
        words, self._waiting = self._waiting, ""
        self._flushed = time.monotonic()
        if words:
            await self._keep(Event.TEXT, {"text": words})
