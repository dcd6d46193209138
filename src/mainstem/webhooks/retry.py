"""What becomes of a delivery after an attempt: delivered, tried again at a time, given up, or its endpoint switched off.

Pure: sends nothing, stores nothing, reads no clock and rolls no dice (`spread` comes from the caller). Rules of Standard
Webhooks 1.0.0: 2xx is success; everything else fails, redirects too; 410 switches the endpoint off; 429, 502 and 504 (and 503,
which is not in the specification) ask for less, `Retry-After` says how much. The default schedule is the specification's example.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Self

from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.outbound import Answer, OutboundError

DEFAULT_SCHEDULE_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from each attempt to the next: ten attempts within some three days."""
JITTER: Final = 0.2
"""Most that is added to a delay, as a share of it: what failed together does not come back together."""
MOST_RETRIES: Final = 50
LONGEST_DELAY_S: Final = 7 * 86_400
LONGEST_PAUSE_S: Final = 3_600
"""Longest pause that `Retry-After` may ask for: a mistaken year there must not silence an endpoint."""
_SHORTEST_PAUSE_S: Final = 1.0
_SLOW_DOWN: Final = (429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Policy:
    """Delays from each attempt to the next, in seconds; after the last one the delivery is dead."""

    delays_s: tuple[float, ...] = DEFAULT_SCHEDULE_S

    @classmethod
    def parse(cls, given: Mapping[str, Any] | None, *, field: str = "retry_policy") -> Self:
        """Return the policy that an endpoint asks for; without one, the default. Raises InvalidFieldError.

        Either `{"schedule": [5, 60, 600]}`, seconds; or `{"max_retries": 5, "backoff_base": 2, "max_backoff": 3600}`:
        the first delay is `backoff_base` seconds, each further one twice the one before, up to `max_backoff`.
        """
        if given is None:
            return cls()
        if "schedule" in given:
            _only(given, {"schedule"}, field)
            schedule = given["schedule"]
            if not isinstance(schedule, list) or len(schedule) > MOST_RETRIES:
                raise InvalidFieldError(f"schedule lists at most {MOST_RETRIES} delays in seconds.", field=field)
            return cls(tuple(_seconds(delay, "A delay of schedule", field) for delay in schedule))
        _only(given, {"max_retries", "backoff_base", "max_backoff"}, field)
        retries = given.get("max_retries", len(DEFAULT_SCHEDULE_S))
        if type(retries) is not int or not 0 <= retries <= MOST_RETRIES:
            raise InvalidFieldError(f"max_retries is from 0 to {MOST_RETRIES}.", field=field)
        base = _seconds(given.get("backoff_base", 5), "backoff_base", field)
        most = _seconds(given.get("max_backoff", 86_400), "max_backoff", field)
        return cls(tuple(min(base * 2.0**number, most) for number in range(retries)))


def _only(given: Mapping[str, Any], known: set[str], field: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise InvalidFieldError(
            f"{', '.join(map(repr, unknown))} can't stand here; known: {', '.join(sorted(known))}.", field=field
        )


def _seconds(value: object, what: str, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_DELAY_S:
        raise InvalidFieldError(f"{what} is more than 0 and at most {LONGEST_DELAY_S} seconds.", field=field)
    return float(value)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """To be tried again."""

    at: datetime
    pause_s: float | None = None
    """How long nothing at all goes to the endpoint; None: others may go on."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Dead: no attempt is left."""

    pause_s: float | None = None


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """The receiver is gone for good (410): its endpoint gets nothing any more."""


Step = Delivered | RetryAt | GiveUp | SwitchOff


def next_step(  # noqa: PLR0913 - what the decision rests on
    policy: Policy,
    attempt: int,
    met: Answer | OutboundError,
    *,
    now: datetime,
    slowed: int = 0,
    spread: float = 0.0,
) -> Step:
    """Return what follows from an attempt. `attempt` counts from 1; `spread` is from 0 to 1 and shares out the jitter.

    `slowed`: how many answers of the endpoint in a row asked for less before this one; each doubles the pause.
    """
    pause_s = None
    if isinstance(met, Answer):
        if 200 <= met.status < 300:
            return Delivered()
        if met.status == 410:
            return SwitchOff()
        if met.status in _SLOW_DOWN:
            asked = retry_after_s(met.headers.get("Retry-After"), now)
            pause_s = max(_SHORTEST_PAUSE_S * 2 ** min(slowed, 6), asked or 0.0)
    if attempt > len(policy.delays_s):
        return GiveUp(pause_s)
    delay_s = policy.delays_s[attempt - 1]
    delay_s = max(delay_s * (1 + JITTER * spread), pause_s or 0.0)
    return RetryAt(now + timedelta(seconds=delay_s), pause_s)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After asks for (RFC 9110, 10.2.3), at most an hour; None when it says nothing."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # a number may be as long as a header: more digits than these mean more than the longest pause
        digits = text.lstrip("0")[:9]
        return float(min(int(digits or "0"), LONGEST_PAUSE_S))
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), float(LONGEST_PAUSE_S))


def outcome_of(met: Answer | OutboundError) -> str:
    """Return the word for what an attempt met: see the column webhooks.attempt.outcome."""
    if isinstance(met, OutboundError):
        return str(met.trouble)
    if 200 <= met.status < 300:
        return "delivered"
    if met.status == 410:
        return "gone"
    return "redirect" if 300 <= met.status < 400 else "status"
