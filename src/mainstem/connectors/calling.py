"""Calls to an upstream that answers in JSON: paced, bounded in time, repeated where nothing can go wrong by it.

A question may be asked again whenever there was no usable answer. A change is sent again only where the upstream can't have
done it (no connection, 429) or where doing it twice is as good as once; else what became of it is unknown, and so it is called.
Sentences of errors name the method and the path, never a header, a body or a query, for these hold secrets.
"""

import asyncio
import json
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import structlog

from mainstem.connectors.pace import Pace
from mainstem.connectors.ports import OutcomeUnknownError, UpstreamError
from mainstem.platform.clock import utc_now
from mainstem.platform.outbound import Answer, Outbound, OutboundError, Trouble

KEPT_BYTES: Final = 16_777_216
_SHORTEST_CALL_S: Final = 0.05
_LONGEST_ASKED_S: Final = 3_600.0
T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """One request; nothing of it but method and path is ever told."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """What may be told of it."""
        parts = urlsplit(self.url)
        return f"{self.method} {parts.hostname}{parts.path}"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that says something: JSON with a status below 400, or any status from 400 to 499 but 408 and 429."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    json: Any = field(repr=False)
    is_json: bool
    """JSON, or nothing at all: not a page for people, which may come from anything on the way."""


@dataclass(frozen=True, slots=True)
class Miss:
    """No usable answer."""

    sentence: str
    status: int | None = None
    retry_after_s: float | None = None
    maybe_done: bool = True
    """Whether a change may have been made all the same."""
    hopeless: bool = False
    """Another try would meet the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often is tried."""

    attempts: int = 5
    timeout_s: float = 15.0
    """Of one call."""
    budget_s: float = 40.0
    """Of a call with all its repetitions and pauses."""
    backoff_s: float = 0.5
    """The first pause; each further one is twice as long, up to `longest_s`, and up to a half is taken off at random."""
    longest_s: float = 8.0


async def together(*asking: Coroutine[Any, Any, T]) -> list[T]:
    """Return the results of several calls made at once; when one fails the others are called off. Raises the first failure."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in asking]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def judge(met: Answer | OutboundError, now: datetime) -> Reply | Miss:
    """Return what an answer, or its absence, comes to. Pure."""
    if isinstance(met, OutboundError):
        return Miss(str(met), maybe_done=met.sent, hopeless=met.trouble is Trouble.BLOCKED)
    kind = met.headers.get("Content-Type", "").partition(";")[0].strip().lower()[:64] or "no type"
    if met.status == 429:
        return Miss(
            "It asks for fewer calls (429).", 429, asked_s(met.headers.get("Retry-After"), now), maybe_done=False
        )
    if met.status >= 500 or met.status == 408:
        wait = asked_s(met.headers.get("Retry-After"), now)
        return Miss(f"It failed with {met.status} ({kind}).", met.status, wait)
    if 300 <= met.status < 400:
        return Miss(f"It pointed elsewhere ({met.status}).", met.status, maybe_done=False, hopeless=True)
    value, is_json = _decoded(met)
    if met.status < 300 and not is_json:
        what = "an answer that was too long" if met.truncated else f"{kind} where JSON was due"
        return Miss(f"It sent {what}.", met.status)
    return Reply(met.status, met.headers, value, is_json)


def asked_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After asks for (RFC 9110, 10.2.3), at most an hour; None when it says nothing."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_ASKED_S)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), _LONGEST_ASKED_S)


def _decoded(answer: Answer) -> tuple[Any, bool]:
    if answer.truncated:
        return None, False
    if answer.status not in {200, 201} and not answer.body.strip():
        return None, True
    try:
        return json.loads(answer.body, parse_constant=_refuse), True
    except (ValueError, RecursionError):
        return None, False


def _refuse(constant: str) -> None:
    raise ValueError(constant)


class Caller:
    """Calls one upstream."""

    def __init__(
        self, outbound: Outbound, pace: Pace, patience: Patience | None = None, *, random: Random | None = None
    ) -> None:
        """Keep the parts."""
        self._outbound = outbound
        self._pace = pace
        self._patience = patience or Patience()
        self._random = random or Random()  # noqa: S311 - shares out repetitions, keeps no secret

    async def ask(self, request: Request, *, final: Collection[int] = ()) -> Reply:
        """Return the reply to what changes nothing. Raises UpstreamError.

        `final`: statuses after which it is not asked again, as the caller knows what to do about them.
        """
        reply, miss, _ = await self._tried(request, may_repeat=True, final=final)
        if reply is None:
            raise _failed(request, miss)
        return reply

    async def change(self, request: Request, *, may_repeat: bool = False) -> Reply:
        """Return the reply to a change. Raises UpstreamError where it can't have been made, else OutcomeUnknownError.

        `may_repeat`: making it twice is as good as once.
        """
        reply, miss, maybe_done = await self._tried(request, may_repeat=may_repeat)
        if reply is not None:
            return reply
        if maybe_done:
            raise OutcomeUnknownError(f"{request.shown}: {miss.sentence}")
        raise _failed(request, miss)

    async def _tried(
        self, request: Request, *, may_repeat: bool, final: Collection[int] = ()
    ) -> tuple[Reply | None, Miss, bool]:
        loop, patience = asyncio.get_running_loop(), self._patience
        maybe_done = False
        ends: float | None = None
        miss = Miss("There was no time left for it.", maybe_done=False)
        for attempt in range(patience.attempts):
            async with self._pace:
                # the wait for the first turn is not counted: many may stand in line
                ends = loop.time() + patience.budget_s if ends is None else ends
                left_s = ends - loop.time()
                if left_s < _SHORTEST_CALL_S:
                    break
                found = await self._met(request, min(patience.timeout_s, left_s))
            if isinstance(found, Reply):
                return found, miss, maybe_done
            miss = found
            maybe_done = maybe_done or miss.maybe_done
            wait_s = self._pause_s(attempt, miss)
            is_last = attempt + 1 == patience.attempts or loop.time() + wait_s > ends
            if miss.hopeless or is_last or miss.status in final or (maybe_done and not may_repeat):
                break
            log.info("upstream_again", call=request.shown, why=miss.sentence, in_s=round(wait_s, 2))
            if miss.status == 429:
                self._pace.hold(loop.time() + wait_s)
            else:
                await asyncio.sleep(wait_s)
        return None, miss, maybe_done

    async def _met(self, request: Request, timeout_s: float) -> Reply | Miss:
        met: Answer | OutboundError
        try:
            met = await self._outbound.call(
                request.method, request.url, request.body, request.headers, timeout_s=timeout_s, keep_bytes=KEPT_BYTES
            )
        except OutboundError as error:
            met = error
        return judge(met, utc_now())

    def _pause_s(self, attempt: int, miss: Miss) -> float:
        patience = self._patience
        pause_s = min(patience.backoff_s * 2.0 ** min(attempt, 30), patience.longest_s)
        pause_s *= 1 - self._random.random() / 2
        return max(pause_s, miss.retry_after_s or 0.0)


def _failed(request: Request, miss: Miss) -> UpstreamError:
    return UpstreamError(f"{request.shown}: {miss.sentence}", status=miss.status, retry_after_s=miss.retry_after_s)
