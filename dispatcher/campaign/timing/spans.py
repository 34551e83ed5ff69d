"""Lengths of time as people type them: ``90m``, ``24h``, ``2d``."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from dispatcher.errors import UsageError

_SPAN = re.compile(r"(?P<n>\d{1,5})\s*(?P<unit>m|min|h|d|g|w)", re.IGNORECASE)
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "g": "days", "w": "weeks"}
EXAMPLES = "90m, 24h, 2d"


@dataclass(frozen=True)
class Span:
    """Hours and minutes are time that passes; ``days`` are days of the calendar.

    A day before 10:00 is 10:00 the day before, also when the clocks change in between; 24 hours before may then be
    9:00 or 11:00.
    """

    text: str
    days: int = 0
    exact: dt.timedelta = dt.timedelta(0)

    @property
    def length(self) -> dt.timedelta:
        """With days of 24 hours: for comparing spans."""
        return dt.timedelta(days=self.days) + self.exact


def parse_span(text: str, flag: str) -> Span:
    """Raises UsageError ``timing_span`` for what is none, or nothing at all (``0h``)."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or int(found["n"]) == 0:
        digits = text.strip()
        example = f"{digits}d" if digits.isdecimal() and int(digits) else "24h"
        raise UsageError("timing_span", flag=flag, found=text, allowed=EXAMPLES, example=example)
    length = dt.timedelta(**{_UNITS[found["unit"].lower()]: int(found["n"])})
    calendar = found["unit"].lower() in ("d", "g", "w")
    minutes = round(length.total_seconds() / 60)
    hours = f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
    written = f"{length.days}d" if calendar else hours
    return Span(written, days=length.days if calendar else 0, exact=dt.timedelta(0) if calendar else length)
