"""Webhooks on their way: sent, sent again, and what faults do to them. The same for both services."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mainstem.platform.addresses import Network
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.outbound import Outbound, OutboundError
from mainstem.sandbox.config import Config
from mainstem.sandbox.faults import Fault, Faults, Kind

ATTEMPTS: Final = 6
"""The first, and five more."""
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A webhook to be sent."""

    service: str
    name: str
    """The trigger, or the kind of event."""
    about: int
    """Id of the event or order."""
    place: int
    """Site or establishment."""
    endpoint: int
    url: str
    body: bytes
    sign: Callable[[bytes, int, bool], Mapping[str, str]]
    """Headers for the body at a Unix second; with True the signature is wrong."""
    accepts: Callable[[int], bool]
    """Whether a status means that it has arrived."""
    wanted: Callable[[], bool] = lambda: True
    """Whether the endpoint is still switched on."""
    told: Callable[[bool], None] = lambda _arrived: None
    """Called with how each attempt ended."""


@dataclass(slots=True)
class Attempt:
    """One try."""

    at: str
    headers: dict[str, str]
    status: int | None = None
    error: str | None = None


@dataclass(slots=True)
class Delivery:
    """A letter and what became of it."""

    number: int
    letter: Letter
    fault: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    state: str = "pending"
    """pending, then delivered, failed, dropped or disabled."""

    def shown(self) -> dict[str, Any]:
        """Return it for an answer."""
        letter = self.letter
        return {
            "id": self.number,
            "service": letter.service,
            "trigger": letter.name,
            "about": letter.about,
            "place": letter.place,
            "endpoint_id": letter.endpoint,
            "url": letter.url,
            "body": letter.body.decode(),
            "state": self.state,
            "fault": self.fault,
            "attempts": [
                {"at": attempt.at, "headers": attempt.headers, "status": attempt.status, "error": attempt.error}
                for attempt in self.attempts
            ],
        }


class Sender:
    """Sends letters, each by a task of its own, and keeps what became of them."""

    def __init__(self, config: Callable[[], Config], faults: Faults, allow: Iterable[Network]) -> None:
        """Keep how to behave; `allow` are the networks that receivers may be in."""
        self._config, self._faults = config, faults
        self._outbound = Outbound(allow)
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: defaultdict[str, list[asyncio.Event]] = defaultdict(list)
        self.deliveries: list[Delivery] = []
        self._next = 1

    def send(self, letter: Letter) -> Delivery:
        """Put a letter on its way."""
        delivery = Delivery(self._next, letter)
        self._next += 1
        self.deliveries.append(delivery)
        fault = self._faults.draw(letter.service, "POST", f"/webhooks/{letter.place}/{letter.name}", of_webhooks=True)
        delivery.fault = None if fault is None else str(fault.kind)
        task = asyncio.create_task(self._deliver(delivery, fault))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return delivery

    async def settled(self, timeout_s: float) -> bool:
        """Return True when nothing is on its way, False when that took too long."""
        while self._tasks:
            _, left = await asyncio.wait(set(self._tasks), timeout=timeout_s)
            if left:
                return False
        return True

    async def clear(self) -> None:
        """Give up what is on its way, and forget all."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.deliveries.clear()
        self._held.clear()

    async def close(self) -> None:
        """Stop, and close all connections."""
        await self.clear()
        await self._outbound.close()

    async def _deliver(self, delivery: Delivery, fault: Fault | None) -> None:
        url = delivery.letter.url
        kind = None if fault is None else fault.kind
        if kind is Kind.WEBHOOK_DROPPED:
            delivery.state = "dropped"
            return
        if fault is not None and kind is Kind.WEBHOOK_OUT_OF_ORDER:
            await self._overtaken(url, fault.lasts_s)
        await self._try(delivery, wrong=kind is Kind.WEBHOOK_WRONG_SIGNATURE)
        if kind is Kind.WEBHOOK_DUPLICATED:
            await self._try(delivery, wrong=False)
        for waiting in self._held.pop(url, []):
            waiting.set()

    async def _overtaken(self, url: str, most_s: float) -> None:
        """Return when a later letter to the same receiver has gone, or after `most_s`."""
        overtaken = asyncio.Event()
        self._held[url].append(overtaken)
        try:
            async with asyncio.timeout(most_s):
                await overtaken.wait()
        except TimeoutError:
            return

    async def _try(self, delivery: Delivery, *, wrong: bool) -> None:
        letter = delivery.letter
        for number in range(ATTEMPTS):
            if number:
                await asyncio.sleep(self._config().webhook_resend_s)
            if not letter.wanted():
                delivery.state = "disabled"
                return
            async with self._places:
                arrived = await self._once(delivery, wrong=wrong)
            letter.told(arrived)
            if arrived:
                delivery.state = "delivered"
                return
        delivery.state = "failed"

    async def _once(self, delivery: Delivery, *, wrong: bool) -> bool:
        letter, now = delivery.letter, utc_now()
        headers = {
            "Content-Type": "application/json",
            **letter.sign(letter.body, int(now.timestamp()), wrong),
        }
        attempt = Attempt(rfc3339(now), headers)
        delivery.attempts.append(attempt)
        try:
            answer = await self._outbound.post(
                letter.url, letter.body, headers, timeout_s=self._config().webhook_timeout_s
            )
        except OutboundError as error:
            attempt.error = str(error)
            return False
        attempt.status = answer.status
        return letter.accepts(answer.status)
