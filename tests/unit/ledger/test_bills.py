"""What a campaign cost, added up from its rows; the same on a file and on a server."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from dispatcher.ledger import Decided, DeliveryReport, InDoubt, Ledger, Refused, RowState, bills
from dispatcher.ledger.bills import BillGroup
from dispatcher.ledger.database import Database, create_file, parse_url
from dispatcher.ledger.forecasts import Foretold
from dispatcher.ledger.migrations import MIGRATIONS, migrate
from tests.unit.loaded import RESERVE, START

D = Decimal


@pytest.fixture
def small_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bills, "STRETCH", 3)


def sent(desk: Any, rows: list[tuple[Any, ...]], charges: dict[int, str | None]) -> int:
    """A campaign whose ``charges`` rows are accepted, at these prices."""
    campaign = desk.campaign(rows)
    desk.claim(campaign, "t", limit=len(rows))
    desk.settle(
        campaign,
        *(
            desk.accepted(row, "t", actual_cost=None if price is None else D(price))
            for row, price in charges.items()
        ),
    )
    return campaign


def by_place(ledger: Ledger, campaign: int) -> dict[tuple[str | None, str | None, str], BillGroup]:
    groups = ledger.bills.groups(campaign)
    return {(group.route, group.country, group.state.code): group for group in groups}


@pytest.mark.usefixtures("small_stretches")
def test_groups_add_up_whatever_the_stretches(desk: Any) -> None:
    world = {"route": "WW", "country": "FR", "estimated_cost": None}
    rows = [
        *(desk.row(n) for n in range(2, 8)),
        desk.row(8, **world),
        desk.row(9, **world, parts=3),
        desk.row(20, estimated_cost=0),
        desk.row(21, RowState.INVALID, recipient=None, route=None, country=None, estimated_cost=None),
    ]
    charges = {2: "0.05", 3: "0.06", 4: "0.04", 5: None, 8: "0.07", 9: None, 20: "0.05"}
    campaign = sent(desk, rows, charges)
    found = by_place(desk.ledger, campaign)
    assert set(found) == {
        ("IT", "IT", "accepted"), ("IT", "IT", "sending"), ("WW", "FR", "accepted"), (None, None, "invalid")
    }  # fmt: skip
    italy = found["IT", "IT", "accepted"]
    assert (italy.rows, italy.parts, italy.estimated, italy.unestimated) == (5, 5, D("0.20"), 0)
    assert (italy.charged, italy.unpriced, italy.dearer, italy.cheaper) == (D("0.20"), 1, 1, 1)
    assert (italy.bundled, italy.bundled_parts, italy.bundled_charged) == (1, 1, D("0.05"))
    france = found["WW", "FR", "accepted"]
    assert (france.rows, france.parts, france.unestimated, france.charged) == (2, 4, 2, D("0.07"))
    assert (france.unpriced, france.dearer, france.cheaper) == (1, 0, 0)
    assert sum(group.rows for group in found.values()) == len(rows)


def test_differences_are_those_of_price_and_those_of_bundles(desk: Any) -> None:
    rows = [desk.row(n, estimated_cost=0 if n > 6 else RESERVE) for n in range(2, 10)]
    campaign = sent(desk, rows, {2: "0.05", 3: "0.051", 4: None, 5: "0.05", 7: "0.05", 8: "0"})
    desk.raw("UPDATE rows SET actual_parts = 2 WHERE row = 4")
    desk.raw("UPDATE rows SET actual_encoding = 2 WHERE row = 5")
    found = list(desk.ledger.bills.differences(campaign, bundled=False))
    assert [(each.row, each.charged, each.actual_parts, each.actual_encoding) for each in found] == [
        (3, D("0.051"), None, None),
        (4, None, 2, None),
        (5, D("0.05"), None, 2),
    ]
    assert [each.row for each in desk.ledger.bills.differences(campaign, bundled=True)] == [7]


@pytest.mark.usefixtures("small_stretches")
def test_the_timeline_counts_every_message_once(desk: Any) -> None:
    rows = desk.rows(9)
    campaign = sent(desk, rows, dict.fromkeys(range(2, 11), "0.05"))
    ends = {2: (30, RowState.DELIVERED), 3: (95, RowState.DELIVERED), 4: (95, RowState.EXPIRED)}
    desk.ledger.deliveries.record(
        "sandbox",
        [
            DeliveryReport(
                message_id=f"m{row}",
                seen_at=START,
                state=state,
                delivered_at=START + timedelta(seconds=after),
            )
            for row, (after, state) in ends.items()
        ],
        START,
    )
    timeline = desk.ledger.bills.timeline(campaign, most=60)
    assert timeline is not None
    assert timeline.width == timedelta(seconds=10)
    assert [(each.at, each.sent, each.delivered, each.failed) for each in timeline.moments] == [
        (START, 9, 0, 0),
        (START + timedelta(seconds=30), 0, 1, 0),
        (START + timedelta(seconds=90), 0, 1, 1),
    ]
    coarse = desk.ledger.bills.timeline(campaign, most=3)
    assert coarse is not None
    assert len(coarse.moments) <= 3
    assert sum(each.sent for each in coarse.moments) == 9


def test_there_is_no_timeline_before_the_first_message(desk: Any) -> None:
    assert desk.ledger.bills.timeline(desk.campaign(desk.rows(2)), most=60) is None


def test_forecasts_are_those_of_the_largest_preflight(desk: Any) -> None:
    campaign, forecasts = desk.campaign(desk.rows(2)), desk.ledger.forecasts
    forecasts.tell_bundles(campaign, {"IT": 40, "WW": 0}, START)
    forecasts.tell_dry_runs(campaign, {"IT": Foretold(rows=9, cost=D("0.45"))}, START)
    later = {"IT": Foretold(rows=2, cost=D("0.2")), "WW": Foretold(rows=1, cost=D("0.07"))}
    forecasts.tell_dry_runs(campaign, later, START)
    assert forecasts.bundles(campaign) == {"IT": 40}
    assert forecasts.dry_runs(campaign) == {
        "IT": Foretold(rows=9, cost=D("0.45")),
        "WW": Foretold(rows=1, cost=D("0.07")),
    }
    assert forecasts.last_dry_runs(campaign) == later


def test_the_sums_follow_every_move_of_a_row(desk: Any) -> None:
    campaign = desk.campaign([*(desk.row(n) for n in range(2, 10)), desk.row(10, estimated_cost=0)])
    desk.claim(campaign, "a", limit=6)
    desk.settle(
        campaign,
        desk.accepted(2, "a", actual_cost=D("0.05")),
        desk.accepted(3, "a", parts=2, encoding=2),
        desk.not_sent(4, "a"),
        InDoubt(token="a", row=5),
        Refused(token="a", row=6, reason="refused_by_gateway"),
    )
    desk.check_counters(campaign)
    desk.ledger.rows.exclude(campaign, [9], RowState.OPTED_OUT, "opted_out", desk.now)
    desk.ledger.rows.resolve_doubt(campaign, 5, Decided(sent=True, by="a person"), desk.now)
    news = DeliveryReport(message_id="m3", seen_at=desk.now, state=RowState.DELIVERED, actual_cost=D("0.03"))
    desk.ledger.deliveries.record("sandbox", [news], desk.now)
    desk.check_counters(campaign)
    desk.ledger.campaigns.cancel(campaign, desk.now)
    desk.check_counters(campaign)
    assert by_place(desk.ledger, campaign)["IT", "IT", "cancelled"].rows == 3


def test_a_discarded_campaign_leaves_no_sums(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(3), started=False)
    assert desk.raw("SELECT n FROM campaign_sums WHERE campaign_id = ?", campaign) == [(3,)]
    assert desk.ledger.loading.discard_campaign(campaign, desk.now)
    assert desk.raw("SELECT * FROM campaign_sums WHERE campaign_id = ?", campaign) == []


@pytest.mark.parametrize(("kind", "version"), [("file", 5), ("file", 6), ("server", 6)])
def test_an_older_ledger_gets_its_sums(
    kind: str, version: int, tmp_path: Path, new_desk: Any, request: Any
) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    create_file(tmp_path / "old.db")
    if kind == "server":
        postgres = request.getfixturevalue("postgres")
        url = postgres.url(postgres.new_database())
    database = Database(parse_url(url))
    migrate(database, "0123abcd", MIGRATIONS[:version])
    with database.write() as connection:
        connection.execute(text("INSERT INTO gateways (id, name) VALUES (1, 'sandbox')"))
        connection.execute(
            text(
                "INSERT INTO campaigns (id, name, file_name, file_sha256, source, options, fingerprint, gateway_id,"
                " state, priority, rows, parts, unpriced_rows, currency, committed_cost, actual_cost,"
                " accepted_unpriced, not_echoed, created_at, updated_at)"
                " VALUES (7, 'a', 'a.csv', '0', '{}', '{}', '0', 1, 5, 0, 5, 5, 0, 'EUR', 0, 0, 0, 0, 0, 0)"
            )
        )
        row = (
            "INSERT INTO rows (campaign_id, row, state, gateway_id, due_at, recipient, country, route, text, parts,"
            " estimated_cost, reserve_cost, guard_key, repairs, message_id, sent_at, actual_cost)"
            " VALUES (7, :row, :state, 1, 0, '+393120000001', 'IT', 'IT', 'x', 2, :estimated, 0, :key, 0, :id, :at,"
            " :actual)"
        )
        for number, (state, estimated, actual) in enumerate(
            [(1, 40_000, None), (4, 40_000, 50_000), (4, 40_000, 30_000), (4, 0, 40_000), (10, None, None)]
        ):
            at = 1 if state == 4 else None
            values = {"row": number, "state": state, "estimated": estimated, "actual": actual, "at": at}
            values |= {"id": None if at is None else f"m{number}", "key": bytes(16)}
            connection.execute(text(row), values)
    database.dispose()
    opened = Ledger.open(url)
    try:
        kept = {(g.route, g.country, g.state): g for g in opened.bills.groups(7)}
        assert kept == new_desk(opened).added_up(7)
        assert kept["IT", "IT", RowState.ACCEPTED].rows == 3
    finally:
        opened.dispose()


def test_a_ledger_that_has_its_sums_since_version_6_keeps_them(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(3))
    before = desk.ledger.bills.groups(campaign)
    database = desk.ledger._database
    with database.write() as connection:
        connection.execute(text("UPDATE meta SET value = '6' WHERE key = 'version'"))
    migrate(database, "0123abcd")
    assert desk.raw("SELECT value FROM meta WHERE key = 'version'") == [(str(len(MIGRATIONS)),)]
    assert desk.ledger.bills.groups(campaign) == before
    assert before
