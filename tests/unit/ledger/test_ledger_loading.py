"""All rows of a plan or none; lists, screenings and values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from dispatcher.errors import UsageError
from dispatcher.ledger import CampaignState, NewCampaign, RowState, Screening, Totals
from dispatcher.ledger.database import LET_OTHERS
from dispatcher.ledger.loading import Loading
from dispatcher.ledger.values import from_instant, from_micros, rounded, to_instant, to_micros

R = RowState
NEW = NewCampaign(
    name="n",
    file_name="f.csv",
    file_sha256="ab",
    gateway="sandbox",
    fingerprint="f",
    owner="o",
    source={"kind": "csv"},
)


def test_a_loaded_plan_comes_back_as_it_was(desk: Any) -> None:
    due = desk.now + timedelta(days=1)
    rows = [
        desk.row(2, due_at=due, sender=None, repairs=5, phone="333 1234"),
        desk.row(4, R.INVALID, reason="phone_missing"),
    ]
    rows.append(
        desk.row(
            9, R.HIDDEN, recipient=None, text=None, guard_key=None, parts=None, reserve_cost=None, route=None
        )
    )
    campaign = desk.campaign(rows, started=False)
    seen = list(desk.ledger.queries.report_rows(campaign))
    assert [(row.row, row.state, row.reason) for row in seen] == [
        (2, R.READY, None),
        (4, R.INVALID, "phone_missing"),
        (9, R.HIDDEN, None),
    ]
    assert (seen[0].due_at, seen[1].due_at) == (due, None)
    assert (seen[0].estimated_cost, seen[0].repairs, seen[0].phone) == (Decimal("0.05"), 5, "333 1234")
    assert [row.row for row in desk.ledger.queries.problems(campaign)] == [4]
    remaining = desk.ledger.queries.remaining(campaign)
    assert (remaining.rows, remaining.parts, remaining.cost) == (1, 1, Decimal("0.05"))
    first = desk.ledger.queries.first_ready(campaign)
    assert first is not None
    assert (first.row, first.text) == (2, "Hello 2")
    desk.check_counters(campaign)


@pytest.mark.parametrize("state", [R.SENDING, R.ACCEPTED, R.IN_DOUBT, R.REFUSED, R.CANCELLED, R.DELIVERED])
def test_rows_start_only_where_plans_put_them(desk: Any, state: RowState) -> None:
    with pytest.raises(ValueError, match="no row starts"):
        desk.campaign([desk.row(2, state)])


@pytest.mark.parametrize("missing", ["recipient", "text", "route", "guard_key", "reserve_cost", "parts"])
def test_a_ready_row_has_what_sending_needs(desk: Any, missing: str) -> None:
    with pytest.raises(Exception, match="row_sendable"):
        desk.campaign([desk.row(2, **{missing: None})])


def test_numbers_that_do_not_add_up_stop_the_load(desk: Any) -> None:
    loading = desk.ledger.loading
    campaign = loading.create_campaign(NEW, desk.now)
    loading.load_rows(campaign, desk.rows(3))
    with pytest.raises(RuntimeError, match="loaded 3 rows"):
        loading.finish_loading(campaign, Totals(rows=4, parts=3, estimated_cost=None), desk.now)
    assert desk.ledger.queries.campaign(campaign).state is CampaignState.LOADING
    loading.finish_loading(campaign, Totals(rows=3, parts=3, estimated_cost=None), desk.now)
    with pytest.raises(UsageError, match="ledger_not_loading"):
        loading.load_rows(campaign, desk.rows(3))


def test_the_same_file_is_under_way_once(desk: Any) -> None:
    loading, queries = desk.ledger.loading, desk.ledger.queries
    campaign = loading.create_campaign(NEW, desk.now)
    with pytest.raises(UsageError, match="ledger_same_file_open"):
        loading.create_campaign(NEW, desk.now)
    assert queries.open_campaign_for("ab", "f", "sandbox") is None  # not before it is loaded
    loading.finish_loading(campaign, Totals(rows=0, parts=0, estimated_cost=None), desk.now)
    found = queries.open_campaign_for("ab", "f", "sandbox")
    assert found is not None
    assert (found.id, found.gateway, found.source) == (campaign, "sandbox", {"kind": "csv"})
    for other in (
        replace(NEW, gateway="production"),
        replace(NEW, fingerprint="g"),
        replace(NEW, file_sha256="cd"),
    ):
        loading.create_campaign(other, desk.now)
    desk.ledger.campaigns.cancel(campaign, desk.now)
    assert queries.open_campaign_for("ab", "f", "sandbox") is None
    again = loading.create_campaign(NEW, desk.now)
    assert [view.id for view in queries.campaigns(2)] == [again, again - 1]


def test_half_a_load_of_a_dead_process_goes(desk: Any) -> None:
    loading = desk.ledger.loading
    half = loading.create_campaign(NEW, desk.now)
    loading.load_rows(half, desk.rows(5_000))
    alive = loading.create_campaign(replace(NEW, owner="alive", fingerprint="g"), desk.now)
    assert loading.discard_unfinished_loads(desk.now, lambda owner: owner != "alive") == [half]
    assert desk.raw("SELECT count(*) FROM rows") == [(0,)]
    with pytest.raises(UsageError, match="ledger_no_campaign"):
        desk.ledger.queries.campaign(half)
    assert desk.ledger.queries.campaign(alive).state is CampaignState.LOADING
    assert loading.create_campaign(NEW, desk.now) > alive  # a number never comes back


@pytest.mark.parametrize("attempted", [False, True])
def test_only_what_was_never_attempted_is_discarded(desk: Any, attempted: bool) -> None:
    campaign = desk.campaign(desk.rows(2), started=attempted)
    if attempted:
        desk.bring(campaign, 2, R.SENDING)
        desk.settle(campaign, desk.not_sent(2, "t"))
    assert desk.ledger.loading.discard_campaign(campaign, desk.now) is not attempted
    assert bool(desk.raw("SELECT * FROM rows")) is attempted


def test_a_load_that_breaks_in_the_middle_leaves_whole_transactions(desk: Any) -> None:
    campaign = desk.ledger.loading.create_campaign(NEW, desk.now)
    rows = desk.rows(4_000)
    rows[3_000] = rows[2_999]
    with pytest.raises(Exception, match=r"(?i)unique"):
        desk.ledger.loading.load_rows(campaign, rows)
    desk.check_counters(campaign)
    assert desk.ledger.queries.counts(campaign) == {R.READY: 2_000}


def test_distinct_texts_come_in_the_order_of_their_rows(desk: Any) -> None:
    texts = ["b", "a", "b", "c", "a"]
    rows = [desk.row(number, text=text) for number, text in enumerate(texts, 2)]
    rows += [desk.row(7, text="a", sender="OTHER"), desk.row(8, R.DUPLICATE, text="d")]
    campaign = desk.campaign(rows)
    found = list(desk.ledger.screenings.distinct_texts(campaign))
    assert [(t.text, t.sender, t.first_row, t.rows) for t in found] == [
        ("b", "ACME", 2, 2),
        ("a", "ACME", 3, 2),
        ("c", "ACME", 5, 1),
        ("a", "OTHER", 7, 1),
    ]
    assert [row for row, _ in desk.ledger.screenings.rows_with(campaign, found[1], 3, 10)] == [6]


def test_screenings_are_remembered_per_account_and_for_a_while(desk: Any) -> None:
    memory = desk.ledger.screenings
    keys = [("IT", sender, bytes([n]) * 32) for n in range(3) for sender in (None, "ACME")]
    seen = [
        Screening(route=r, sender=s, text_hash=h, outcome="passed", price=Decimal("0.05"), seen_at=desk.now)
        for r, s, h in keys[:4]
    ]
    memory.record("sandbox", "me", seen)
    memory.record(
        "sandbox", "me", [replace(seen[0], outcome="forbidden_text", seen_at=desk.now + timedelta(hours=1))]
    )
    known = memory.known("sandbox", "me", desk.now, keys)
    assert set(known) == set(keys[:4])
    assert known[keys[0]].outcome == "forbidden_text"
    assert set(memory.known("sandbox", "me", desk.now + timedelta(minutes=1), keys)) == {keys[0]}
    assert (
        memory.known("sandbox", "you", desk.now, keys)
        == memory.known("production", "me", desk.now, keys)
        == {}
    )
    assert memory.forget_before(desk.now + timedelta(minutes=1)) == 3


def test_opt_outs(desk: Any) -> None:
    numbers, lists = [f"+39333120{n:04d}" for n in range(2_500)], desk.ledger.opt_outs
    assert lists.add([*numbers, numbers[0]], "list", desk.now) == 2_500
    assert lists.add(numbers[:2], "call", desk.now + timedelta(days=1)) == 0
    assert lists.opted_out([numbers[1], "+390000000"]) == {numbers[1]}
    assert lists.opted_out([*numbers, "+390000000"]) == set(numbers)
    assert lists.remove([numbers[0], "+390000000"]) == 1
    first = next(lists.all())
    assert (first.recipient, first.source, first.added_at) == (numbers[1], "list", desk.now)


def test_processes(desk: Any) -> None:
    register = desk.ledger.processes
    register.register("o1", pid=1, host="h", role="run", lock_path=None, now=desk.now)
    assert register.seen("o1", desk.now + timedelta(seconds=5))
    assert [(p.owner, p.last_seen - p.started_at) for p in register.all()] == [("o1", timedelta(seconds=5))]
    register.forget("o1")
    assert not register.seen("o1", desk.now)


def test_a_report_is_remembered_and_the_journal_tells_the_story(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.ledger.campaigns.set_report(campaign, "/r/x.report.xlsx", "ff", desk.now)
    desk.ledger.campaigns.set_max_cost(campaign, Decimal("9.5"), "anna", desk.now)
    view = desk.ledger.queries.campaign(campaign)
    assert (view.report_path, view.report_sha256, view.max_cost) == ("/r/x.report.xlsx", "ff", Decimal("9.5"))
    moves = [event.detail["new"] for event in desk.ledger.events.of(campaign, "state")]
    assert moves == ["planned", "preflight", "sending"]
    assert next(desk.ledger.events.of(campaign, "max_cost")).detail == {"max_cost": "9.5", "by": "anna"}


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=6))
def test_money_goes_there_and_back(amount: Decimal) -> None:
    assert from_micros(to_micros(amount)) == amount


@pytest.mark.parametrize("bad", [Decimal("0.0000001"), Decimal("NaN"), Decimal("Infinity"), 0.1, 1])
def test_money_is_exact_or_an_error(bad: Any) -> None:
    with pytest.raises(ValueError, match="money"):
        to_micros(bad)


def test_noise_of_floats_is_rounded_where_it_comes_in() -> None:
    assert rounded(Decimal(repr(0.1 + 0.2))) == Decimal("0.3")


@given(st.datetimes(timezones=st.timezones()))
def test_time_goes_there_and_back(moment: datetime) -> None:
    assert from_instant(to_instant(moment)) == moment.astimezone(UTC)


def test_a_time_without_a_zone_is_refused(desk: Any) -> None:
    with pytest.raises(ValueError, match="zone"):
        to_instant(datetime(2026, 1, 1))  # noqa: DTZ001
    assert to_instant(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0
    with pytest.raises(Exception, match="zone"):
        desk.ledger.opt_outs.add(["+393331234567"], "x", datetime(2026, 1, 1))  # noqa: DTZ001


def test_foreign_keys_hold(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    assert "foreign key" in desk.refusal("DELETE FROM campaigns WHERE id = ?", campaign).lower()


def test_a_load_beside_a_campaign_that_is_sent_leaves_gaps(desk: Any) -> None:
    gaps: list[float] = []
    loading = Loading(desk.ledger._database, gaps.append)
    campaign = loading.create_campaign(NEW, desk.now)
    loading.load_rows(campaign, desk.rows(2_100))
    assert gaps == []
    desk.campaign(desk.rows(2))
    loading.load_rows(campaign, [desk.row(number) for number in range(3_000, 6_000)])
    # of 2,000 rows, which finds it out, and of 500 each
    assert gaps == ([LET_OTHERS] * 3 if desk.ledger.path else [])
    desk.check_counters(campaign)


def test_on_a_server_a_load_makes_no_more_transactions_beside_others(desk: Any) -> None:
    desk.campaign(desk.rows(2))
    loading = Loading(desk.ledger._database, lambda _: None)
    campaign = loading.create_campaign(NEW, desk.now)
    commits: list[object] = []
    event.listen(desk.ledger._database.engine, "commit", commits.append)
    loading.load_rows(campaign, desk.rows(4_000))
    # 2,000 rows and then 500 each, or 2,000 and 2,000
    assert len(commits) == (5 if desk.ledger.path else 2)


def test_numbers_and_keys_are_looked_at_only_where_they_may_be_known(desk: Any) -> None:
    looked: list[str] = []

    def numbers() -> Iterator[str]:
        looked.append("number")
        yield "+393331234567"

    def keys() -> Iterator[bytes]:
        looked.append("key")
        yield bytes(16)

    def ask() -> tuple[set[str], set[bytes]]:
        known = desk.ledger.memory.guard_hits("sandbox", None, keys(), desk.now - timedelta(days=7))
        return desk.ledger.opt_outs.opted_out(numbers()), known

    assert ask() == (set(), set())
    assert looked == []
    desk.ledger.opt_outs.add(["+393331234567"], "by hand", desk.now)
    campaign = desk.campaign([desk.row(2, guard_key=bytes(16))])
    desk.claim(campaign, "t")
    assert ask() == ({"+393331234567"}, {bytes(16)})
    assert sorted(looked) == ["key", "number"]
