"""When requests arrived: the limit per minute, and the record that tests measure a client's pace by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

WINDOW = 60.0


class Arrival(NamedTuple):
    """One request: seconds on the monotonic clock, seconds since 1970."""

    monotonic: float
    wall: float


class Arrivals:
    """The last ``kept`` requests, and how many were let through in the last minute."""

    def __init__(self, kept: int, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._recent: deque[Arrival] = deque(maxlen=kept)
        self._let_through: deque[float] = deque()
        self.total = 0

    def note(self, limit: int | None) -> float | None:
        """Record a request now; None lets it through, else the seconds until there is room again.

        A request that is turned away takes no place in the minute.
        """
        now = self._monotonic()
        self.total += 1
        self._recent.append(Arrival(now, self._clock().timestamp()))
        if limit is None:
            return None
        while self._let_through and self._let_through[0] <= now - WINDOW:
            self._let_through.popleft()
        if len(self._let_through) >= limit:
            return self._let_through[0] + WINDOW - now
        self._let_through.append(now)
        return None

    def recent(self) -> list[Arrival]:
        """The recorded requests, oldest first."""
        return list(self._recent)

    def busiest(self, seconds: float = WINDOW) -> int:
        """The most recorded requests in any stretch of that many seconds, turned away or not."""
        most, start = 0, 0
        arrivals = self.recent()
        for end, arrival in enumerate(arrivals):
            while arrival.monotonic - arrivals[start].monotonic >= seconds:
                start += 1
            most = max(most, end - start + 1)
        return most
