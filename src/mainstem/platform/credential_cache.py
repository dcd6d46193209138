"""What the database said about a credential, remembered for a moment.

Promises: an answer is used as fresh for at most `fresh_s` from the moment it was asked for, so that a
revocation works everywhere within that time; at most one question per credential is on its way; refusals are
remembered too, in a bounded map; while the database is away, an answer lives on for up to `stale_s`.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from mainstem.platform.db import is_transient
from mainstem.platform.errors import UnavailableError

FRESH_S: Final = 2.0
REFUSED_S: Final = 1.0
STALE_S: Final = 24 * 3_600.0
RETRY_S: Final = 1.0
MOST_ENTRIES: Final = 50_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Known(Generic[V]):
    value: V
    asked_at: float
    fresh_until: float


class CredentialCache(Generic[K, V]):
    """Answers of `ask` by credential; for one event loop."""

    def __init__(self, ask: Callable[[K], Awaitable[V | None]], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep the question, which returns None for a refusal, and the clock in seconds."""
        self._ask = ask
        self._clock = clock
        self._known: OrderedDict[K, _Known[V]] = OrderedDict()
        self._refused: OrderedDict[K, float] = OrderedDict()
        self._asking: dict[K, asyncio.Task[V | None]] = {}

    def fresh(self, key: K) -> V | None:
        """Return a fresh known answer, or None; no I/O."""
        known = self._known.get(key)
        return known.value if known is not None and self._clock() < known.fresh_until else None

    async def get(self, key: K) -> V | None:
        """Return the answer, None for a refusal.

        Raises UnavailableError when the database is away and there is no earlier answer.
        """
        value = self.fresh(key)
        if value is not None:
            return value
        if self._clock() < self._refused.get(key, 0.0):
            return None
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._refresh(key))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        # a caller that goes away must not take the answer from the others
        return await asyncio.shield(task)

    def forget(self, key: K) -> None:
        """Ask again next time: this process knows of a change."""
        self._known.pop(key, None)

    async def _refresh(self, key: K) -> V | None:
        asked_at = self._clock()
        try:
            value = await self._ask(key)
        except Exception as error:
            if not is_transient(error):
                raise
            return self._stale(key, error)
        if value is None:
            self._known.pop(key, None)
            _keep(self._refused, key, asked_at + REFUSED_S)
        else:
            _keep(self._known, key, _Known(value, asked_at, asked_at + FRESH_S))
        return value

    def _stale(self, key: K, error: Exception) -> V:
        known = self._known.get(key)
        now = self._clock()
        if known is None or now - known.asked_at > STALE_S:
            message = "Credentials can't be checked right now."
            raise UnavailableError(message, retry_after_s=2) from error
        known.fresh_until = now + RETRY_S
        return known.value

    def _finished(self, key: K, task: asyncio.Task[V | None]) -> None:
        self._asking.pop(key, None)
        # read here, because every waiter may be gone by now
        if not task.cancelled():
            task.exception()


T = TypeVar("T")


def _keep(entries: OrderedDict[K, T], key: K, value: T) -> None:
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > MOST_ENTRIES:
        entries.popitem(last=False)
