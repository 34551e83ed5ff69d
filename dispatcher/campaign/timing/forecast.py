"""When each country will be done: rows in order of their times, under the limit, while windows are open.

A forecast for people, made before sending: of other campaigns it knows what is being sent now, and nothing of what goes
wrong.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from dispatcher.campaign.timing.openings import Openings

SOON = dt.timedelta(minutes=1)
_SHORTEST = dt.timedelta(seconds=1)


@dataclass(frozen=True)
class CountryForecast:
    """``waiting`` of the ``rows`` go out later than at once, the first of them at ``waits_until``."""

    country: str
    rows: int
    done: dt.datetime
    waiting: int = 0
    waits_until: dt.datetime | None = None


def forecast(
    due: Mapping[tuple[str, dt.datetime | None], int],
    now: dt.datetime,
    rate: float | None,
    openings: Openings | None,
    ahead: int = 0,
) -> list[CountryForecast]:
    """``due``: rows by country and time (None: at once); ``rate``: messages a second; ``ahead``: rows of other
    campaigns that go out before.  In order of the end.
    """
    coming = [(at or now, country, n) for (country, at), n in due.items()]
    heapq.heapify(coming)
    free = now + dt.timedelta(seconds=ahead / rate if rate else 0)
    found = dict[str, CountryForecast]()
    while coming:
        at, country, n = heapq.heappop(coming)
        begin = max(at, free)
        took: int = n
        if openings is not None:
            opens = openings.next(country, begin, begin + _SHORTEST)
            if opens is None:
                continue
            if opens > begin:
                heapq.heappush(coming, (opens, country, n))
                continue
            closes = openings.closes(country, begin)
            if closes is not None and rate is not None:
                took = min(n, max(1, int((closes - begin).total_seconds() * rate)))
        free = begin + dt.timedelta(seconds=took / rate if rate else 0)
        # what only queues behind other rows is not waiting
        found[country] = _with(found.get(country), country, took, free, begin if at > now + SOON else None)
        if took < n:
            heapq.heappush(coming, (free, country, n - took))
    return sorted(found.values(), key=lambda each: (each.done, each.country))


def _with(
    before: CountryForecast | None,
    country: str,
    rows: int,
    done: dt.datetime,
    waited_until: dt.datetime | None,
) -> CountryForecast:
    known = before or CountryForecast(country, 0, done)
    return CountryForecast(
        country,
        known.rows + rows,
        max(known.done, done),
        known.waiting + (0 if waited_until is None else rows),
        known.waits_until or waited_until,
    )
