"""A bound on calls: so many within any span of a time, by this process."""

import asyncio
from heapq import heapify, heappop, heappush
from types import TracebackType


class Pace:
    """`async with pace:` around each call: at most `most` arrive within any `per_s` seconds, however long they travel.

    A call arrives some time between its beginning and its end, so that its place is free again `per_s` after its end. Hence no
    more than `most` are under way at once, too. Turns are given in the order of asking.
    """

    def __init__(self, most: int, per_s: float = 1.0) -> None:
        """Begin with all places free."""
        self._per_s = per_s
        self._turns = asyncio.Semaphore(max(most, 1))
        self._free_at = [float("-inf")] * max(most, 1)
        self._quiet_until = float("-inf")
        heapify(self._free_at)

    def hold(self, until: float) -> None:
        """Begin no call before a time of the loop's clock: the other side has asked for it."""
        self._quiet_until = max(self._quiet_until, until)

    async def __aenter__(self) -> None:
        await self._turns.acquire()
        free_at = heappop(self._free_at)
        loop = asyncio.get_running_loop()
        try:
            while (wait_s := max(free_at, self._quiet_until) - loop.time()) > 0:  # noqa: ASYNC110 - the clock has no signal
                await asyncio.sleep(wait_s)
        except BaseException:
            # called off before its call: the place is as free as before
            heappush(self._free_at, free_at)
            self._turns.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        heappush(self._free_at, asyncio.get_running_loop().time() + self._per_s)
        self._turns.release()
