"""Schedules as they run: by a clock that stands where it is put, and as processes that are stopped and killed."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dispatcher.application import Application
from dispatcher.campaign.columns import ColumnOptions
from dispatcher.campaign.plan import PlanOptions
from dispatcher.campaign.prices import Funds
from dispatcher.campaign.timing.options import TimingOptions
from dispatcher.errors import DispatcherError, UsageError
from dispatcher.gateway.simulator import Fault, Faults
from dispatcher.intake.follow import follow
from dispatcher.intake.house import House
from dispatcher.intake.loading import identify
from dispatcher.intake.planning import PlanRequest
from dispatcher.intake.requests import LaunchRequest
from dispatcher.ledger import CampaignState, Ledger, NewCampaign, RowState, to_instant
from dispatcher.ledger.schedule_tables import TickState
from dispatcher.ledger.schedules import Schedule, Tick
from dispatcher.schedules.adding import new_schedule
from dispatcher.schedules.batches import Batches
from dispatcher.schedules.options import BatchOptions, from_json, to_json
from dispatcher.schedules.scheduler import AGAIN, Happening, Scheduler
from dispatcher.schedules.timetable import Timetable
from dispatcher.schedules.unattended import Unattended
from dispatcher.sending.services import Services, SystemClock
from dispatcher.settings import load
from dispatcher.wording import Wording
from tests.integration.cluster import new_cluster
from tests.integration.processes import TOKEN, Cli, GatewayOutside, Running, once_each, people, write_rows
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey
from tests.unit.loaded import load_campaign, loadable_row

DAILY = Timetable("0 18 * * *", "Europe/Rome")
BEFORE = datetime(2027, 3, 26, 12, tzinfo=UTC)  # a Friday; on Sunday the clocks change
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
FRIDAY, SATURDAY, SUNDAY = DAILY.next(BEFORE, 3)


@dataclass
class Clock:
    """Stands where it is put."""

    at: datetime = BEFORE

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Clinic:
    """One ledger, one schedule for one file, and schedulers that are made to look."""

    application: Application
    house: House
    clock: Clock
    file: Path
    gateway: GatewayOutside
    happened: list[Happening] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)

    @property
    def ledger(self) -> Ledger:
        return self.house.ledger

    def schedule(self, **request: Any) -> Schedule:
        """Add the schedule; ``request`` are facts of the launch."""
        columns = ColumnOptions(phone="phone", message="text")
        again, timing = request.pop("again", False), request.pop("timing", None)
        plan = PlanRequest(file=self.file, options=PlanOptions(columns=columns, again=again, timing=timing))
        batch = BatchOptions(LaunchRequest(plan=plan, **request), no_limit="max_cost" not in request)
        new = new_schedule("clinic", self.house.gateway, batch, DAILY, 60)
        self.ledger.schedules.add([new], self.clock.now())
        (schedule,) = self.ledger.schedules.all()
        return schedule

    def scheduler(self, owner: str = "") -> Scheduler:
        house = replace(self.house, owner=owner or self.house.owner)
        return Scheduler(
            self.ledger,
            house.gateway,
            self.clock,
            Batches(house, self.application.price_book),
            owner=house.owner,
            may_take=lambda owner: owner in self.gone,
            tell=self.happened.append,
        )

    def look(self, at: datetime, scheduler: Scheduler | None = None) -> None:
        self.clock.at = at
        (scheduler or self.scheduler()).step()

    def send(self) -> None:
        """What a worker does meanwhile."""
        for campaign in self.ledger.queries.campaigns_in(CampaignState.SENDING):
            follow(self.house, Unattended(lambda: True), campaign.id, threading.Event())

    def fire(self, tick: datetime) -> Tick:
        """A tick from its moment to its end."""
        self.look(tick + MINUTE)
        self.send()
        self.look(tick + 2 * MINUTE)
        return self.last()

    def last(self) -> Tick:
        (schedule,) = self.ledger.schedules.all()
        (tick,) = self.ledger.schedules.history(schedule.id)
        return tick

    def names(self) -> list[str]:
        return [happening.name for happening in self.happened]


@pytest.fixture
def clinic(tmp_path: Path, machine: Path, gateway: GatewayOutside) -> Iterator[Clinic]:
    flags = {"gateway": gateway.url, "token": TOKEN, "ledger": f"sqlite:///{tmp_path / 'l' / 'ledger.db'}"}
    configuration = load({**flags, "rate_per_minute": 60_000, "quiet_seconds": 1}, environ={})
    with ExitStack() as stack:
        application = stack.enter_context(Application(configuration, Wording("en")))
        clock = Clock()
        house = replace(application.house(Funds({}, None)), clock=clock)
        yield Clinic(application, house, clock, write_rows(tmp_path / "clinic.csv", people(3)), gateway)


def test_the_file_is_read_again_at_each_tick(clinic: Clinic) -> None:
    clinic.schedule()
    clinic.look(FRIDAY - MINUTE)
    assert clinic.happened == []
    friday = clinic.fire(FRIDAY)
    assert (friday.at, friday.state, friday.outcome, friday.detail["counts"]) == (
        FRIDAY,
        TickState.DONE,
        "finished",
        {"accepted": 3},
    )
    assert Path(friday.detail["report"]).is_file()
    write_rows(clinic.file, people(5))
    saturday = clinic.fire(SATURDAY)
    assert saturday.detail["counts"] == {"accepted": 2, "already_sent": 3}
    assert not saturday.detail["unchanged"]
    sunday = clinic.fire(SUNDAY)  # an hour earlier by UTC: the clocks have changed
    assert timedelta(hours=23) == SUNDAY - SATURDAY
    assert (sunday.outcome, sunday.detail["counts"]) == ("finished", {"already_sent": 5})
    assert sunday.detail["unchanged"]
    assert clinic.gateway.sends() == once_each(people(5))
    assert clinic.names() == ["claimed", "begun", "ended"] * 3


def test_what_was_moved_or_deleted_since_the_last_tick_is_withdrawn_wherever_the_link_leads(
    clinic: Clinic,
) -> None:
    def export(day: str, *rows: str) -> None:
        file = clinic.file.with_name(f"{day}.csv")
        file.write_text("phone,text,when\n" + "".join(f"{row}\n" for row in rows))
        clinic.file.unlink()
        clinic.file.symlink_to(file)

    anna, luca, eva = ("+393123400001,Hello Anna.", "+393123400002,Hello Luca.", "+393123400003,Hello Eva.")
    clinic.schedule(timing=TimingOptions("Europe/Rome", remind_before="1d", date_column="when"))
    monday, tuesday = "2027-03-29 12:00", "2027-03-30 12:00"
    export("friday", *(f"{who},{monday}" for who in (anna, luca, eva)))
    clinic.look(FRIDAY + MINUTE)
    export("saturday", f"{anna},{tuesday}", f"{eva},{monday}")
    clinic.look(SATURDAY + MINUTE)
    older, newer = clinic.ledger.queries.campaign(1), clinic.ledger.queries.campaign(2)
    assert older.source["path"] != newer.source["path"]
    assert clinic.ledger.queries.counts(1) == {RowState.CANCELLED: 3}
    assert clinic.ledger.queries.counts(2) == {RowState.READY: 2}
    clinic.look(SATURDAY + 2 * MINUTE)  # the first tick is over: its report says what was withdrawn
    assert clinic.happened[-1].facts["counts"] == {"cancelled": 3}
    assert "superseded" in Path(clinic.happened[-1].facts["report"]).read_text("utf-8-sig")


def test_a_list_that_nobody_replaced_is_not_sent_again_when_the_guards_days_are_over(clinic: Clinic) -> None:
    clinic.schedule()
    for day, tick in enumerate(DAILY.next(BEFORE, 20)):
        if day in (0, 6, 13, 19):
            clinic.fire(tick)
    assert clinic.gateway.sends() == once_each(people(3))


def test_again_means_every_time(clinic: Clinic) -> None:
    clinic.schedule(again=True)
    clinic.fire(FRIDAY)
    assert clinic.fire(SATURDAY).detail["counts"] == {"accepted": 3}
    assert set(clinic.gateway.sends().values()) == {2}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda file: file.unlink(), "sheet_not_found"),
        (lambda file: file.write_bytes(b""), "sheet_empty_file"),
        (lambda file: file.write_bytes(b"%PDF-1.7\n" * 50), "sheet_other_kind"),
        (lambda file: (file.unlink(), file.mkdir()), "sheet_is_directory"),
        (lambda file: file.write_text("name,town\nAda,Rome\n"), "columns_no_such"),
    ],
    ids=["missing", "empty", "pdf", "folder", "no numbers"],
)
def test_a_file_that_cannot_be_sent_is_reported_and_the_next_tick_is_tried(
    clinic: Clinic, spoil: Callable[[Path], object], code: str
) -> None:
    clinic.schedule()
    spoil(clinic.file)
    friday = clinic.fire(FRIDAY)
    assert (friday.state, friday.outcome, friday.campaign_id) == (TickState.FAILED, code, None)
    (failed,) = [happening.error for happening in clinic.happened if happening.name == "failed"]
    assert failed is not None
    again = DispatcherError(code, **friday.detail["facts"])  # as `list` tells it
    assert Wording("it").error(again) == Wording("it").error(failed)
    if clinic.file.is_dir():
        clinic.file.rmdir()
    write_rows(clinic.file, people(3))
    assert clinic.fire(SATURDAY).outcome == "finished"
    assert clinic.gateway.sends() == once_each(people(3))


def test_a_tick_that_was_missed_is_skipped_or_fired_once(clinic: Clinic) -> None:
    clinic.schedule()
    clinic.look(SATURDAY + timedelta(hours=2))
    assert (clinic.last().state, clinic.last().at, clinic.last().detail) == (
        TickState.MISSED,
        FRIDAY,
        {"count": 2},
    )
    clinic.look(SUNDAY + timedelta(minutes=59))
    clinic.send()
    clinic.look(SUNDAY + timedelta(minutes=61))
    assert (clinic.last().at, clinic.last().outcome) == (SUNDAY, "finished")
    assert clinic.gateway.sends() == once_each(people(3))
    assert clinic.names() == ["missed", "claimed", "begun", "ended"]


def test_of_files_that_are_due_at_once_the_small_ones_are_begun_first(clinic: Clinic) -> None:
    first = clinic.schedule()
    write_rows(clinic.file, people(9))
    small = write_rows(clinic.file.with_name("small.csv"), people(1, first=50))
    batch = from_json("small", first.options)
    plan = replace(batch.request.plan, file=small)
    other = replace(batch, request=replace(batch.request, plan=plan))
    clinic.ledger.schedules.add(
        [new_schedule("small", clinic.house.gateway, other, DAILY, 60)], clinic.clock.now()
    )
    clinic.look(FRIDAY + MINUTE)
    begun = [each.schedule.name for each in clinic.happened if each.name == "begun"]
    assert begun == ["small", "clinic"]


def test_two_schedulers_fire_once(clinic: Clinic) -> None:
    clinic.schedule()
    one, two = clinic.scheduler("one"), clinic.scheduler("two")
    for scheduler in (one, two, one, two):
        clinic.look(FRIDAY + MINUTE, scheduler)
    clinic.send()
    for scheduler in (two, one):
        clinic.look(FRIDAY + MINUTE, scheduler)
    assert clinic.names() == ["claimed", "begun", "ended"]
    assert clinic.gateway.sends() == once_each(people(3))


def claimed(clinic: Clinic, schedule: Schedule, owner: str = "dead") -> Tick:
    """What a scheduler leaves that dies right after its claim."""
    now = FRIDAY + MINUTE
    assert clinic.ledger.schedules.claim(schedule, fire=FRIDAY, missed=None, until=now, owner=owner, now=now)
    clinic.gone.add(owner)
    return clinic.last()


def test_killed_between_tick_and_campaign(clinic: Clinic) -> None:
    tick = claimed(clinic, clinic.schedule())
    clinic.gone.clear()  # it may live yet
    clinic.look(FRIDAY + 2 * MINUTE)
    assert clinic.names() == []
    clinic.gone.add(tick.owner)
    assert clinic.fire(FRIDAY + 2 * MINUTE).outcome == "finished"
    assert clinic.names() == ["taken_over", "begun", "ended"]
    assert clinic.gateway.sends() == once_each(people(3))


def test_killed_while_the_plan_was_written_down(clinic: Clinic) -> None:
    """Half of a campaign goes, and the file is planned again."""
    schedule = clinic.schedule()
    tick = claimed(clinic, schedule)
    plan = from_json(schedule.name, schedule.options).request.plan
    identity = identify(plan)
    half = clinic.ledger.loading.create_campaign(
        NewCampaign(
            name="clinic",
            file_name="clinic.csv",
            file_sha256=identity.sha256,
            fingerprint=identity.fingerprint,
            gateway=clinic.house.gateway,
            owner="dead",
        ),
        clinic.clock.now(),
    )
    assert clinic.ledger.schedules.begun(tick, half)
    ended = clinic.fire(FRIDAY + MINUTE)
    assert ended.outcome == "finished"
    assert ended.campaign_id != half
    assert [campaign.id for campaign in clinic.ledger.queries.campaigns()] == [ended.campaign_id]
    assert clinic.gateway.sends() == once_each(people(3))


def test_killed_after_the_plan_goes_on_with_it_whatever_became_of_the_file(clinic: Clinic) -> None:
    schedule = clinic.schedule()
    tick = claimed(clinic, schedule, "first")
    batches = Batches(replace(clinic.house, services=_no_services), clinic.application.price_book)
    with pytest.raises(Killed):
        batches.start(schedule, tick)
    (left,) = clinic.ledger.queries.campaigns()
    assert left.state is CampaignState.PREFLIGHT
    write_rows(clinic.file, people(3, first=50))
    ended = clinic.fire(FRIDAY + MINUTE)
    assert (ended.campaign_id, ended.outcome) == (left.id, "finished")
    assert len(clinic.ledger.queries.campaigns()) == 1
    assert clinic.gateway.sends() == once_each(people(3))


class Killed(BaseException):
    """As if the process had ended here."""


def _no_services() -> Any:
    raise Killed


def test_what_was_begun_and_is_too_late_now_is_cancelled(clinic: Clinic) -> None:
    schedule = clinic.schedule()
    batches = Batches(replace(clinic.house, services=_no_services), clinic.application.price_book)
    with pytest.raises(Killed):
        batches.start(schedule, claimed(clinic, schedule))
    clinic.look(FRIDAY + timedelta(minutes=60))
    assert clinic.last().state is TickState.MISSED
    (left,) = clinic.ledger.queries.campaigns()
    assert left.state is CampaignState.CANCELLED
    assert clinic.fire(SATURDAY).outcome == "finished"
    assert clinic.gateway.sends() == once_each(people(3))


def test_one_that_was_taken_for_dead_begins_nothing_more(clinic: Clinic) -> None:
    schedule = clinic.schedule()
    tick = claimed(clinic, schedule, "slow")
    assert clinic.ledger.schedules.take_over(tick, "other")
    slow = clinic.scheduler("slow")
    slow._begin(
        schedule, tick, lambda: Batches(clinic.house, clinic.application.price_book).start(schedule, tick)
    )
    assert clinic.happened == []
    assert clinic.ledger.queries.campaigns() == []
    assert clinic.gateway.received() == []


def test_what_a_person_paused_is_left_alone(clinic: Clinic) -> None:
    clinic.schedule()
    clinic.look(FRIDAY + MINUTE)
    (campaign,) = clinic.ledger.queries.campaigns()
    assert clinic.ledger.campaigns.pause(campaign.id, clinic.clock.now())
    clinic.look(FRIDAY + 2 * MINUTE)
    assert clinic.last().outcome == "paused"
    saturday = clinic.fire(SATURDAY)  # the same file, so the same campaign
    assert (saturday.state, saturday.outcome) == (TickState.FAILED, "schedule_campaign_stopped")
    assert clinic.ledger.queries.campaign(campaign.id).state is CampaignState.PAUSED
    assert clinic.gateway.sends() == {}


def test_above_the_limit_nothing_is_sent(clinic: Clinic) -> None:
    clinic.schedule(max_cost=Decimal("0.01"))
    clinic.look(FRIDAY + MINUTE)
    clinic.send()
    clinic.look(FRIDAY + 2 * MINUTE)
    assert (clinic.last().outcome, clinic.last().detail["reason"]) == ("held", "cost_cap")


def test_a_gateway_that_is_away_is_tried_again_until_it_is_too_late(clinic: Clinic) -> None:
    clinic.schedule()
    clinic.house = replace(clinic.house, services=_hurried(clinic.house))
    simulator, scheduler = clinic.gateway.simulator, clinic.scheduler()
    simulator.set_faults(Faults({Fault.ERROR_BEFORE: 1.0}, only_sends=False))
    moment = FRIDAY + MINUTE
    for _ in range(3):
        clinic.look(moment, scheduler)
        clinic.look(moment + AGAIN / 2, scheduler)  # not yet
        moment += AGAIN
    assert clinic.names() == ["claimed", "waits", "waits", "waits"]
    simulator.set_faults(Faults())
    clinic.look(moment, scheduler)
    clinic.send()
    clinic.look(moment, scheduler)
    assert clinic.last().outcome == "finished"
    write_rows(clinic.file, people(5))
    simulator.set_faults(Faults({Fault.ERROR_BEFORE: 1.0}, only_sends=False))
    clinic.look(SATURDAY + timedelta(minutes=59, seconds=40), scheduler)
    assert (clinic.last().state, clinic.last().outcome) == (TickState.FAILED, "preflight_no_answer")
    simulator.set_faults(Faults())
    assert clinic.fire(SUNDAY).detail["counts"] == {"accepted": 2, "already_sent": 3}
    assert clinic.gateway.sends() == once_each(people(5))


def _hurried(house: House) -> Callable[[], AbstractAsyncContextManager[Services]]:
    """Does not wait before it tries again."""

    class Hurry(SystemClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(0)

    @asynccontextmanager
    async def services() -> AsyncIterator[Services]:
        async with house.services() as parts:
            yield replace(parts, clock=Hurry())

    return services


def test_options_come_back_as_they_were_and_unknown_ones_are_refused(clinic: Clinic) -> None:
    schedule = clinic.schedule(max_cost=Decimal("20.50"), report_dir=clinic.file.parent)
    batch = from_json("clinic", schedule.options)
    assert to_json(batch) == schedule.options
    assert batch.request.max_cost == Decimal("20.50")
    assert identify(batch.request.plan) == identify(from_json("clinic", to_json(batch)).request.plan)
    newer: dict[str, Any] = json.loads(json.dumps(schedule.options))
    newer["request"]["plan"]["options"]["at_most"] = 3
    with pytest.raises(UsageError) as caught:
        from_json("clinic", newer)
    assert (caught.value.code, caught.value.found) == ("schedule_options", "request.plan.options.at_most")
    del newer["request"]["plan"]["options"]["at_most"], newer["request"]["max_cost"]
    with pytest.raises(UsageError) as caught:
        from_json("clinic", newer)
    assert caught.value.code == "schedule_needs_limit"


# --- as processes


def add(cli: Cli, rows: list[tuple[str, str]], *flags: str) -> None:
    """A schedule whose last tick was five minutes ago, as if no service had been running."""
    write_rows(cli.folder / "clinic.csv", rows)
    tick = datetime.now(UTC) - 5 * MINUTE
    when = ("--cron", f"{tick.minute} {tick.hour} * * *", "--timezone", "UTC")
    added = cli.json("schedule", "add", "clinic", "--file", "clinic.csv", *when, "--no-limit", *flags)
    assert added["code"] == 0, added
    with opened(cli) as ledger, ledger._database.write() as connection:
        moment = to_instant(tick - 5 * MINUTE)
        connection.exec_driver_sql(f"UPDATE schedules SET watched_until = {moment}")


@contextmanager
def opened(cli: Cli) -> Iterator[Ledger]:
    """The ledger of the processes."""
    ledger = Ledger.open(cli.env["DISPATCHER_LEDGER"], create=True)
    yield ledger
    ledger.dispose()


def last(cli: Cli) -> dict[str, Any]:
    (schedule,) = cli.json("schedule", "list")["schedules"]
    found: dict[str, Any] = schedule["last"] or {}
    return found


def service(cli: Cli) -> Running:
    running = cli.start("schedule", "run", "--json")
    return running.when(lambda: '"started"' in running.said)


def events(running: Running, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in running.said.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name and "schedule" in line]


def test_add_list_remove(cli: Cli, gateway: GatewayOutside) -> None:
    write_rows(cli.folder / "clinic.csv", [*people(3), ("123", "To nobody.")])
    command = ("schedule", "add", "clinic", "--file", "clinic.csv", "--cron", "0 18 * * 1-5")
    added = cli.json(*command, "--max-cost", "20", "--timezone", "Atlantic/Canary", "--late", "15")
    assert (added["code"], added["schedule"], added["max_cost"], added["late_minutes"]) == (
        0,
        "clinic",
        "20",
        15,
    )
    assert added["file"] == str(cli.folder / "clinic.csv")
    assert added["plan"]["counts"] == {"ready": 3, "invalid": 1}
    times = [datetime.fromisoformat(each) for each in added["next"]]
    assert len(times) == 3
    assert {(each.hour, each.weekday() < 5) for each in times} == {(18, True)}
    twice = cli.json(*command, "--no-limit")
    assert (twice["code"], twice["error"]["code"]) == (2, "schedule_exists")
    (listed,) = cli.json("schedule", "list")["schedules"]
    assert (listed["next"], listed["last"], listed["gateway"]) == (added["next"], None, gateway.url)
    said = cli("schedule", "list", "--lang", "it").out
    assert "prossime volte" in said
    assert gateway.received() == []  # nothing before the first tick, no dry run either
    unknown = cli.json("schedule", "remove", "klinik")
    assert (unknown["code"], unknown["error"]["code"]) == (2, "schedule_unknown")
    assert "clinic" in unknown["error"]["expected"]
    assert cli.json("schedule", "remove", "clinic") == {
        "removed": "clinic",
        "schedules": ["clinic"],
        "code": 0,
    }
    assert cli.json("schedule", "list")["schedules"] == []


def test_reminders_are_planned_again_at_each_tick(cli: Cli, gateway: GatewayOutside) -> None:
    day = f"{datetime.now(UTC) + 3 * DAY:%Y-%m-%d}"
    (cli.folder / "clinic.csv").write_text(f"phone,text,appointment\n+393123400001,Hello.,{day} 10:00\n")
    flags = ("--cron", "0 18 * * *", "--no-limit", "--remind-before", "24h", "--date-column", "appointment")
    added = cli.json("schedule", "add", "clinic", "--file", "clinic.csv", *flags, "--cap", "1 per 24h")
    assert (added["code"], added["plan"]["counts"]) == (0, {"ready": 1})
    with opened(cli) as ledger:
        (schedule,) = ledger.schedules.all()
    timing = from_json("clinic", schedule.options).request.plan.options.timing
    assert timing.offset is not None
    assert timing.offset.length == DAY
    assert to_json(from_json("clinic", schedule.options)) == schedule.options


def test_every_reminder_is_kept_and_removed_with_the_others(cli: Cli, gateway: GatewayOutside) -> None:
    day = f"{datetime.now(UTC) + 5 * DAY:%Y-%m-%d}"
    (cli.folder / "clinic.csv").write_text(f"phone,text,appointment\n+393123400001,Hello.,{day} 10:00\n")
    flags = ("--file", "clinic.csv", "--cron", "0 18 * * *", "--no-limit", "--date-column", "appointment")
    offsets = ("--remind-before", "2h", "--remind-before", "3d", "--remind-before", "24h")
    added = cli.json("schedule", "add", "clinic", *flags, *offsets)
    names = ["clinic.3d", "clinic.24h", "clinic.2h"]
    assert (added["code"], [each["schedule"] for each in added["reminders"]]) == (0, names)
    offset = [each["plan"]["times"]["remind_before"] for each in added["reminders"]]
    assert offset == ["3d", "24h", "2h"]
    with opened(cli) as ledger:
        kept = {each.name: from_json(each.name, each.options) for each in ledger.schedules.all()}
    timings = {name: batch.request.plan.options.timing for name, batch in kept.items()}
    assert {name: (t.remind_before, t.useless_at) for name, t in timings.items() if t is not None} == {
        "clinic.3d": ("3d", "24h"),
        "clinic.24h": ("24h", "2h"),
        "clinic.2h": ("2h", None),
    }
    for taken in ("clinic", "clinic.2h"):
        twice = cli.json("schedule", "add", taken, *flags, "--remind-before", "1h")
        assert (twice["code"], twice["error"]["code"]) == (2, "schedule_exists")
    removed = cli.json("schedule", "remove", "clinic")
    assert sorted(removed["schedules"]) == sorted(names)
    assert cli.json("schedule", "list")["schedules"] == []


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ((), "schedule_needs_limit"),
        (("--no-limit", "--max-cost", "3"), "usage_contradiction"),
        (("--no-limit", "--cron", "every day"), "schedule_cron"),
        (("--no-limit", "--timezone", "Rome"), "schedule_timezone"),
        (("--no-limit", "--file", "other.csv"), "sheet_not_found"),
        (("--no-limit", "--message", "Hello {{ nobody }}"), None),
        (("--no-limit", "--dry-run"), "usage"),
        (("--no-limit", "--late", "0"), "usage"),
    ],
)
def test_what_a_schedule_cannot_be_is_refused_before_anything_is_written(
    cli: Cli, gateway: GatewayOutside, flags: tuple[str, ...], code: str | None
) -> None:
    write_rows(cli.folder / "clinic.csv", people(2))
    ended = cli.json("schedule", "add", "clinic", "--file", "clinic.csv", "--cron", "0 18 * * *", *flags)
    assert ended["code"] in (2, 3)
    assert code in (None, ended["error"]["code"])
    assert cli.json("schedule", "list")["schedules"] == []


def test_a_gateway_has_to_be_named(cli: Cli) -> None:
    write_rows(cli.folder / "clinic.csv", people(2))
    add = ("schedule", "add", "clinic", "--file", "clinic.csv", "--cron", "0 18 * * *", "--no-limit")
    for command in (add, ("schedule", "run")):
        ended = cli.json(*command)
        assert (ended["code"], ended["error"]["code"]) == (2, "settings_gateway_required")


needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="there a child cannot be ended politely")


@needs_signals
@pytest.mark.long
def test_the_service_fires_and_serves_others_and_ends_politely(cli: Cli, gateway: GatewayOutside) -> None:
    rows = people(3)
    add(cli, rows)
    with opened(cli) as ledger:
        due = loadable_row(2, recipient="+393123499999", text="You wait.", due_at=datetime.now(UTC))
        waiting = load_campaign(ledger, 1, [due], datetime.now(UTC), gateway=gateway.url)
        ledger.campaigns.begin_preflight(waiting, datetime.now(UTC))
        ledger.campaigns.start_sending(waiting, datetime.now(UTC))
        ledger.campaigns.wait(waiting, "due_times", datetime.now(UTC))
    running = service(cli)
    running.when(lambda: bool(events(running, "ended")) and gateway.sends().total() == 4)
    ended = running.signal(signal.SIGTERM).ended(30)
    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert [line["event"] for line in ended.lines] == ["started", "claimed", "begun", "ended", "ended"]
    assert ended.lines[3]["counts"] == {"accepted": 3}
    assert gateway.sends() == once_each([*rows, ("+393123499999", "You wait.")])
    assert (last(cli)["outcome"], last(cli)["unchanged"]) == ("finished", False)
    assert (cli.folder / "clinic.report.csv").is_file()


@needs_signals
@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL])
def test_a_service_that_ends_during_the_preflight_leaves_its_tick_to_the_next(
    cli: Cli, gateways: Callable[..., GatewayOutside], number: signal.Signals
) -> None:
    gateway = gateways(faults=Faults(latency=(2.0, 3.0), only_sends=False))
    rows = people(40, texts=40)
    add(cli, rows)
    running = service(cli)
    running.when(lambda: len(gateway.received()) > 3)
    assert running.signal(number).ended(60).code in (0, -number)
    assert last(cli)["state"] == "running"
    assert not gateway.accepted()
    gateway.simulator.set_faults(Faults())
    write_rows(cli.folder / "clinic.csv", people(5, first=70))  # too late for this tick
    running = service(cli)
    running.when(lambda: bool(events(running, "ended")))
    assert (events(running, "taken_over")[0]["campaign"], events(running, "ended")[0]["campaign"]) == (1, 1)
    running.signal(signal.SIGTERM).ended(30)
    assert gateway.sends() == once_each(rows)


@needs_signals
@pytest.mark.long
def test_killed_while_sending(cli: Cli, gateways: Callable[..., GatewayOutside]) -> None:
    """The others go out; what was in flight is in doubt, and looked for as after any crash."""
    gateway = gateways(faults=Faults(latency=(0.0, 0.3)))
    rows = people(600)
    add(cli, rows)
    running = service(cli)
    running.when(lambda: gateway.sends().total() > 100)
    running.signal(signal.SIGKILL).ended()
    gateway.simulator.set_faults(Faults())
    with opened(cli) as ledger:

        def is_through() -> bool:
            counts = ledger.queries.counts(1)
            return counts.get(RowState.READY, 0) <= 1 and not counts.get(
                RowState.SENDING
            )  # the witness waits

        running = service(cli).when(is_through)
        assert len(ledger.queries.campaigns()) == 1
    assert running.signal(signal.SIGTERM).ended(30).code == 0
    assert set(gateway.sends()) <= set(rows)
    assert set(gateway.sends().values()) == {1}
    assert last(cli)["state"] in ("running", "done")


@needs_signals
def test_two_services_fire_once(cli: Cli, gateway: GatewayOutside) -> None:
    rows = people(20)
    add(cli, rows)
    both = [cli.start("schedule", "run", "--json") for _ in range(2)]
    for running in both:
        running.when(lambda: sum(len(events(each, "ended")) for each in both) == 1)
    assert [running.signal(signal.SIGTERM).ended(30).code for running in both] == [0, 0]
    assert sum(len(events(running, "claimed")) for running in both) == 1
    assert gateway.sends() == once_each(rows)


@pytest.mark.long
@needs_signals
def test_two_services_of_several_machines_fire_once(
    tmp_path: Path, cli: Cli, gateway: GatewayOutside, postgres: Postgres, valkey: Valkey
) -> None:
    rows = people(20)
    with new_cluster(cli, postgres, valkey):
        add(cli, rows)
        both = [
            cli.start("schedule", "run", "--json", XDG_DATA_HOME=str(tmp_path / f"machine-{number}"))
            for number in range(2)
        ]
        for running in both:
            running.when(lambda: sum(len(events(each, "ended")) for each in both) == 1)
        assert [running.signal(signal.SIGTERM).ended(30).code for running in both] == [0, 0]
    assert sum(len(events(running, "claimed")) for running in both) == 1
    assert gateway.sends() == once_each(rows)
