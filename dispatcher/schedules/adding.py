"""A schedule about to be added."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dispatcher.errors import UsageError
from dispatcher.ledger.schedules import NewSchedule, Schedule
from dispatcher.schedules.options import BatchOptions, to_json
from dispatcher.schedules.timetable import Timetable

_NAME = re.compile(r"\w[\w.-]{0,63}")  # it is typed, and stands in file names, logs and lines for scripts


def check_name(name: str) -> None:
    """UsageError for a name that could not be typed as one word."""
    if not _NAME.fullmatch(name):
        raise UsageError("schedule_name", found=name)


def one_per_reminder(name: str, batches: Sequence[BatchOptions]) -> Mapping[str, BatchOptions]:
    """By name: a batch alone is called ``name``, several reminders ``name.24h``, ``name.2h`` and are its group.

    Each has ticks of its own, so that what becomes of one reminder is told apart from the others.
    """
    if len(batches) == 1:
        return {name: batches[0]}
    named = {}
    for batch in batches:
        timing = batch.request.plan.options.timing
        offset = timing.remind_before if timing is not None else None
        named[f"{name}.{offset}"] = replace(batch, group=name)
    return named


def called(name: str, schedules: Sequence[Schedule]) -> list[Schedule]:
    """The schedule of this name, or all of a group."""
    return [each for each in schedules if name in (each.name, each.options.get("group"))]


def check_new(name: str, schedules: Sequence[Schedule]) -> None:
    """UsageError for a name that a schedule or a group has: ``remove`` has to know which is meant."""
    if called(name, schedules):
        raise UsageError("schedule_exists", found=name)


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
