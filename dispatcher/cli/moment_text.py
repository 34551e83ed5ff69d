"""A moment as people read it: always on the clock of the settings, and never without saying which clock that is."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from dispatcher.wording import Wording


def moment_text(words: Wording, moment: datetime, zone: ZoneInfo) -> str:
    """Day of the week, date and time in the reader's language: ``Monday 30 November 09:00``.

    For sentences that name the zone themselves.
    """
    from babel.dates import format_datetime

    return str(format_datetime(moment, "EEEE d MMMM HH:mm", tzinfo=zone, locale=words.language))


def stamp(moment: datetime, zone: ZoneInfo) -> str:
    """For lists: ``2026-11-30 09:00 CET``."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def clock(moment: datetime, zone: ZoneInfo) -> str:
    """For what is a matter of minutes: ``09:00:30 CET``."""
    return f"{moment.astimezone(zone):%H:%M:%S %Z}"
