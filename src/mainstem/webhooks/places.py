"""Which deliveries a worker holds, and how many of each endpoint it may hold and have under way. No I/O here.

Every endpoint has a place of its own, with few deliveries under way at once and fewer where they fail, so that a dead one
holds up nobody else.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mainstem.platform.outbound import Answer, OutboundError
from mainstem.webhooks.payload import Message

_FIRST_LIMIT: Final = 4
"""Deliveries that an endpoint may have under way before anything is known of it."""
_AHEAD: Final = 16
"""Deliveries held for an endpoint that does well, as a multiple of those that may be under way: the next are at hand."""
_UNWRITTEN: Final = 4
"""The same for those that were sent and are not written down yet: so many would be sent again after a crash."""
_MESSAGE: Final = ("event_uid", "kind", "source", "subject", "occurred_at", "data")


@dataclass(slots=True)
class Item:
    """A claimed delivery."""

    delivery_id: int
    endpoint_id: int
    tenant_id: int
    attempt: int
    created_at: datetime
    message: Message
    leased_until: float
    """By the clock of the event loop."""
    fault: str | None = None

    @classmethod
    def of(cls, row: Any, leased_until: float) -> "Item":  # noqa: ANN401 - a row of the query `claim`
        """Return the delivery of a row of the query `claim`."""
        return cls(
            delivery_id=row["delivery_id"],
            endpoint_id=row["endpoint_id"],
            tenant_id=row["tenant_id"],
            attempt=row["attempt"],
            created_at=row["created_at"],
            message=Message(*(row[name] for name in _MESSAGE)),
            leased_until=leased_until,
        )


@dataclass(slots=True)
class Place:
    """An endpoint's place in the worker."""

    limit: float
    """Deliveries that may be under way: halved where one gets no answer, one more for each that gets one."""
    waiting: deque[Item] = field(default_factory=deque)
    under_way: int = 0
    unwritten: int = 0
    """Attempts whose results are not written down yet: a crash would have them made again."""
    slowed: int = 0
    fifo: bool = False

    @property
    def held(self) -> int:
        """Return how many deliveries are held for the endpoint, in whatever state."""
        return len(self.waiting) + self.under_way + self.unwritten

    @property
    def most_held(self) -> int:
        """For an endpoint that answers slowly or not at all, nothing is held that others could send instead."""
        limit = int(self.limit)
        return limit * _AHEAD if limit > _FIRST_LIMIT else limit

    @property
    def is_sick(self) -> bool:
        """Return whether the endpoint gave no answer so often that it is called one by one."""
        return self.limit <= 1.0 and not self.fifo

    @property
    def has_room(self) -> bool:
        """Return whether the next delivery that waits may be sent now."""
        most = int(self.limit)
        return bool(self.waiting) and self.under_way < most and self.under_way + self.unwritten < most * _UNWRITTEN

    def met(self, met: Answer | OutboundError, most: int) -> None:
        """Take in what an attempt met; `most` is the highest limit there is."""
        if self.fifo:
            return
        self.limit = max(self.limit / 2, 1.0) if isinstance(met, OutboundError) else min(self.limit + 1.0, float(most))


class Places:
    """All places of a worker, by endpoint."""

    def __init__(self, per_endpoint: int) -> None:
        """Keep how many deliveries of one endpoint may be under way."""
        self._per_endpoint = per_endpoint
        self._places: dict[int, Place] = {}
        self.first = min(_FIRST_LIMIT, per_endpoint)
        """Deliveries that an endpoint without a place may have."""

    def __getitem__(self, endpoint_id: int) -> Place:
        return self._places[endpoint_id]

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    def busy(self) -> dict[int, int]:
        """Return what is missing of `first` by endpoint: below zero for one that may have more than a new one."""
        return {
            endpoint_id: place.held if place.fifo else self.first - max(place.most_held - place.held, 0)
            for endpoint_id, place in self._places.items()
        }

    def put(self, item: Item, *, fifo: bool) -> None:
        """Have a delivery wait in the place of its endpoint."""
        place = self._places.get(item.endpoint_id)
        if place is None:
            place = self._places[item.endpoint_id] = Place(float(self.first))
        place.fifo = fifo
        if fifo:
            place.limit = 1.0
        place.waiting.append(item)

    def take_surplus(self) -> list[Item]:
        """Take out what waits for endpoints that do worse than when it was claimed."""
        return [
            place.waiting.pop()
            for place in self
            for _ in range(min(place.held - max(place.most_held, 1), len(place.waiting)))
        ]

    def with_room(self) -> Iterator[int]:
        """Yield the endpoints whose next delivery may be sent."""
        for endpoint_id, place in self._places.items():
            if place.has_room:
                yield endpoint_id

    def waiting(self) -> Sequence[Item]:
        """Return what was claimed and not begun."""
        return [item for place in self for item in place.waiting]

    def forget_idle(self) -> None:
        """Forget places where nothing is and nothing was wrong."""
        self._places = {
            endpoint_id: place
            for endpoint_id, place in self._places.items()
            if place.held or place.slowed or place.limit < self._per_endpoint
        }

    def clear(self) -> None:
        """Forget all."""
        self._places.clear()
