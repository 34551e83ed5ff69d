"""A date and a time out of a cell: ISO, figures, or words in English, Italian and Spanish.

Which of two figures is the day is never guessed.  A cell that was a date in the workbook is always day first, because
that is how :func:`dispatcher.campaign.locale.render` wrote it.  Typed text is day first in the Italian and Spanish
locale; in the English one it is read only where a single order makes a date, since Britain and America differ.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from dispatcher.campaign.locale import Locale
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.timing.words import MONTHS, WEEKDAYS, plain

_LONGEST = 60
_TIME = re.compile(
    r"(?:^|[\st,]|\b(?:ore|alle|alle ore|a las|las|at|h|hora|ora|orario)\b\.?:? ?)"
    r"(?P<hour>\d{1,2})(?:(?:[:.h](?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?)|(?=\s*[ap]\.?\s?m\b))"
    r"\s*(?:h|hrs?|ore)?\s*(?P<half>a\.?\s?m\b\.?|p\.?\s?m\b\.?)?"
    r"\s*(?P<offset>z|[+-]\d{2}:?\d{2})?$"
)
_LEFT_OVER = re.compile(r"(?:\s|,|;|\bt\b|\b(?:ore|alle|a las|at|h|del|delle|-)\b\.?:?)+$")
_ISO = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})$")
_FIGURES = re.compile(r"(?P<first>\d{1,2})[/.\- ](?P<second>\d{1,2})[/.\- ](?P<year>\d{4}|\d{2})$")
_WORDS = re.compile(r"[a-z]+|\d+")
_FILLERS = frozenset({"de", "del", "di", "the", "of", "il", "el", "st", "nd", "rd", "th"})


@dataclass(frozen=True)
class Moment:
    """What a cell says.  ``time`` is None where it has a date only; ``utc_offset`` where it names its own clock.

    ``by_locale``: another locale would have read another date.
    """

    date: dt.date
    time: dt.time | None = None
    utc_offset: dt.timedelta | None = None
    by_locale: bool = False

    @property
    def local(self) -> dt.datetime:
        """Date and time without a time zone; ValueError when there is no time."""
        if self.time is None:
            raise ValueError("a date without a time")
        return dt.datetime.combine(self.date, self.time)


def read_moment(text: str, locale: Locale, *, typed: bool = False) -> Moment | Reason:
    """The date, and the time if there is one; ``typed``: the cell was a date in the workbook, not text.

    DATE_MISSING, DATE_UNREADABLE, DATE_AMBIGUOUS, DATE_WEEKDAY (it names another day of the week).
    """
    bare = plain(text).strip(" ,;.")
    if not bare:
        return Reason.DATE_MISSING
    if len(bare) > _LONGEST:
        return Reason.DATE_UNREADABLE
    found = _TIME.search(bare)
    time: dt.time | None = None
    offset: dt.timedelta | None = None
    rest = bare
    if found and found.start() > 0:
        read = _time_of(found)
        if read is None:
            return Reason.DATE_UNREADABLE
        time, rest = read, _LEFT_OVER.sub("", bare[: found.start()])
        offset = _offset_of(found["offset"])
    date = _date_of(rest, locale, typed)
    if isinstance(date, Reason):
        return date
    return Moment(date[0], time, offset, by_locale=date[1])


def read_time(text: str) -> dt.time | Reason:
    """A time of day alone, as ``9:30``, ``ore 9.30``, ``9.30 pm``."""
    bare = plain(text).strip(" ,;")
    if not bare:
        return Reason.DATE_WITHOUT_TIME
    found = _TIME.match(bare) if len(bare) <= _LONGEST else None
    read = _time_of(found) if found and not found["offset"] else None
    return Reason.DATE_UNREADABLE if read is None else read


def _time_of(found: re.Match[str]) -> dt.time | None:
    hour, half = int(found["hour"]), (found["half"] or "")[:1]
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return dt.time(hour, int(found["minute"] or 0), int(found["second"] or 0))
    except ValueError:
        return None


def _offset_of(text: str | None) -> dt.timedelta | None:
    if text is None:
        return None
    if text == "z":
        return dt.timedelta(0)
    digits = text[1:].replace(":", "")
    offset = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if text[0] == "-" else offset


def _date_of(text: str, locale: Locale, typed: bool) -> tuple[dt.date, bool] | Reason:
    """The date, and whether the locale decided it."""
    iso = _ISO.match(text)
    if iso:
        return _checked(int(iso["year"]), int(iso["month"]), int(iso["day"]))
    weekday, text = _weekday_first(text)
    figures = _FIGURES.match(text)
    read = _in_figures(figures, locale, typed) if figures else _in_words(text)
    if isinstance(read, Reason):
        return read
    if weekday is not None and read[0].weekday() != weekday:
        return Reason.DATE_WEEKDAY
    return read


def _weekday_first(text: str) -> tuple[int | None, str]:
    """A day of the week that stands first, unless it is the month (``mar 3 2026``)."""
    found = re.match(r"([a-z]+)[.,]?\s+", text)
    if found is None or found[1] not in WEEKDAYS:
        return None, text
    rest = text[found.end() :]
    names_month = bool(_FIGURES.match(rest)) or any(word in MONTHS for word in _WORDS.findall(rest))
    return (WEEKDAYS[found[1]], rest) if names_month or found[1] not in MONTHS else (None, text)


def _in_figures(found: re.Match[str], locale: Locale, typed: bool) -> tuple[dt.date, bool] | Reason:
    first, second, year = int(found["first"]), int(found["second"]), _year(found["year"])
    if typed:
        return _checked(year, second, first)
    doubtful = first <= 12 and second <= 12 and first != second
    if locale is not Locale.EN:
        read = _checked(year, second, first)
        return read if isinstance(read, Reason) else (read[0], doubtful)
    if doubtful:
        return Reason.DATE_AMBIGUOUS
    return _checked(year, second, first) if second <= 12 else _checked(year, first, second)


def _in_words(text: str) -> tuple[dt.date, bool] | Reason:
    """One month by name and two figures: the day, and last the year."""
    words = [word for word in _WORDS.findall(text) if word not in _FILLERS]
    months = [MONTHS[word] for word in words if word in MONTHS]
    figures = [word for word in words if word.isdecimal()]
    if len(months) != 1 or len(figures) != 2 or len(words) != 3 or not words[2].isdecimal():
        return Reason.DATE_UNREADABLE
    day, year = figures
    if len(day) > 2 or len(year) not in (2, 4):
        return Reason.DATE_UNREADABLE
    return _checked(_year(year), months[0], int(day))


def _year(text: str) -> int:
    return int(text) + (2000 if len(text) == 2 else 0)


def _checked(year: int, month: int, day: int) -> tuple[dt.date, bool] | Reason:
    if not 2000 <= year < 2200:  # what is further away is a birthday or a slip, never a time to send at
        return Reason.DATE_UNREADABLE
    try:
        return dt.date(year, month, day), False
    except ValueError:
        return Reason.DATE_UNREADABLE
