"""How a typed cell of a workbook becomes text: dates, times, numbers and yes/no as the reader writes them.

Text cells are never touched; only numbers, dates, times and booleans have to be written out.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import StrEnum

# A whole number above this is printed with an exponent: nobody means its 22 digits.
_LARGEST_WRITTEN_OUT = 1e21

# Spreadsheets store a time of day as a fraction of "day zero", which readers hand over as one of these dates.
_DAY_ZERO = frozenset({dt.date(1899, 12, 30), dt.date(1899, 12, 31)})
_LAST_DAY_ZERO = dt.date(1900, 1, 1)  # only with a time: alone it is the first real date of the calendar


class Locale(StrEnum):
    """Whose conventions are used when cells become text."""

    IT = "it"
    ES = "es"
    EN = "en"


_BOOLEANS = {
    Locale.IT: ("falso", "vero"),
    Locale.ES: ("falso", "verdadero"),
    Locale.EN: ("FALSE", "TRUE"),
}


def render(value: object, locale: Locale) -> str:
    """The text of one cell: ``393331234567.0`` -> ``393331234567``, ``12.5`` -> ``12,5`` (en: ``12.5``).

    Dates are ``05/12/2026`` in every locale, with a time ``05/12/2026 09:30`` (midnight is left out, seconds
    are shown when there are any); a time alone is ``09:30``, a duration ``33:30``.  Text comes back
    unchanged, None as "".

    Raises TypeError for a value no spreadsheet has.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):  # before int: True is one
        return _BOOLEANS[locale][value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        return _number(value, locale)
    if isinstance(value, dt.datetime):  # before date: a datetime is one
        return _moment(value)
    if isinstance(value, dt.date):
        return "00:00" if value in _DAY_ZERO else _date(value)
    if isinstance(value, dt.time):
        return _time(dt.datetime.combine(_LAST_DAY_ZERO, value.replace(tzinfo=None)))
    if isinstance(value, dt.timedelta):
        return _duration(value)
    raise TypeError(f"a cell cannot hold {type(value).__name__}")


def _number(value: float | Decimal, locale: Locale) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WRITTEN_OUT:
        return str(int(value))
    if isinstance(value, float):
        # 15 digits are what a spreadsheet keeps and shows; 0.1 + 0.2 must not become 0.30000000000000004.
        value = Decimal(format(value, ".15g"))
    if not value.is_finite() or abs(value) >= _LARGEST_WRITTEN_OUT:
        return str(value)
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text if locale is Locale.EN else text.replace(".", ",")


def _moment(value: dt.datetime) -> str:
    value = _whole_seconds(value.replace(tzinfo=None))
    midnight = value.time() == dt.time(0)
    if value.date() in _DAY_ZERO or (value.date() == _LAST_DAY_ZERO and not midnight):
        return _time(value)
    return _date(value) if midnight else f"{_date(value)} {_time(value)}"


def _date(value: dt.date) -> str:
    return f"{value.day:02}/{value.month:02}/{value.year:04}"  # strftime does not pad early years everywhere


def _time(value: dt.datetime) -> str:
    value = _whole_seconds(value)
    return f"{value.hour:02}:{value.minute:02}" + (f":{value.second:02}" if value.second else "")


def _whole_seconds(value: dt.datetime) -> dt.datetime:
    """Nearest second: a stored 09:30 is a binary fraction of a day and can arrive as 09:29:59.999997."""
    if value.microsecond == 0:
        return value
    rounded = value.replace(microsecond=0)
    return rounded + dt.timedelta(seconds=1) if value.microsecond >= 500_000 else rounded


def _duration(value: dt.timedelta) -> str:
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return text + (f":{seconds % 60:02}" if seconds % 60 else "")
