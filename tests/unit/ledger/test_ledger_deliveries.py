"""Delivery reports in batches, what waits for its row, and the prices that charges teach."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dispatcher.ledger import Accepted, DeliveryReport, Found, InDoubt, Learnt, RowState
from dispatcher.ledger.deliveries import MOST_NOTED
from dispatcher.ledger.inbox import KEPT, MOST_OF_A_ROW, inbox
from dispatcher.ledger.learnt import learnt_prices

R = RowState
GATEWAY = "sandbox"


def report(desk: Any, campaign: int | None, row: int | None, **other: Any) -> DeliveryReport:
    facts: dict[str, Any] = {
        "message_id": f"m{row}",
        "seen_at": desk.now,
        "campaign_id": campaign,
        "row": row,
    }
    return DeliveryReport(**{**facts, **other})


def told(desk: Any, *reports: DeliveryReport, keep: bool = True) -> Any:
    return desk.ledger.deliveries.record(GATEWAY, reports, desk.now, keep=keep)


def row_of(desk: Any, campaign: int, row: int, *names: str) -> tuple[Any, ...]:
    sql = f"SELECT {', '.join(names)} FROM rows WHERE campaign_id = ? AND row = ?"
    (found,) = desk.raw(sql, campaign, row)
    return tuple(found)


def kinds(desk: Any, campaign: int) -> list[str]:
    return [e.kind for e in desk.ledger.events.of(campaign) if e.kind not in ("state", "created", "loaded")]


def accepted(desk: Any, rows: int, **other: Any) -> int:
    campaign: int = desk.campaign(desk.rows(rows))
    for row in desk.claim(campaign, "t", rows):
        desk.settle(campaign, desk.accepted(row, "t", **other))
    return campaign


def test_a_batch_settles_rows_of_several_campaigns(desk: Any) -> None:
    first, second = desk.campaign(desk.rows(3)), desk.campaign(desk.rows(2))
    for campaign, rows in ((first, 3), (second, 2)):
        desk.claim(campaign, f"t{campaign}", rows)
        ids = [(row, f"{campaign}-{row}") for row in range(2, 2 + rows)]
        desk.settle(campaign, *(desk.accepted(row, f"t{campaign}", name) for row, name in ids))
    reports = [
        report(desk, second, 3, message_id=f"{second}-3", state=R.EXPIRED),
        report(desk, None, None, message_id=f"{first}-2", state=R.DELIVERED, delivered_at=desk.now),
        report(desk, first, 4, message_id=f"{first}-4"),
        report(desk, None, None, message_id="a stranger's"),
    ]
    recorded = told(desk, *reports)
    assert (recorded.changed, recorded.unknown, recorded.strange) == (2, ["a stranger's"], 0)
    assert [desk.state(first, row) for row in (2, 3, 4)] == [R.DELIVERED, R.ACCEPTED, R.ACCEPTED]
    assert [desk.state(second, row) for row in (2, 3)] == [R.ACCEPTED, R.EXPIRED]
    for campaign in (first, second):
        desk.check_counters(campaign)


def test_in_any_order_the_first_final_state_stays(desk: Any) -> None:
    words = [(None, None), (R.DELIVERED, Decimal("0.07")), (R.UNDELIVERABLE, None)]
    for number, order in enumerate(itertools.permutations(words)):
        campaign = desk.campaign(desk.rows(1))
        desk.claim(campaign, "t", 1)
        name = f"order{number}"
        desk.settle(campaign, desk.accepted(2, "t", name, actual_cost=None))
        said = [report(desk, campaign, 2, message_id=name, state=s, actual_cost=p) for s, p in order]
        batches = [said, said] if number % 2 else [[each] for each in (*said, *said)]
        changed = sum(told(desk, *batch).changed for batch in batches)
        final = next(state for state, _ in order if state is not None)
        assert (desk.state(campaign, 2), changed > 0) == (final, True)
        assert desk.ledger.queries.campaign(campaign).actual_cost == Decimal("0.07")
        desk.check_counters(campaign)
    assert desk.ledger.learnt.of(GATEWAY)["IT", "IT"].count == 6


@pytest.mark.parametrize("before", [R.SENDING, R.IN_DOUBT])
@pytest.mark.parametrize("answer", ["late", "never"])
def test_a_report_before_the_answer_proves_acceptance(desk: Any, before: RowState, answer: str) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "t", 1)
    if before is R.IN_DOUBT:
        desk.settle(campaign, InDoubt(token="t", row=2))
    sent = desk.now - timedelta(seconds=3)
    assert told(desk, report(desk, campaign, 2, sent_at=sent)).changed == 1
    assert kinds(desk, campaign) == (["proved_by_report"] if before is R.IN_DOUBT else [])
    assert told(desk, report(desk, campaign, 2, state=R.DELIVERED)).changed == 1
    if answer == "late":  # which alone knew the price, and that there were two parts
        desk.settle(campaign, desk.accepted(2, "t", actual_cost=Decimal("0.08"), parts=2, encoding=2))
        desk.settle(campaign, desk.accepted(2, "t", actual_cost=Decimal("0.08"), parts=2, encoding=2))
    assert desk.state(campaign, 2) is R.DELIVERED
    known = (80_000, 2, 2) if answer == "late" else (None, None, None)
    assert row_of(desk, campaign, 2, "actual_cost", "actual_parts", "actual_encoding") == known
    assert desk.ledger.queries.campaign(campaign).accepted_unpriced == (answer == "never")
    desk.check_counters(campaign)


def test_a_rows_key_opens_no_other_row(desk: Any) -> None:
    campaign = accepted(desk, 2)
    for _ in range(2):
        forged = report(desk, campaign, 2, message_id="m3", state=R.REJECTED)
        assert (told(desk, forged).changed, told(desk, forged).strange) == (0, 1)
    assert {desk.state(campaign, row) for row in (2, 3)} == {R.ACCEPTED}
    assert kinds(desk, campaign) == ["report_about_another"]
    assert desk.ledger.inbox.size() == 0


@pytest.mark.parametrize("before", [R.SENDING, R.IN_DOUBT, R.ACCEPTED])
def test_a_report_about_another_number_changes_nothing(desk: Any, before: RowState) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.bring(campaign, 2, before)
    asked: list[str] = []
    other = report(desk, campaign, 2, state=R.DELIVERED, is_to=lambda ours: bool(asked.append(ours)))
    assert told(desk, other).strange == 1
    assert asked == ["+393331200002"]
    assert (desk.state(campaign, 2), desk.ledger.inbox.size()) == (before, 0)
    assert kinds(desk, campaign)[-1] == "report_about_another"


@pytest.mark.parametrize("how", ["settle", "resolve", "look"])
def test_another_text_proves_nothing_and_waits_for_its_message(desk: Any, how: str) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "t", 1)
    other = report(desk, campaign, 2, text="Another", state=R.DELIVERED, actual_cost=Decimal("0.0700001"))
    for _ in range(2):
        recorded = told(desk, other)
        assert (recorded.changed, recorded.unknown) == (0, ["m2"])
    assert (desk.state(campaign, 2), desk.ledger.inbox.size()) == (R.SENDING, 1)
    assert desk.ledger.deliveries.match_inbox(desk.now) == 0
    if how == "resolve":
        desk.settle(campaign, InDoubt(token="t", row=2))
        assert desk.state(campaign, 2) is R.IN_DOUBT
        found = Found(message_id="m2", sent_at=desk.now, parts=3)
        assert desk.ledger.rows.resolve_doubt(campaign, 2, found, desk.now, token="t")
        assert row_of(desk, campaign, 2, "actual_parts") == (3,)
    else:
        desk.settle(campaign, desk.accepted(2, "t", actual_cost=None, echoed=False))
    assert (desk.state(campaign, 2), desk.ledger.inbox.size()) == (R.DELIVERED, 0)
    assert row_of(desk, campaign, 2, "actual_cost") == (70_000,)
    desk.check_counters(campaign)


def test_where_texts_come_back_otherwise_another_text_is_no_doubt(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(2))
    desk.claim(campaign, "t", 2)
    desk.settle(campaign, desk.accepted(2, "t", echoed=False))
    assert told(desk, report(desk, campaign, 3, text="Another")).changed == 1
    assert desk.state(campaign, 3) is R.ACCEPTED
    assert desk.ledger.queries.campaign(campaign).not_echoed == 2


def test_what_names_a_row_nobody_tried_waits_until_it_is_in_doubt(desk: Any) -> None:
    """A ledger that was brought back from a copy: the gateway knows more than it."""
    campaign = desk.campaign(desk.rows(1))
    assert told(desk, report(desk, campaign, 2, message_id="of before")).unknown == ["of before"]
    assert told(desk, report(desk, 99, 2, message_id="nobody's"), keep=False).unknown == ["nobody's"]
    assert (desk.state(campaign, 2), desk.ledger.inbox.size()) == (R.READY, 1)
    desk.claim(campaign, "t", 1)
    assert desk.state(campaign, 2) is R.SENDING
    desk.settle(campaign, InDoubt(token="t", row=2))
    assert (desk.state(campaign, 2), desk.ledger.inbox.size()) == (R.ACCEPTED, 0)
    assert row_of(desk, campaign, 2, "message_id") == ("of before",)


def test_what_comes_while_nobody_settles_is_found_by_looking(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    told(desk, report(desk, campaign, 2, state=R.EXPIRED))
    desk.claim(campaign, "t", 1)
    assert desk.ledger.deliveries.match_inbox(desk.now) == 1
    assert (desk.state(campaign, 2), desk.ledger.inbox.size()) == (R.EXPIRED, 0)


@pytest.mark.long
def test_more_may_wait_for_one_campaign_than_a_statement_takes_values(server_desk: Any) -> None:
    """PostgreSQL's protocol counts a statement's values in 16 bits."""
    desk, waiting, last = server_desk, 65_536, 70_000
    campaign = desk.campaign([desk.row(last)])
    told(desk, report(desk, campaign, last, state=R.DELIVERED))
    names = "gateway, message_id, campaign_id, row, state, proves, received_at"
    many = "SELECT gateway, 'x' || n, campaign_id, n, state, proves, received_at"
    desk.raw(f"INSERT INTO inbox ({names}) {many} FROM inbox, generate_series(1, {waiting}) n")
    desk.claim(campaign, "t", 1)
    assert desk.ledger.deliveries.match_inbox(desk.now) == 1
    assert (desk.state(campaign, last), desk.ledger.inbox.size()) == (R.DELIVERED, waiting)


def test_a_second_message_of_a_row_is_written_down_once(desk: Any) -> None:
    campaign = accepted(desk, 1)
    for number in range(MOST_NOTED + 5):
        again = report(desk, campaign, 2, message_id=f"second{number}", state=R.DELIVERED)
        assert (told(desk, again).changed, told(desk, again).changed) == (0, 0)
    assert (desk.state(campaign, 2), desk.ledger.inbox.size()) == (R.ACCEPTED, 0)
    assert kinds(desk, campaign) == ["second_message"] * MOST_NOTED


def test_the_inbox_keeps_what_adds_something_for_a_week_and_never_much_of_one_row(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    for price in (None, Decimal("0.05"), None):
        told(desk, report(desk, campaign, 2, actual_cost=price, error_detail="x\0" * 900))
    told(desk, report(desk, campaign, 2, state=R.DELIVERED))
    assert desk.raw("SELECT state, actual_cost, proves FROM inbox ORDER BY state") in (
        [(4, 50_000, 1), (5, None, 1)],
        [(4, 50_000, True), (5, None, True)],
    )
    for number in range(MOST_OF_A_ROW + 5):
        told(desk, report(desk, campaign, 2, message_id=f"forged{number}"))
    assert desk.ledger.inbox.size() == MOST_OF_A_ROW
    assert desk.ledger.inbox.prune(desk.now + KEPT) == 0
    assert desk.ledger.inbox.prune(desk.now + KEPT + timedelta(seconds=1)) == MOST_OF_A_ROW
    assert desk.ledger.inbox.size() == 0


@pytest.mark.parametrize(
    ("parts", "encoding", "kept"), [(1, 1, (None, None)), (2, 2, (2, 2)), (0, 1, (None, None))]
)
@pytest.mark.parametrize("told_by", ["answer", "report", "found"])
def test_the_gateways_own_count_is_kept_where_it_differs(
    desk: Any, told_by: str, parts: int, encoding: int, kept: tuple[Any, Any]
) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "t", 1)
    if told_by == "answer":
        desk.settle(campaign, desk.accepted(2, "t", parts=parts, encoding=encoding))
    elif told_by == "report":
        told(desk, report(desk, campaign, 2, parts=parts, encoding=encoding))
    else:
        desk.settle(campaign, InDoubt(token="t", row=2))
        found = Found(message_id="m2", sent_at=desk.now, parts=parts, encoding=encoding)
        desk.ledger.rows.resolve_doubt(campaign, 2, found, desk.now, token="t")
    assert row_of(desk, campaign, 2, "actual_parts", "actual_encoding") == kept


def test_every_charge_teaches_its_price_once(desk: Any) -> None:
    rows = [desk.row(n, country="FR", route="WW") for n in range(2, 8)]
    campaign = desk.campaign([*rows, desk.row(8, country=None, route="WW")])
    desk.claim(campaign, "t", 7)
    desk.settle(campaign, *(desk.accepted(n, "t", actual_cost=Decimal(0)) for n in range(2, 9)))
    assert desk.ledger.learnt.of(GATEWAY) == {}
    prices = {2: "0.05", 3: "0.07", 4: "0.14", 5: "0.09", 8: "0.3"}
    desk.now += timedelta(hours=1)
    for _ in range(2):
        told(
            desk,
            *(
                report(desk, campaign, n, actual_cost=Decimal(price), parts=2 if n == 4 else 1)
                for n, price in prices.items()
            ),
        )
    for row in (2, 3):
        told(desk, report(desk, campaign, row, state=R.DELIVERED, actual_cost=Decimal("0.9")))
    learnt = Learnt(
        count=4, median=Decimal("0.07"), low=Decimal("0.05"), high=Decimal("0.09"), last_seen=desk.now
    )
    assert desk.ledger.learnt.of(GATEWAY) == {("WW", "FR"): learnt}
    assert desk.ledger.learnt.of("production") == {}
    desk.check_counters(campaign)


@pytest.mark.parametrize(
    ("prices", "median"),
    [(["0.04"], "0.04"), (["0.04", "0.05"], "0.045"), (["0.09", "0.04", "0.05"], "0.05")],
)
def test_the_median_of_learnt_prices(desk: Any, prices: list[str], median: str) -> None:
    campaign = desk.campaign(desk.rows(len(prices)))
    desk.claim(campaign, "t")
    answers = [desk.accepted(n, "t", actual_cost=Decimal(price)) for n, price in enumerate(prices, 2)]
    desk.settle(campaign, *answers)
    assert desk.ledger.learnt.of(GATEWAY)["IT", "IT"].median == Decimal(median)


def test_an_answer_that_is_settled_twice_charges_once(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "t")
    answer = Accepted(token="t", row=2, message_id="m2", sent_at=desk.now, actual_cost=Decimal("0.04"))
    desk.settle(campaign, answer, answer)
    desk.settle(campaign, answer)
    assert desk.ledger.learnt.of(GATEWAY)["IT", "IT"].count == 1


def test_the_tables_are_described_as_they_are(desk: Any) -> None:
    for table in (inbox, learnt_prices):
        with desk.ledger._database.read() as connection:
            found = connection.exec_driver_sql(f"SELECT * FROM {table.name}").keys()
        assert list(found) == [column.name for column in table.c]
