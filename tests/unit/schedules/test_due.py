"""Which tick is fired and which are missed, whatever the service did meanwhile."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.ledger import Ledger
from dispatcher.ledger.schedule_tables import TickState
from dispatcher.ledger.schedules import NewSchedule, Schedule
from dispatcher.schedules.due import COUNTED, Due, Missed, due, is_late
from dispatcher.schedules.timetable import Timetable

DAILY = Timetable("0 18 * * *", "Europe/Rome")
OFTEN = Timetable("*/10 * * * *", "Europe/Rome")
HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2027-01-{text}:00+00:00")


@pytest.mark.parametrize(
    ("table", "watched_until", "now", "expected"),
    [
        (DAILY, "10T12:00", "10T16:59", None),
        (DAILY, "10T12:00", "10T17:00", Due(at("10T17:00"), None)),
        (DAILY, "10T12:00", "10T17:59", Due(at("10T17:00"), None)),
        (DAILY, "10T12:00", "10T18:00", Due(None, Missed(at("10T17:00"), 1))),
        (DAILY, "10T17:00", "10T17:30", None),
        (DAILY, "10T12:00", "12T17:05", Due(at("12T17:00"), Missed(at("10T17:00"), 2))),
        (DAILY, "10T12:00", "13T03:00", Due(None, Missed(at("10T17:00"), 3))),
        # once, not three times
        (OFTEN, "10T12:00", "10T12:30", Due(at("10T12:30"), Missed(at("10T12:10"), 2))),
        (OFTEN, "10T12:00", "10T12:09", None),
        (OFTEN, "01T00:00", "28T00:05", Due(at("28T00:00"), Missed(at("01T00:10"), COUNTED))),
    ],
)
def test_what_is_due(table: Timetable, watched_until: str, now: str, expected: Due | None) -> None:
    assert due(table, at(watched_until), at(now), HOUR) == expected


def test_late_begins_at_the_minute_that_was_named() -> None:
    tick = at("10T17:00")
    assert not is_late(tick, tick + HOUR - timedelta(seconds=1), HOUR)
    assert is_late(tick, tick + HOUR, HOUR)


crons = st.sampled_from(
    ["* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "0 18 * * *", "15 1,2,3 * * *"]
)
zones = st.sampled_from(["Europe/Rome", "Europe/Madrid", "Atlantic/Canary", "UTC"])
looks = st.lists(
    st.tuples(st.integers(0, 60 * 36), st.integers(0, 1), st.booleans()), min_size=1, max_size=25
)


@settings(max_examples=40, deadline=None)
@given(
    cron=crons,
    zone=zones,
    start=st.sampled_from([datetime(2027, 3, 27, 12, tzinfo=UTC), datetime(2027, 10, 30, 12, tzinfo=UTC)]),
    late=st.integers(1, 180),
    looks=looks,
)
def test_whatever_the_stops_and_starts_each_tick_is_fired_at_most_once_and_in_order(
    cron: str, zone: str, start: datetime, late: int, looks: list[tuple[int, int, bool]]
) -> None:
    """Two schedulers look now and then; a look may be by what was read long ago (``stale``)."""
    table, most = Timetable(cron, zone), timedelta(minutes=late)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.open(f"sqlite:///{Path(folder) / 'ledger.db'}", create=True)
        new = NewSchedule(
            name="s", gateway="g", file="f", cron=cron, timezone=zone, late_minutes=late, options={}
        )
        ledger.schedules.add([new], start)
        (first,) = ledger.schedules.all()
        read: dict[int, Schedule] = {0: first, 1: first}
        now, fired, missed = start, [], 0
        for minutes, scheduler, stale in looks:
            now += timedelta(minutes=minutes, seconds=7)
            if not stale:
                (read[scheduler],) = ledger.schedules.all()
            found = due(table, read[scheduler].watched_until, now, most)
            if found is None:
                continue
            gone = None if found.missed is None else (found.missed.first, {"count": found.missed.count})
            owner = f"scheduler {scheduler}"
            if ledger.schedules.claim(
                read[scheduler], fire=found.fire, missed=gone, until=now, owner=owner, now=now
            ):
                fired += [found.fire] if found.fire else []
                missed += found.missed.count if found.missed else 0
        (last,) = ledger.schedules.all()
        history = ledger.schedules.history(last.id, 1_000)
        ledger.dispose()
    ticks = list(takewhile(lambda tick: tick <= last.watched_until, table.after(start)))
    assert fired == sorted(set(fired))
    assert set(fired) <= set(ticks)
    assert [tick.at for tick in reversed(history) if tick.state is TickState.RUNNING] == fired
    if missed < COUNTED:
        assert len(fired) + missed == len(ticks)
