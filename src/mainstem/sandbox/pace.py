"""Limits of requests in a sliding window."""

from collections import defaultdict, deque


class Pace:
    """Times of the requests of each client within the window."""

    def __init__(self, window_s: float) -> None:
        """Start with nobody."""
        self._window_s = window_s
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def wait_s(self, client: str, most: int, now: float) -> float | None:
        """Count a request; return None when it may pass, else after how many seconds the next may. `most` 0: no limit."""
        times = self._times[client]
        while times and times[0] <= now - self._window_s:
            times.popleft()
        if most and len(times) >= most:
            return times[0] + self._window_s - now
        times.append(now)
        return None
