"""Hours in which texts may arrive, per country: the defaults for advertising, and those of one's own.

    IT 08:00-22:00 mon-sat; ES 09:00-14:00,17:00-21:00 mon-fri; * 09:00-20:00 mon-sat +holidays

``*`` is every country that is not named; a span over midnight belongs to the day it begins on; public holidays are
closed unless ``+holidays`` says otherwise.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from dispatcher.errors import UsageError

ANY = "*"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_COUNTRY = re.compile(r"[A-Z]{2}|\*")
_MINUTES = 24 * 60

MARKETING = "IT 08:00-22:00 mon-sat; ES 09:00-21:00 mon-sat; * 09:00-20:00 mon-sat"
"""When advertising may arrive: Italy's and Spain's rules, and careful hours for everybody else."""


@dataclass(frozen=True)
class Window:
    """Spans in minutes of the day (an end beyond 1440 is on the next day), on ``days`` (Monday 0).

    ``names_days``: they were written, and are not all days for want of a word.
    """

    spans: tuple[tuple[int, int], ...]
    days: frozenset[int]
    on_holidays: bool = False
    names_days: bool = field(default=True, compare=False)

    def of(self, day: dt.date) -> tuple[tuple[dt.datetime, dt.datetime], ...]:
        """When it is open that begins on ``day``, by the clock on the wall."""
        if day.weekday() not in self.days:
            return ()
        midnight = dt.datetime.combine(day, dt.time(0))
        return tuple(
            (midnight + dt.timedelta(minutes=begin), midnight + dt.timedelta(minutes=end))
            for begin, end in self.spans
        )


@dataclass(frozen=True)
class Windows:
    """The windows of every country; a country that is not named, and without ``*``, is always open."""

    text: str
    by_country: Mapping[str, Window]

    def of(self, country: str | None) -> Window | None:
        return self.by_country.get(country or ANY) or self.by_country.get(ANY)


def parse_windows(text: str) -> Windows:
    """Raises UsageError ``timing_windows`` naming the part that is wrong."""
    found: dict[str, Window] = {}
    for part in (piece.strip() for piece in text.split(";")):
        if not part:
            continue
        country, _, rest = part.partition(" ")
        country = country.upper()
        if not _COUNTRY.fullmatch(country) or country in found or not rest.strip():
            raise UsageError("timing_windows", found=part)
        found[country] = _window(part, rest.split())
    return Windows("; ".join(piece.strip() for piece in text.split(";") if piece.strip()), found)


def marketing_windows(own: str) -> Windows:
    """The defaults, with one's own windows in place of those of the same country."""
    defaults, mine = parse_windows(MARKETING), parse_windows(own)
    text = "; ".join(text for text in (mine.text, defaults.text) if text)
    return Windows(text, {**defaults.by_country, **mine.by_country})


def read_back(text: str) -> Windows:
    """From :attr:`Windows.text`, where the first window of a country counts."""
    kept: dict[str, str] = {}
    for part in (piece.strip() for piece in text.split(";")):
        if part:
            kept.setdefault(part.partition(" ")[0].upper(), part)
    return Windows(text, parse_windows("; ".join(kept.values())).by_country)


def _window(part: str, words: list[str]) -> Window:
    spans = tuple(sorted(_span(part, text) for text in words[0].split(",")))
    if any(end > begin for (_, end), (begin, _) in pairwise(spans)):
        raise UsageError("timing_windows", found=part)
    days, on_holidays, names_days = frozenset(range(7)), False, False
    for word in words[1:]:
        if word.casefold() == "+holidays":
            on_holidays = True
        else:
            days, names_days = frozenset(day for piece in word.split(",") for day in _days(part, piece)), True
    return Window(spans, days, on_holidays, names_days)


def _span(part: str, text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise UsageError("timing_windows", found=part)
    hour, minute, to_hour, to_minute = map(int, found.groups())
    begin, end = hour * 60 + minute, to_hour * 60 + to_minute
    if minute > 59 or to_minute > 59 or begin >= _MINUTES or end > _MINUTES or begin == end:
        raise UsageError("timing_windows", found=part)
    return begin, end if end > begin else end + _MINUTES


def _days(part: str, text: str) -> list[int]:
    first, _, last = text.casefold().partition("-")
    if first not in DAYS or (last or first) not in DAYS:
        raise UsageError("timing_windows", found=part)
    start, end = DAYS.index(first), DAYS.index(last or first)
    return [day % 7 for day in range(start, (end if end >= start else end + 7) + 1)]
