"""Which tick is fired now, and which are missed: pure, by a timetable and a clock's reading.

A tick is seen late when no scheduler was running, or when one was busy.  Of the ticks that were not seen in their time
the newest is fired if it is less than ``late`` ago; all others are missed, and reported as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.schedules.timetable import Timetable

COUNTED = 1_000  # missed ticks; of a schedule that missed more, nobody needs the number


@dataclass(frozen=True)
class Missed:
    """Ticks that are not fired: the first of them, and how many; :data:`COUNTED` stands for that many or more."""

    first: datetime
    count: int


@dataclass(frozen=True)
class Due:
    """``fire``: the tick to be fired, if any.  ``missed``: those before it that never are."""

    fire: datetime | None
    missed: Missed | None


def due(timetable: Timetable, watched_until: datetime, now: datetime, late: timedelta) -> Due | None:
    """What is due at ``now`` of the ticks after ``watched_until``; None when none is."""
    fire = _newest(timetable, max(watched_until, now - late), now)
    first, count = None, 0
    for tick in timetable.after(watched_until):
        if tick > now or tick == fire or count == COUNTED:
            break
        first, count = first or tick, count + 1
    if fire is None and first is None:
        return None
    return Due(fire, None if first is None else Missed(first, count))


def is_late(tick: datetime, now: datetime, late: timedelta) -> bool:
    """Whether nothing of the tick may be begun any more."""
    return now - tick >= late


def _newest(timetable: Timetable, after: datetime, now: datetime) -> datetime | None:
    newest = None
    for tick in timetable.after(after):
        if tick > now:
            break
        newest = tick
    return newest
