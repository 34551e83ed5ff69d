"""A moment as people read it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from dispatcher.wording import Wording


def moment_text(words: Wording, moment: datetime, zone: ZoneInfo) -> str:
    """Day of the week, date and time in the reader's language: ``Monday 30 November 09:00``."""
    return str(format_datetime(moment, "EEEE d MMMM HH:mm", tzinfo=zone, locale=words.language))
