"""From the clock on the wall to the moment, and back: time zones of countries, and the days on which clocks change."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.core import get_global

from dispatcher.campaign.timing.spans import Span

_SAMPLED_FROM, _SAMPLED_DAYS = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC), 366


def to_utc(local: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """The moment at which the clocks of ``zone`` show ``local``.

    A time that the clocks skip counts as if they had not been changed yet: 02:30 is the moment they show 03:30.  Of a
    time that comes twice, the first one counts.
    """
    return local.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)


def before(moment: dt.datetime, span: Span, zone: dt.tzinfo) -> dt.datetime:
    """``span`` before ``moment``: days on the calendar of ``zone``, hours and minutes as time that passes."""
    if span.days:
        local = moment.astimezone(zone).replace(tzinfo=None)
        moment = to_utc(local - dt.timedelta(days=span.days), zone)
    return moment - span.exact


def after(moment: dt.datetime, span: Span, zone: dt.tzinfo) -> dt.datetime:
    """``span`` after ``moment``, like :func:`before`."""
    if span.days:
        local = moment.astimezone(zone).replace(tzinfo=None)
        moment = to_utc(local + dt.timedelta(days=span.days), zone)
    return moment + span.exact


@lru_cache(maxsize=512)
def clocks_of(country: str) -> tuple[ZoneInfo, ...]:
    """One zone for every clock that people of a country may live by, of zones that always agree only the first.

    Italy has one; Spain has two, Madrid's and that of the Canary Islands.  Empty where the country is not known.
    """
    names: list[str] = get_global("territory_zones").get(country.upper(), [])
    found: dict[tuple[dt.timedelta | None, ...], ZoneInfo] = {}
    for name in sorted(names, key=lambda name: (not name.startswith("Europe/"), name)):
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            continue
        found.setdefault(_shown(zone), zone)
    return tuple(found.values())


def _shown(zone: ZoneInfo) -> tuple[dt.timedelta | None, ...]:
    days = (_SAMPLED_FROM + dt.timedelta(days=day) for day in range(_SAMPLED_DAYS))
    return tuple(day.astimezone(zone).utcoffset() for day in days)


def zone_of(country: str | None, own: ZoneInfo) -> ZoneInfo | None:
    """The clock that a recipient lives by: the country's, where it has exactly one; else ``own``, where it is one of
    the country's; else nobody knows (None).
    """
    if country is None:
        return None
    clocks = clocks_of(country)
    if len(clocks) == 1:
        return clocks[0]
    return own if any(_shown(clock) == _shown(own) for clock in clocks) else None
