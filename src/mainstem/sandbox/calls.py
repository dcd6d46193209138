"""The log of calls: what came, in order, and how it ended, so that tests can count."""

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Final

_KEPT: Final = 100_000


@dataclass(slots=True)
class Call:
    """One request to one of the two services."""

    number: int
    at: str
    """RFC 3339, UTC."""
    service: str
    method: str
    path: str
    """Below the service."""
    query: str
    body: Any
    """What was sent as JSON; never a form, which may hold secrets."""
    status: int | None = None
    """None: no answer was sent."""
    fault: str | None = None
    handled: bool = False
    """Whether the service itself saw it."""
    answer: Any = None


class Calls:
    """The newest calls, 100,000 at most."""

    def __init__(self) -> None:
        """Start empty."""
        self._calls: deque[Call] = deque(maxlen=_KEPT)
        self._next = 1

    def begin(self, *, at: str, service: str, method: str, path: str, query: str, body: object) -> Call:  # noqa: PLR0913 - a row
        """Note a request that came."""
        call = Call(self._next, at, service, method, path, query, body)
        self._next += 1
        self._calls.append(call)
        return call

    def found(self, service: str, method: str, route: str) -> list[Call]:
        """Return calls in the order they came; `*` stands for any."""
        return [
            call
            for call in self._calls
            if fnmatchcase(call.service, service)
            and fnmatchcase(call.method, method.upper())
            and (fnmatchcase(call.path, route) or fnmatchcase(call.path, route.rstrip("/") + "/"))
        ]

    def clear(self) -> None:
        """Forget all."""
        self._calls.clear()


def shown(calls: list[Call], limit: int) -> Iterator[dict[str, Any]]:
    """Yield the newest `limit` calls for an answer."""
    return (asdict(call) for call in islice(calls, max(0, len(calls) - limit), None))
