"""A pace that blocks, for asynchronous code."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from dispatcher.ledger.pace import Reservation
from dispatcher.sending.services import Slots


class SharedPace(Protocol):
    """Shared by processes; see :class:`dispatcher.ledger.pace.SqlitePace` for what is promised."""

    interval: float

    def reserve(self, key: str, n: int) -> Reservation: ...

    def slow_down(self, key: str, until: float) -> None: ...

    def close(self) -> None: ...


class ThreadedPace:
    """Asked on one thread of its own; its times become seconds from now."""

    def __init__(self, pace: SharedPace, key: str) -> None:
        self._pace = pace
        self._key = key
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pace")

    @property
    def rate(self) -> float | None:
        """Slots a second."""
        return 1 / self._pace.interval

    async def reserve(self, n: int) -> Slots:
        """Up to ``n`` slots."""
        loop = asyncio.get_running_loop()
        reservation = await loop.run_in_executor(self._thread, self._pace.reserve, self._key, n)
        now = time.time()
        return Slots(
            offsets=[max(0.0, at - now) for at in reservation.times],
            retry_in=max(0.01, reservation.retry_at - now),
        )

    async def slow_down(self, seconds: float) -> None:
        """Nobody takes a slot for so long."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._pace.slow_down, self._key, time.time() + seconds)

    def close(self) -> None:
        """Give the file or the server back."""
        self._thread.shutdown(wait=True)
        self._pace.close()
