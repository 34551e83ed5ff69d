"""Until when the rows of one claim may start.

Two clocks, because monotonic time stops while a laptop sleeps and wall time can be set.  The claim's deadline in the
ledger lies a whole request after the lease, so nobody calls a row doubtful whose request may still be on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.ledger.pace import reach_for
from dispatcher.sending.services import Clock

START_MARGIN = timedelta(seconds=5)  # a claim is worth this much longer than its last slot
CLOCK_GAP = 2.0  # seconds by which the two clocks may drift apart: more means that the machine slept
SLOWEST_CLAIM = 60.0  # seconds: what took longer was no slow ledger but a machine that slept


@dataclass(frozen=True)
class Lease:
    """The rows of one claim may start for ``length`` from when the clocks were read, before the claim."""

    monotonic_start: float
    wall_start: datetime
    length: timedelta

    @classmethod
    def begin(cls, clock: Clock, offsets: Sequence[float], rate: float | None, last_claim: float) -> Lease:
        """Long enough for the slots at ``offsets``, and for those that replace them when the claim takes its time.

        ``rate``: the pace's slots a second.  ``last_claim``: seconds that the last claim took; this one may take twice
        as long.  Without either, a low limit or a slow ledger would give every row back unsent.
        """
        furthest = max(offsets[-1], reach_for(1 / rate) if rate else 0.0)
        slow = timedelta(seconds=2 * min(last_claim, SLOWEST_CLAIM))
        return cls(clock.monotonic(), clock.now(), timedelta(seconds=furthest) + START_MARGIN + slow)

    def deadline(self, request_timeout: float) -> datetime:
        """When a request that started at the lease's very end has ended."""
        return self.wall_start + self.length + timedelta(seconds=request_timeout) + START_MARGIN

    def may_start(self, monotonic: float, wall: datetime) -> bool:
        """Neither clock is past the lease, and both say the same."""
        by_monotonic = monotonic - self.monotonic_start
        by_wall = (wall - self.wall_start).total_seconds()
        return (
            max(by_monotonic, by_wall) < self.length.total_seconds()
            and abs(by_wall - by_monotonic) < CLOCK_GAP
        )
