"""Loads under way: one for each entry, that all who ask meanwhile wait for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mainstem.platform.cache.changes import Change
from mainstem.platform.cache.local import Place


@dataclass(slots=True)
class Flight:
    """One load."""

    session: int
    """That of the listener for changes when it began."""
    outdated: bool = False
    """Its entry changed meanwhile: who waits gets it, for they asked before that was known; nobody keeps it."""
    task: "asyncio.Task[bytes]" = field(init=False)


class Flights:
    """The loads of a process, on one event loop."""

    def __init__(self) -> None:
        """Begin without any."""
        self._by_place: dict[Place, Flight] = {}
        self._tasks: set[asyncio.Task[bytes]] = set()

    def current(self, place: Place, session: int) -> Flight | None:
        """Return the load that one who asks now may wait for."""
        flight = self._by_place.get(place)
        return flight if flight is not None and flight.session == session else None

    def begin(self, place: Place, session: int, load: Callable[[Flight], Awaitable[bytes]]) -> Flight:
        """Begin a load, which gets its flight; it goes on when all who wait have gone."""
        flight = self._by_place[place] = Flight(session)

        async def run() -> bytes:
            return await load(flight)

        flight.task = asyncio.create_task(run(), name=f"cache load {place[0]}")
        self._tasks.add(flight.task)
        flight.task.add_done_callback(lambda task: self._landed(place, flight, task))
        return flight

    def outdate(self, change: Change | None) -> None:
        """Let nobody keep or join what a change is about, None: anything, that is being loaded."""
        for place, flight in list(self._by_place.items()):
            if change is None or change.touches(*place):
                flight.outdated = True
                del self._by_place[place]

    async def stop(self) -> None:
        """End all loads; who waits gets CancelledError."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _landed(self, place: Place, flight: Flight, task: "asyncio.Task[bytes]") -> None:
        self._tasks.discard(task)
        if self._by_place.get(place) is flight:
            del self._by_place[place]
        if not task.cancelled():
            # read here, for all who waited may have gone
            task.exception()
