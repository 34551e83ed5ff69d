"""When the window of a country is open, as moments.

Where people of a country live by several clocks, a number does not tell which, and a window is open while it is open
by all of them: in Spain from 9:00 on the Canary Islands (10:00 in Madrid) until 21:00 in Madrid.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import pairwise
from zoneinfo import ZoneInfo

from dispatcher.campaign.timing.clocks import clocks_of, to_utc
from dispatcher.campaign.timing.days_off import IsHoliday, public_holiday
from dispatcher.campaign.timing.windows import Window, Windows

Interval = tuple[dt.datetime, dt.datetime]

_AHEAD = 35  # days: no row of holidays is longer, and no pause that is planned either
_DAY = dt.timedelta(days=1)


class Openings:
    """Answers for one campaign.  ``own``: the clock of recipients whose country is not known."""

    def __init__(self, windows: Windows, own: ZoneInfo, is_holiday: IsHoliday | None = None) -> None:
        self._windows = windows
        self._own = own
        self._is_holiday = is_holiday or public_holiday
        self._known: dict[tuple[str | None, dt.date], tuple[Interval, ...]] = {}

    def next(self, country: str | None, start: dt.datetime, end: dt.datetime) -> dt.datetime | None:
        """The first moment from ``start`` on at which what takes ``end - start`` fits into an open window.

        ``start`` itself where there is no window or it is open; None when none opens within a month.
        """
        if self._windows.of(country) is None:
            return start
        length = end - start
        for opens, closes in self.intervals(country, start):
            begin = max(opens, start)
            if begin + length <= closes:
                return begin
        return None

    def closes(self, country: str | None, at: dt.datetime) -> dt.datetime | None:
        """When the window that is open at ``at`` closes; None where there is none, ``at`` itself when it is closed."""
        if self._windows.of(country) is None:
            return None
        for opens, closes in self.intervals(country, at):
            return closes if opens <= at else at
        return at

    def intervals(self, country: str | None, start: dt.datetime) -> Iterator[Interval]:
        """The open intervals that end after ``start``, in order, for a month."""
        window = self._windows.of(country)
        if window is None:
            return
        day = start.astimezone(dt.UTC).date()
        key = country, day
        if key not in self._known:
            self._known[key] = self._of_month(window, country, day)
        yield from (interval for interval in self._known[key] if interval[1] > start)

    def _of_month(self, window: Window, country: str | None, day: dt.date) -> tuple[Interval, ...]:
        clocks: Sequence[ZoneInfo] = (clocks_of(country) if country else ()) or (self._own,)
        # two days back: a window over midnight, and clocks that are a day ahead
        days = [day + n * _DAY for n in range(-2, _AHEAD)]
        common: list[Interval] | None = None
        for clock in clocks:
            mine = joined(
                (to_utc(begin, clock), to_utc(end, clock))
                for each in days
                if window.on_holidays or country is None or not self._is_holiday(country, each)
                for begin, end in window.of(each)
            )
            common = mine if common is None else intersection(common, mine)
        return tuple(common or ())


def joined(intervals: Iterator[Interval]) -> list[Interval]:
    """In order, those that touch or overlap as one; empty ones (an hour that the clocks skip) left out."""
    found: list[Interval] = []
    for begin, end in sorted(intervals):
        if end <= begin:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found


def intersection(some: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """What is in both; each in order and without overlaps."""
    edges = sorted({edge for interval in (*some, *others) for edge in interval})

    def covers(intervals: Sequence[Interval], begin: dt.datetime, end: dt.datetime) -> bool:
        return any(opens <= begin and end <= closes for opens, closes in intervals)

    return joined(iter([(a, b) for a, b in pairwise(edges) if covers(some, a, b) and covers(others, a, b)]))
