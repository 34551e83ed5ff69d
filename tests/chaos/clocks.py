"""The clocks of a machine that lost its time: the wall clock steps, the monotonic clock stalls and jumps.

Both are functions of the real time, so every process of the machine, started again or not, reads the same.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

HOUR = 3600.0
BETWEEN = (0.4, 2.0)  # seconds between two steps
SMALL, MINUTES, HOURS = (0.2, 2.5), (60.0, 1200.0), (HOUR, 6 * HOUR)  # how far the wall clock is off
STALL = (0.3, 4.0)
JUMP = (0.5, 30.0)
LATER = 6 * HOUR  # how far it is ahead in the end: as if everybody had waited until all steps are long over


@dataclass(frozen=True)
class Event:
    """At ``at`` seconds after the epoch the wall clock is off by ``wall`` from then on.

    The monotonic clock jumps ahead by ``jump``, then stands still for ``stall``.
    """

    at: float
    wall: float
    jump: float = 0.0
    stall: float = 0.0


@dataclass
class Machine:
    """``seed`` decides the steps; they begin at ``epoch`` (real seconds since 1970) and end ``calm`` seconds later.

    ``real_wall`` and ``real_monotonic`` are the true clocks.
    """

    seed: int
    epoch: float
    calm: float
    real_wall: Callable[[], float] = time.time
    real_monotonic: Callable[[], float] = time.monotonic
    events: tuple[Event, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.events = tuple(_events(random.Random(f"clocks {self.seed}"), self.calm))

    @classmethod
    def described(cls, text: str) -> Machine:
        """From ``SEED:EPOCH:CALM``."""
        seed, epoch, calm = text.split(":")
        return cls(int(seed), float(epoch), float(calm))

    def __str__(self) -> str:
        return f"{self.seed}:{self.epoch}:{self.calm}"

    def wall(self) -> float:
        """Seconds since 1970, as this machine believes."""
        now = self.real_wall()
        past = [event for event in self.events if event.at <= now - self.epoch]
        return now + (past[-1].wall if past else 0.0)

    def monotonic(self) -> float:
        """Never goes back, but stands still and jumps."""
        elapsed = self.real_wall() - self.epoch
        shift = sum(
            event.jump - min(event.stall, elapsed - event.at) for event in self.events if event.at <= elapsed
        )
        return self.real_monotonic() + shift


class SteppedClock:
    """The sender's clock (:class:`dispatcher.sending.services.Clock`) on such a machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._machine.wall(), UTC)

    def monotonic(self) -> float:
        return self._machine.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def _events(rng: random.Random, calm: float) -> list[Event]:
    events: list[Event] = []
    at = wall = stalled_until = 0.0
    while (at := at + rng.uniform(*BETWEEN)) < calm:
        kind = rng.choice(("small", "minutes", "minutes", "hours", "right", "stall", "jump"))
        sign = rng.choice((-1, 1))
        jump = stall = 0.0
        match kind:
            case "small":
                wall += sign * rng.uniform(*SMALL)
            case "minutes":
                wall += sign * rng.uniform(*MINUTES)
            case "hours":
                wall = sign * rng.uniform(*HOURS)
            case "right":
                wall = 0.0
            case "stall" if at >= stalled_until:  # one at a time, or it would go back
                stall = rng.uniform(*STALL)
                stalled_until = at + stall
            case "jump":
                jump = rng.uniform(*JUMP)
        events.append(Event(at, max(-LATER, min(wall, LATER)), jump, stall))
    return [*events, Event(calm, LATER)]
