"""A bounded share of the limit, for what must never slow down the sending."""

from __future__ import annotations

from dispatcher.sending.services import Clock, Pace, Slots

WHILE_SENDING = 0.05  # of the limit, while a campaign of the gateway is being sent
ALONE = 0.5
TRICKLE = 1 / 60  # requests a second that are always allowed, however low the limit ...
MOST_OF_A_LOW_LIMIT = 0.25  # ... unless they were more of it than this


class Share:
    """A :class:`Pace` that gives at most ``part`` of another one's slots, evenly, one at a time."""

    def __init__(self, pace: Pace, clock: Clock) -> None:
        self._pace = pace
        self._clock = clock
        self._not_before = 0.0
        self.part = WHILE_SENDING

    @property
    def rate(self) -> float | None:
        """Slots a second, None when there is no limit."""
        rate = self._pace.rate
        if rate is None:
            return None
        return max(rate * self.part, min(TRICKLE, rate * MOST_OF_A_LOW_LIMIT))

    async def reserve(self, n: int) -> Slots:
        """One slot, when it is this one's turn."""
        now, rate = self._clock.monotonic(), self.rate
        if now < self._not_before:
            return Slots([], self._not_before - now)
        slots = await self._pace.reserve(1)
        if slots.offsets and rate is not None:
            self._not_before = self._clock.monotonic() + slots.offsets[0] + 1 / rate
        return slots

    async def slow_down(self, seconds: float) -> None:
        """Nobody takes a slot for so long."""
        await self._pace.slow_down(seconds)
