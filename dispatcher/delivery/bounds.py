"""How much may come in: requests a second, and bytes of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable


class Bucket:
    """A token bucket: ``rate`` requests a second in the long run, ``burst`` of them at once."""

    def __init__(self, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._monotonic = monotonic
        self._left = float(burst)
        self._at = monotonic()

    def take(self) -> bool:
        """Whether one more may come in now."""
        now = self._monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


async def read_within(chunks: AsyncIterator[bytes], most: int) -> bytes | None:
    """A body of at most so many bytes; None for a longer one, of which no more is read."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
