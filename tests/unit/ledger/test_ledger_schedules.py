"""Schedules and ticks in the ledger: one claim a tick, whoever races; an owner that lost it changes nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher.errors import UsageError
from dispatcher.ledger import Ledger
from dispatcher.ledger.schedule_tables import TickState, schedules, ticks
from dispatcher.ledger.schedules import NewSchedule, Schedule, Tick
from tests.unit.loaded import START

TOGETHER = 4
NEW = NewSchedule(
    name="clinic",
    gateway="sandbox",
    file="/srv/clinic.xlsx",
    cron="0 18 * * *",
    timezone="Europe/Rome",
    late_minutes=60,
    options={"again": False, "nested": {"max_cost": "20.00"}},
)
AT = START + timedelta(hours=8)
SEEN = AT + timedelta(minutes=1)


def added(ledger: Ledger, **other: Any) -> Schedule:
    ledger.schedules.add([replace(NEW, **other)], START)
    return next(each for each in ledger.schedules.all() if each.name == other.get("name", NEW.name))


def claimed(ledger: Ledger, schedule: Schedule, owner: str = "one") -> Tick:
    assert ledger.schedules.claim(schedule, fire=AT, missed=None, until=SEEN, owner=owner, now=SEEN)
    ((_, tick),) = ledger.schedules.running("sandbox")
    return tick


def test_what_was_added_is_there(ledger: Ledger) -> None:
    schedule = added(ledger)
    assert (schedule.options, schedule.watched_until, schedule.created_at) == (NEW.options, START, START)
    assert ledger.schedules.history(schedule.id) == []
    added(ledger, name="a")
    assert [each.name for each in ledger.schedules.all()] == ["a", "clinic"]


def test_a_name_is_taken_once(ledger: Ledger) -> None:
    first = added(ledger)
    with pytest.raises(UsageError) as caught:
        ledger.schedules.add([replace(NEW, file="/other.csv")], START)
    assert (caught.value.code, caught.value.found) == ("schedule_exists", "clinic")
    assert ledger.schedules.all() == [first]


def test_removing_takes_the_ticks_along_and_the_name_is_free(ledger: Ledger) -> None:
    schedule = added(ledger)
    tick = claimed(ledger, schedule)
    assert ledger.schedules.remove("clinic", SEEN)
    assert not ledger.schedules.remove("clinic", SEEN)
    assert ledger.schedules.running("sandbox") == []
    assert not ledger.schedules.begun(tick, 1)
    again = added(ledger)
    assert again.id != schedule.id
    assert [event.kind for event in ledger.events.of()] == [
        "schedule_added",
        "schedule_removed",
        "schedule_added",
    ]


def test_a_claim_moves_the_schedule_on(ledger: Ledger) -> None:
    schedule = added(ledger)
    missed = (AT - timedelta(days=3), {"count": 3})
    assert ledger.schedules.claim(schedule, fire=AT, missed=missed, until=SEEN, owner="one", now=SEEN)
    assert not ledger.schedules.claim(schedule, fire=AT, missed=None, until=SEEN, owner="two", now=SEEN)
    (moved,) = ledger.schedules.all()
    assert moved == replace(schedule, watched_until=SEEN)
    fired, skipped = ledger.schedules.history(schedule.id, 10)
    assert (fired.at, fired.state, fired.owner, fired.campaign_id) == (AT, TickState.RUNNING, "one", None)
    assert (skipped.state, skipped.outcome, skipped.detail) == (TickState.MISSED, "missed", {"count": 3})
    assert ledger.schedules.running("sandbox") == [(moved, fired)]
    assert ledger.schedules.running("production") == []


def test_only_the_owner_writes_and_only_while_it_runs(ledger: Ledger) -> None:
    tick = claimed(ledger, added(ledger))
    assert ledger.schedules.begun(tick, 7)
    assert ledger.schedules.interrupted(tick)
    assert ledger.schedules.take_over(tick, "two")
    assert not ledger.schedules.take_over(tick, "three")
    assert not ledger.schedules.begun(tick, 8)
    assert not ledger.schedules.end(tick, TickState.DONE, "finished", {}, SEEN)
    ((_, there),) = ledger.schedules.running("sandbox")
    assert (there.owner, there.campaign_id, there.outcome) == ("two", 7, "interrupted")
    assert ledger.schedules.begun(there, 7)
    ((_, there),) = ledger.schedules.running("sandbox")
    assert there.outcome is None  # it is gone on with: a pause from now on is a person's
    assert ledger.schedules.end(there, TickState.DONE, "finished", {"rows": 2}, SEEN)
    assert not ledger.schedules.end(there, TickState.FAILED, "bug", {}, SEEN)
    assert ledger.schedules.running("sandbox") == []
    (done,) = ledger.schedules.history(there.schedule_id)
    assert (done.state, done.outcome, done.detail, done.finished_at) == (
        TickState.DONE,
        "finished",
        {"rows": 2},
        SEEN,
    )


def test_which_files_earlier_ticks_had(desk: Any) -> None:
    ledger, schedule = desk.ledger, added(desk.ledger)
    wanted = []
    for day in range(3):
        at = AT + timedelta(days=day)
        (current,) = ledger.schedules.all()
        assert ledger.schedules.claim(current, fire=at, missed=None, until=at, owner="one", now=at)
        ((_, tick),) = ledger.schedules.running("sandbox")
        campaign = None if day == 1 else desk.campaign(desk.rows(1), started=False)
        if campaign is not None:
            ledger.schedules.begun(tick, campaign)
            wanted.append((at, ledger.queries.campaign(campaign).file_sha256))
        assert ledger.schedules.end(tick, TickState.DONE, "finished", {}, at)
    later = AT + timedelta(days=3)
    assert ledger.schedules.files_before(schedule.id, later) == list(reversed(wanted))
    assert ledger.schedules.files_before(schedule.id, AT) == []


def test_the_database_itself_refuses_a_second_claim_and_half_an_end(desk: Any) -> None:
    tick = claimed(desk.ledger, added(desk.ledger))
    columns = "schedule_id, at, state, owner, detail, claimed_at"
    (values,) = desk.raw(f"SELECT {columns} FROM ticks")
    written = [value if not isinstance(value, dict) else "{}" for value in values]
    assert desk.refusal(f"INSERT INTO ticks ({columns}) VALUES (?, ?, ?, ?, ?, ?)", *written)
    assert desk.refusal("UPDATE ticks SET state = 2")
    assert desk.refusal("UPDATE ticks SET state = 2, finished_at = 1")
    assert desk.refusal("UPDATE ticks SET finished_at = 1")
    assert desk.refusal("UPDATE ticks SET state = 9, finished_at = 1, outcome = 'x'")
    assert desk.refusal("UPDATE schedules SET late_minutes = 0")
    assert not desk.refusal("UPDATE ticks SET state = 2, finished_at = 1, outcome = 'x'")
    assert desk.ledger.schedules.history(tick.schedule_id) == [tick]


def test_the_tables_are_described_as_they_are(desk: Any) -> None:
    for table in (schedules, ticks):
        with desk.ledger._database.read() as connection:
            found = connection.exec_driver_sql(f"SELECT * FROM {table.name}").keys()
        assert list(found) == [column.name for column in table.c]


def claims_at_once(url: str, schedule: Schedule) -> list[bool]:
    together = threading.Barrier(TOGETHER)

    def claim(number: int) -> bool:
        ledger = Ledger.open(url)
        try:
            together.wait(30)
            return ledger.schedules.claim(
                schedule, fire=AT, missed=None, until=SEEN, owner=f"scheduler {number}", now=SEEN
            )
        finally:
            ledger.dispose()

    with ThreadPoolExecutor(TOGETHER) as threads:
        return list(threads.map(claim, range(TOGETHER)))


def test_of_several_schedulers_at_once_one_claims_the_tick(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url, create=True)
    for number in range(5):
        schedule = added(ledger, name=f"s{number}")
        assert sorted(claims_at_once(ledger_url, schedule)) == [False] * (TOGETHER - 1) + [True]
        assert len(ledger.schedules.history(schedule.id, 10)) == 1
    ledger.dispose()


def test_of_several_schedulers_at_once_one_takes_a_tick_over(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url, create=True)
    tick, together = claimed(ledger, added(ledger), "dead"), threading.Barrier(TOGETHER)

    def take(number: int) -> bool:
        mine = Ledger.open(ledger_url)
        try:
            together.wait(30)
            return mine.schedules.take_over(tick, f"scheduler {number}")
        finally:
            mine.dispose()

    with ThreadPoolExecutor(TOGETHER) as threads:
        assert sum(threads.map(take, range(TOGETHER))) == 1
    ledger.dispose()


PROCESS = """
import sys
from datetime import timedelta
from pathlib import Path
from dispatcher.ledger import Ledger
from tests.unit.ledger.test_ledger_schedules import AT, SEEN

url, go, owner = sys.argv[1:]
ledger = Ledger.open(url)
read = ledger.schedules.all()
print("ready", flush=True)
while not Path(go).exists():
    pass
for schedule in read:
    if ledger.schedules.claim(schedule, fire=AT, missed=None, until=SEEN, owner=owner, now=SEEN):
        print(schedule.name, flush=True)
ledger.dispose()
"""


def test_of_two_processes_at_once_each_tick_is_one_s(ledger_url: str, tmp_path: Path) -> None:
    ledger = Ledger.open(ledger_url, create=True)
    names = {added(ledger, name=f"s{number}").name for number in range(8)}
    go = tmp_path / "go"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, ledger_url, str(go), f"process {number}"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        for number in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    go.touch()
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(said[0] + said[1]) == sorted(names)
    assert {schedule.name for schedule, _ in ledger.schedules.running("sandbox")} == names
    ledger.dispose()
