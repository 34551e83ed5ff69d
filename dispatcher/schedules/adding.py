"""A schedule about to be added."""

from __future__ import annotations

import re

from dispatcher.errors import UsageError
from dispatcher.ledger.schedules import NewSchedule
from dispatcher.schedules.options import BatchOptions, to_json
from dispatcher.schedules.timetable import Timetable

_NAME = re.compile(r"\w[\w.-]{0,63}")  # it is typed, and stands in file names, logs and lines for scripts


def check_name(name: str) -> None:
    """UsageError for a name that could not be typed as one word."""
    if not _NAME.fullmatch(name):
        raise UsageError("schedule_name", found=name)


def new_schedule(
    name: str, gateway: str, batch: BatchOptions, timetable: Timetable, late_minutes: int
) -> NewSchedule:
    """As the ledger takes it."""
    return NewSchedule(
        name=name,
        gateway=gateway,
        file=str(batch.request.plan.file),
        cron=timetable.cron,
        timezone=timetable.timezone,
        late_minutes=late_minutes,
        options=to_json(batch),
    )
