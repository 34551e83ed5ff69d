"""When a schedule's ticks are.

A cron expression names times on a wall clock, and each of them is one tick.  Where the clock skips an hour, the times
in it are one tick right after; where an hour comes twice, they are those of its first passage.  The library therefore
counts without a time zone, and only here does a wall clock's time become a moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from dispatcher.errors import UsageError

_FIELDS = 5  # minute, hour, day of the month, month, day of the week; the library also knows seconds
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Timetable:
    """``cron`` by the wall clock of ``timezone``; made by :meth:`read`, which checks both."""

    cron: str
    timezone: str

    @classmethod
    def read(cls, cron: str, timezone: str, now: datetime) -> Timetable:
        """UsageError for an expression that is none or never comes again, and for an unknown time zone."""
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError) as error:
            raise UsageError("schedule_timezone", found=timezone) from error
        table = cls(" ".join(cron.split()), timezone)
        if len(table.cron.split()) != _FIELDS:
            raise UsageError("schedule_cron", found=cron)
        try:
            if not list(islice(table.after(now), 1)):
                raise UsageError("schedule_never", found=cron)
        except CronSimError as error:
            raise UsageError("schedule_cron", found=cron) from error
        return table

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The ticks after ``moment``, strictly ascending, as whole minutes in UTC; it may end in the far future."""
        zone, last = ZoneInfo(self.timezone), moment
        for time in CronSim(self.cron, _wall(moment, zone)):
            tick = _moment(time, zone)
            # else it is another time of a skipped hour, or the doubled hour was entered in its second passage
            if tick > last:
                last = tick
                yield tick

    def next(self, moment: datetime, count: int) -> list[datetime]:
        """The first ``count`` ticks after ``moment``."""
        return list(islice(self.after(moment), count))


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the wall clock first shows this time; where it never does, when it first shows a later one."""
    while _wall(moment := wall.replace(tzinfo=zone).astimezone(UTC), zone) != wall:
        wall += _MINUTE
    return moment
