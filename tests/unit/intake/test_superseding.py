"""Lists that are read again, and what still waits of their older versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dispatcher.campaign.timing.reminding import ReminderKeys
from dispatcher.intake.consent import Consent
from dispatcher.intake.house import House, Watcher
from dispatcher.intake.superseding import Older, list_name, older_versions, supersede_older
from dispatcher.ledger import CampaignState, Ledger, RowState
from tests.unit.loaded import load_campaign, loadable_row

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
TUESDAY, WEDNESDAY = NOW + timedelta(days=2), NOW + timedelta(days=3)
ANNA, LUCA, SARA, EVA = "+393123456789", "+393987654321", "+393471234567", "+393401234567"
FILE = ("file /c",)
C, R = CampaignState, RowState
Row = tuple[str, datetime] | tuple[str, datetime, str] | tuple[str, datetime, str, RowState]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    yield opened
    opened.dispose()


def begun(
    ledger: Ledger,
    number: int,
    *rows: Row,
    names: Sequence[str] = FILE,
    about: str = "24h before appointment",
    key: str | None = None,
    **other: Any,
) -> int:
    """A campaign that waits: each row somebody, an appointment, perhaps its key, and a state."""
    reminds = "before" in about
    keys, loaded = ReminderKeys("24h"), []
    for n, (who, appointment, *more) in enumerate(rows):
        named, state = (*more, *(None, R.READY)[len(more) :])
        facts: dict[str, Any] = {"recipient": who, "guard_key": keys.key(who, appointment, named)}
        if not reminds:
            facts["guard_key"] = who.rjust(16).encode()
        if state is R.READY:
            facts["due_at"] = appointment - timedelta(days=1)
        loaded.append(loadable_row(2 + n, state, **facts))
    options: dict[str, Any] = {"list": {"names": list(names), "about": about, "key": key}}
    options |= {"remind_before": "24h"} if reminds else {}
    campaign = load_campaign(ledger, number, loaded, NOW, options=options, **other)
    ledger.campaigns.begin_preflight(campaign, NOW)
    ledger.campaigns.start_sending(campaign, NOW)
    ledger.campaigns.finish_if_done(campaign, NOW)
    return campaign


def superseded(ledger: Ledger, newer: int) -> list[Older]:
    return supersede_older(ledger, ledger.queries.campaign(newer), NOW)


def waiting(ledger: Ledger, campaign: int) -> list[str]:
    """Who is still to be told something by it."""
    return sorted(str(row.recipient) for row in ledger.queries.report_rows(campaign) if row.state is R.READY)


def test_what_was_moved_or_deleted_is_withdrawn_with_a_reason_and_announced(ledger: Ledger) -> None:
    older = begun(ledger, 1, (ANNA, TUESDAY), (LUCA, TUESDAY), (SARA, WEDNESDAY), (EVA, TUESDAY))
    newer = begun(ledger, 2, (ANNA, WEDNESDAY), (SARA, WEDNESDAY))
    assert older_versions(ledger, ledger.queries.campaign(newer)) == [Older(older, "people.xlsx", 4, True)]
    assert waiting(ledger, older) == sorted([ANNA, LUCA, SARA, EVA])  # it was only looked at
    assert superseded(ledger, newer) == [Older(older, "people.xlsx", 4, True)]
    cancelled = list(ledger.queries.report_rows(older))
    assert {(row.state, row.reason) for row in cancelled} == {(R.CANCELLED, "superseded")}
    assert ledger.queries.campaign(older).state is C.FINISHED
    assert waiting(ledger, newer) == sorted([ANNA, SARA])
    assert superseded(ledger, newer) == []
    assert [event.detail["rows"] for event in ledger.events.of(older, "superseded")] == [4]


@pytest.mark.parametrize(
    ("before", "after", "replaced"),
    [
        # one and the same reminder is enough: the doctor is ill, and almost everybody was cancelled
        ([(ANNA, TUESDAY), (LUCA, TUESDAY), (SARA, TUESDAY)], [(SARA, TUESDAY), (EVA, TUESDAY)], True),
        # everybody moved to an earlier day
        ([(ANNA, WEDNESDAY), (LUCA, WEDNESDAY)], [(ANNA, TUESDAY), (LUCA, TUESDAY)], True),
        # half of them moved, the others are gone
        ([(ANNA, WEDNESDAY), (LUCA, WEDNESDAY)], [(ANNA, TUESDAY)], True),
        # some moved to a later day, some to an earlier hour
        ([(ANNA, TUESDAY), (LUCA, TUESDAY)], [(ANNA, WEDNESDAY), (LUCA, TUESDAY - HOUR)], True),
        # the next day's list, in which everybody comes again
        ([(ANNA, TUESDAY), (LUCA, TUESDAY)], [(ANNA, WEDNESDAY), (LUCA, WEDNESDAY)], False),
        # the next day's list, in which somebody comes again
        ([(ANNA, TUESDAY), (LUCA, TUESDAY), (SARA, TUESDAY)], [(ANNA, WEDNESDAY), (EVA, WEDNESDAY)], False),
        # another doctor's list under the same name
        ([(ANNA, TUESDAY), (LUCA, TUESDAY)], [(SARA, TUESDAY), (EVA, TUESDAY)], False),
        # of those who stand in it nothing can be read
        ([(ANNA, TUESDAY), (LUCA, TUESDAY)], [(ANNA, TUESDAY, None, R.INVALID), (EVA, TUESDAY)], False),
        # hidden, opted out, already reminded: it says all the same that they stand in it
        ([(ANNA, TUESDAY), (LUCA, TUESDAY)], [(ANNA, WEDNESDAY, None, R.ALREADY_SENT)], True),
    ],
)
def test_a_newer_version_is_told_from_the_next_list(
    ledger: Ledger, before: list[Row], after: list[Row], replaced: bool
) -> None:
    older, newer = begun(ledger, 1, *before), begun(ledger, 2, *after)
    (found,) = superseded(ledger, newer)
    assert found == Older(older, "people.xlsx", len(before), replaced)
    assert waiting(ledger, older) == ([] if replaced else sorted(row[0] for row in before))


def test_a_key_column_tells_a_moved_appointment_from_another_one(ledger: Ledger) -> None:
    older = begun(ledger, 1, (ANNA, TUESDAY, "a1"), (LUCA, TUESDAY, "b1"), key="id")
    next_days = begun(ledger, 2, (ANNA, WEDNESDAY, "a2"), (LUCA, WEDNESDAY, "b2"), key="id")
    assert [found.replaced for found in superseded(ledger, next_days)] == [False]
    moved = begun(ledger, 3, (ANNA, WEDNESDAY, "a1"), (EVA, WEDNESDAY, "c1"), key="id")
    assert {found.campaign: found.replaced for found in superseded(ledger, moved)} == {
        older: True,
        next_days: False,
    }


def test_who_cannot_be_read_in_the_newer_version_keeps_what_the_older_one_says(ledger: Ledger) -> None:
    older = begun(ledger, 1, (ANNA, TUESDAY), (LUCA, TUESDAY), (SARA, TUESDAY))
    newer = begun(ledger, 2, (ANNA, TUESDAY, None, R.INVALID), (LUCA, TUESDAY))
    assert [found.replaced for found in superseded(ledger, newer)] == [True]
    assert waiting(ledger, older) == [ANNA]


@pytest.mark.parametrize(
    ("after", "replaced"),
    [([ANNA, LUCA], True), ([ANNA], False), ([ANNA, EVA], False)],
    ids=["two of three", "one", "one of another part"],
)
def test_texts_at_a_time_need_half_of_the_people(ledger: Ledger, after: list[str], replaced: bool) -> None:
    rows = [(who, TUESDAY) for who in (ANNA, LUCA, SARA)]
    begun(ledger, 1, *rows, about="at sendat")
    newer = begun(ledger, 2, *((who, TUESDAY) for who in after), about="at sendat")
    assert [found.replaced for found in superseded(ledger, newer)] == [replaced]


@pytest.mark.parametrize(
    "other",
    [
        {"about": "2h before appointment"},
        {"about": "24h before checkup"},
        {"about": "at sendat"},
        {"names": ("file /d",)},
        {"names": ("schedule clinic",)},
        {"gateway": "production"},
    ],
    ids=str,
)
def test_another_list_is_let_be(ledger: Ledger, other: dict[str, Any]) -> None:
    older, newer = begun(ledger, 1, (ANNA, TUESDAY), **other), begun(ledger, 2, (ANNA, WEDNESDAY))
    assert superseded(ledger, newer) == []
    assert superseded(ledger, older) == []
    assert waiting(ledger, older) == [ANNA]


def test_one_name_in_common_is_the_same_list_and_a_newer_one_is_never_withdrawn(ledger: Ledger) -> None:
    older = begun(ledger, 1, (ANNA, TUESDAY), names=("file /link/to/c", "schedule clinic"))
    newer = begun(ledger, 2, (ANNA, WEDNESDAY), names=("file /c", "schedule clinic"))
    assert superseded(ledger, older) == []
    assert [found.campaign for found in superseded(ledger, newer)] == [older]


@pytest.mark.parametrize("stop", ["hold", "pause", "halt"])
def test_one_that_waits_for_a_person_is_withdrawn_as_well_and_closed(ledger: Ledger, stop: str) -> None:
    older = begun(ledger, 1, (ANNA, WEDNESDAY))
    stops = {"hold": ledger.campaigns.hold, "halt": ledger.campaigns.halt}
    assert stops[stop](older, "bug", NOW) if stop in stops else ledger.campaigns.pause(older, NOW)
    newer = begun(ledger, 2, (ANNA, TUESDAY))
    assert [found.replaced for found in superseded(ledger, newer)] == [True]
    assert ledger.queries.campaign(older).state in (C.CANCELLED, C.FINISHED)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a/Clinic.xlsx", "/a/clinic.report.xlsx"),
        ("/a/clinic.xls", "/a/clinic.simulated.report-2.xlsx"),
        ("/a/citt\u00e0.csv", "/a/citta\u0300.csv"),
    ],
)
def test_a_list_is_known_by_its_name_in_any_format_and_as_its_own_report(one: str, other: str) -> None:
    assert list_name(one) == list_name(other)
    assert list_name(one) != list_name("/b" + one)


class Told:
    """A watcher that keeps what it hears of older versions."""

    def __init__(self) -> None:
        self.older: list[Older] = []

    def older_versions(self, found: Sequence[Older]) -> None:
        self.older += found


def consent(ledger: Ledger, told: Told) -> Consent:
    clock = SimpleNamespace(now=lambda: NOW)
    return Consent(cast(House, SimpleNamespace(ledger=ledger, clock=clock)), cast(Watcher, told), None)


def test_whoever_goes_on_with_one_that_is_under_way_withdraws_what_a_dead_process_left(
    ledger: Ledger,
) -> None:
    older = begun(ledger, 1, (ANNA, TUESDAY), (LUCA, TUESDAY))
    newer, told = begun(ledger, 2, (ANNA, TUESDAY)), Told()
    consent(ledger, told).supersede(ledger.queries.campaign(newer))
    assert told.older == [Older(older, "people.xlsx", 2, True)]
    assert waiting(ledger, older) == []


def test_one_that_was_cancelled_before_it_began_withdraws_nothing(ledger: Ledger) -> None:
    older = begun(ledger, 1, (ANNA, TUESDAY), (LUCA, TUESDAY))
    newer, told = begun(ledger, 2, (ANNA, TUESDAY)), Told()
    asked = ledger.queries.campaign(newer)
    assert ledger.campaigns.cancel(newer, NOW)
    consent(ledger, told).supersede(asked)
    assert waiting(ledger, older) == sorted([ANNA, LUCA])
