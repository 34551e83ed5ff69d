"""What a purge does beside the ledger: kept inputs, the simulator's state, and what it refuses."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from dispatcher.campaign.plan_model import PlanOptions
from dispatcher.campaign.timing.caps import parse_cap
from dispatcher.campaign.timing.options import TimingOptions
from dispatcher.errors import UsageError
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.intake.inputs import inputs_of
from dispatcher.intake.planning import PlanRequest
from dispatcher.intake.purging import Purge, Purged, longest_cap, plan_purge, read_age
from dispatcher.intake.requests import LaunchRequest
from dispatcher.ledger import CampaignState, Ledger
from dispatcher.ledger.schedules import NewSchedule
from dispatcher.schedules.options import BatchOptions, to_json
from tests.unit.loaded import START, load_campaign, loadable_row

NOW = START + timedelta(days=100)
AGE = timedelta(days=90)
NUMBER, TEXT = "+393123400007", "Grüße an Ada Lovelace"


@dataclass
class Place:
    """A ledger with its folder; purged at NOW."""

    ledger: Ledger
    folder: Path

    def ended(self, number: int, kept: Path | None = None, at: datetime = START) -> int:
        """A campaign that was cancelled at ``at``."""
        facts = {"input_path": None if kept is None else str(kept)}
        campaign = load_campaign(self.ledger, number, [loadable_row(2), loadable_row(3)], at, **facts)
        assert self.ledger.campaigns.cancel(campaign, at)
        return campaign

    def input(self, name: str, days: int = 0) -> Path:
        """A kept input, written so many days after START."""
        return self.file(inputs_of(self.folder, self.ledger) / name, days)

    def file(self, path: Path, days: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Ada,333")
        written = (START + timedelta(days=days)).timestamp()
        os.utime(path, (written, written))
        return path

    def purge(self, age: timedelta = AGE) -> Purged:
        plan = plan_purge(self.ledger, age, NOW)
        return Purge(self.ledger, self.folder, timedelta(days=7), lambda: NOW).run(plan)


@contextmanager
def client_of(state: Path) -> Iterator[httpx.Client]:
    """Of a simulator whose state is the file."""
    with SimulatorThread(SimulatorConfig(state=state)) as running, httpx.Client() as client:
        client.base_url = running.url
        client.headers["Authorization"] = "Bearer simulator"
        yield client


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'd' / 'ledger.db'}", create=True, busy_seconds=0.5)
    yield Place(ledger, tmp_path / "d")
    ledger.dispose()


def test_inputs_go_with_the_last_campaign_that_needs_them(place: Place) -> None:
    shared, alone, fresh = place.input("a.xlsx"), place.input("b.csv"), place.input("c.csv", days=99)
    draft, aside = place.input("tmpx1"), place.input("d.csv.purged")  # what somebody left who was killed
    first = place.ended(1, shared)
    second = place.ended(2, alone)
    young = place.ended(3, shared, at=START + timedelta(days=50))
    done = place.purge()
    assert (done.campaigns, done.rows, done.inputs, done.compacted) == ([first, second], 4, 3, True)
    assert [path.exists() for path in (shared, alone, fresh, draft, aside)] == [
        True,
        False,
        True,
        False,
        False,
    ]
    again = place.purge(timedelta(days=10))
    assert (again.campaigns, again.inputs) == ([young], 1)
    assert not shared.exists()
    assert fresh.exists()  # a launch may be about to write its campaign down


def test_inputs_of_other_ledgers_in_the_same_folder_stay(place: Place) -> None:
    shared = place.folder / "inputs"
    others = [place.file(shared / "0a1b2c3d" / "a.csv"), place.file(shared / "b.csv")]
    mine = [place.input("a.csv"), place.file(shared / "c.csv")]  # and where all of them were kept before
    for number, path in enumerate(mine, 1):
        place.ended(number, path)
    assert place.purge().inputs == 2
    assert [path.exists() for path in (*others, *mine)] == [True, True, False, False]


def test_an_input_that_a_launch_takes_at_that_moment_is_put_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = place.input("a.csv")
    answers = iter([set[str](), set[str](), {str(kept)}])  # the third time, it is aside
    monkeypatch.setattr(type(place.ledger.purging), "inputs", lambda _: next(answers))
    assert place.purge().inputs == 0
    assert kept.read_text() == "Ada,333"


def test_a_second_purge_finds_nothing(place: Place) -> None:
    place.ended(1)
    assert place.purge().rows == 2
    done = place.purge()
    assert (done.campaigns, done.rows, done.inputs, done.simulated, done.hashes) == ([], 0, 0, 0, 0)


def test_what_could_not_be_made_small_is_done_by_the_next_purge(place: Place) -> None:
    campaign = place.ended(1)
    assert place.ledger.path is not None
    reader = sqlite3.connect(place.ledger.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM rows").fetchone()
    assert not place.purge().compacted
    assert place.ledger.queries.campaign(campaign).purged_at == NOW
    reader.execute("COMMIT")
    reader.close()
    assert place.ledger.compacting.is_due()
    assert place.purge().compacted
    assert not place.ledger.compacting.is_due()


def test_the_simulators_state_forgets_too_and_its_numbers_go_on(place: Place) -> None:
    state = place.folder / "simulator.db"
    with client_of(state) as client:
        callback = {"url": "http://127.0.0.1:9/", "custom": {"row": TEXT}}
        body = {"recipient": NUMBER, "message": TEXT, "sender": "Studio", "callback": callback}
        sent = [client.post("/IT-messages", json=body).json()["data"]["id"] for _ in range(3)]
        client.post("/otp", json={"recipient": NUMBER, "cacheSeconds": 1})
    files = sorted(place.folder.glob("simulator.db*"))
    assert NUMBER.encode() in b"".join(path.read_bytes() for path in files)

    soon = datetime.now(UTC) + timedelta(days=4)
    plan = plan_purge(place.ledger, timedelta(days=3), soon)
    work = Purge(place.ledger, place.folder, timedelta(days=7), lambda: soon)
    assert work.run(plan).simulated == 4
    assert work.run(plan).simulated == 0
    left = b"".join(path.read_bytes() for path in sorted(place.folder.glob("simulator.db*")))
    for telling in (NUMBER, NUMBER[3:], TEXT, "Lovelace", "verifica"):
        assert telling.encode() not in left
    with client_of(state) as client:
        fresh = client.post("/IT-messages", json={"recipient": NUMBER, "message": "Hello."}).json()
        listed = client.get("/messages").json()["data"]
    assert fresh["data"]["id"] not in sent
    assert [(each["recipient"], each["message"]) for each in listed] == [(NUMBER, "Hello."), ("", "")]


def test_what_a_purge_leaves(place: Place) -> None:
    planned = load_campaign(place.ledger, 1, [loadable_row(2)], START)
    plan = plan_purge(place.ledger, AGE, NOW)
    assert [(each.id, each.state) for each in plan.left] == [(planned, CampaignState.PLANNED)]
    assert place.purge().rows == 0
    assert place.ledger.queries.texts(planned, [2])


def test_the_longest_cap_is_that_of_an_open_campaign_or_a_schedule(place: Place) -> None:
    assert longest_cap(place.ledger) is None
    for number, cap in enumerate(("1 per 40d", "2 per 24h", "3 per 10d"), 1):
        options = {"cap": cap}
        campaign = load_campaign(place.ledger, number, [loadable_row(2)], START, options=options)
        if number == 1:
            assert place.ledger.campaigns.cancel(campaign, START)
    assert longest_cap(place.ledger) == parse_cap("3 per 10d")
    timing = TimingOptions(zone="Europe/Rome", cap="1 per 30d")
    plan = PlanRequest(file=Path("a.csv"), options=PlanOptions(timing=timing))
    for name, request in (("plain", LaunchRequest(PlanRequest(Path("b.csv")))), ("s", LaunchRequest(plan))):
        options = to_json(BatchOptions(request))
        schedule = NewSchedule(
            name=name,
            gateway="g",
            file="f",
            cron="* * * * *",
            timezone="UTC",
            late_minutes=9,
            options=options,
        )
        place.ledger.schedules.add([schedule], START)
    assert longest_cap(place.ledger) == parse_cap("1 per 30d")


@pytest.mark.parametrize(
    ("text", "cap", "code"),
    [
        ("90d", None, None),
        ("3d", "1 per 72h", None),
        ("2d", None, "purge_too_young"),
        ("71h", None, "purge_too_young"),
        ("30d", "3 per 31d", "purge_cap"),
        ("soon", None, "timing_span"),
    ],
)
def test_how_old(text: str, cap: str | None, code: str | None) -> None:
    limit = None if cap is None else parse_cap(cap)
    if code is None:
        assert read_age(text, limit) >= timedelta(days=3)
    else:
        with pytest.raises(UsageError, match=code):
            read_age(text, limit)
