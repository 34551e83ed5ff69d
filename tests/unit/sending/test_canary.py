"""The rows that go first: which they are, what becomes of the others meanwhile, and what their fate says."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState, RowState
from dispatcher.ledger.canaries import CanaryRow, Candidate, canary_rows
from dispatcher.sending.canary import allot, choose, is_settled, judge, were_tried
from dispatcher.sending.stops import CANARY_STOPS, Stop
from tests.unit.loaded import loadable_row

R = RowState
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
PLACES = st.sampled_from([("IT", "IT"), ("ES", "ES"), ("WW", "FR"), ("WW", "DE"), ("WW", None)])


def candidates(*places: tuple[str, str | None]) -> list[Candidate]:
    return [
        Candidate(row=number, route=route, country=country)
        for number, (route, country) in enumerate(places, start=2)
    ]


@given(places=st.lists(PLACES, max_size=60), wanted=st.integers(1, 30))
def test_every_place_has_its_canary_and_the_numbers_are_right(
    places: list[tuple[str, str | None]], wanted: int
) -> None:
    rows = candidates(*places)
    chosen = choose(rows, wanted)
    assert len(chosen) == min(wanted, len(rows))
    assert chosen == sorted(set(chosen)) == choose(iter(rows), wanted)
    there = {(each.route, each.country) for each in rows}
    reached = {(each.route, each.country) for each in rows if each.row in chosen}
    assert len(reached) == min(len(there), wanted)


def test_shares_follow_the_sizes() -> None:
    sizes = Counter({("IT", "IT"): 900, ("WW", "FR"): 90, ("WW", "DE"): 10})
    assert allot(sizes, 20) == {("IT", "IT"): 17, ("WW", "FR"): 2, ("WW", "DE"): 1}
    assert allot(sizes, 2) == {("IT", "IT"): 1, ("WW", "FR"): 1}
    assert sum(allot(Counter({("IT", "IT"): 3}), 20).values()) == 3


def row(number: int = 2, state: RowState = R.DELIVERED, **other: Any) -> CanaryRow:
    values: dict[str, Any] = {
        "route": "IT",
        "country": "IT",
        "parts": 2,
        "encoding": 1,
        "estimated_cost": Decimal("0.10"),
        "actual_cost": Decimal("0.10"),
        "actual_parts": None,
        "actual_encoding": None,
        "attempts": 1,
        "sent_at": NOW,
    }
    return CanaryRow(row=number, state=state, **{**values, **other})


@pytest.mark.parametrize(
    ("rows", "stops"),
    [
        pytest.param([row()], [], id="as it should be"),
        pytest.param([row(), row(state=R.ACCEPTED), row(state=R.EXPIRED)], [], id="half of the final ones"),
        pytest.param([row(state=R.OPTED_OUT), row()], [], id="left out by a rule"),
        pytest.param([row(), row(state=R.REFUSED, actual_cost=None)], [Stop.CANARY_REFUSED], id="refused"),
        pytest.param(
            [row(), row(), row(state=R.REJECTED)], [Stop.CANARY_REFUSED], id="rejected by an operator"
        ),
        pytest.param([row(), row(state=R.IN_DOUBT)], [Stop.CANARY_IN_DOUBT], id="in doubt"),
        pytest.param([row(state=R.ACCEPTED)] * 3, [Stop.CANARY_SILENT], id="no word in time"),
        pytest.param(
            [row(), row(state=R.UNDELIVERABLE), row(state=R.EXPIRED)],
            [Stop.CANARY_UNDELIVERED],
            id="most did not arrive",
        ),
        pytest.param([row(actual_cost=Decimal("0.11"))], [], id="a tenth dearer"),
        pytest.param([row(actual_cost=Decimal("0.111"))], [Stop.CANARY_PRICE], id="dearer than that"),
        pytest.param([row(actual_cost=Decimal("0.01"))], [], id="cheaper"),
        pytest.param([row(actual_cost=None)], [], id="a price nobody knows"),
        pytest.param([row(estimated_cost=None)], [], id="nothing estimated"),
        pytest.param([row(estimated_cost=Decimal(0))], [], id="a bundle was to pay"),
        pytest.param(
            [row(actual_parts=3, actual_cost=Decimal("0.15"))],
            [Stop.CANARY_PARTS],
            id="another count of parts",
        ),
        pytest.param([row(actual_encoding=2)], [Stop.CANARY_PARTS], id="another encoding"),
        pytest.param(
            [row(actual_parts=1, actual_cost=Decimal("0.10"))],
            [Stop.CANARY_PRICE, Stop.CANARY_PARTS],
            id="the price is that of a part",
        ),
    ],
)
def test_what_their_fate_says_about_the_rest(rows: list[CanaryRow], stops: list[Stop]) -> None:
    found = judge(rows)
    assert list(found.stops) == stops
    assert set(found.stops) <= CANARY_STOPS
    assert json.dumps(found.detail)


def test_no_price_is_compared_on_a_route_where_a_bundle_pays() -> None:
    partly = row(estimated_cost=Decimal("0.05"))  # a bundle has one of its two parts left
    assert list(judge([partly]).stops) == [Stop.CANARY_PRICE]
    assert judge([partly], {"IT": 1}).stops == []
    abroad = row(3, route="WW", country="FR", actual_cost=Decimal("0.20"))
    assert [each.row for each in judge([partly, abroad], {"IT": 1}).differences] == [3]
    recounted = row(actual_parts=3)
    assert list(judge([recounted], {"IT": 1}).stops) == [Stop.CANARY_PARTS]


def test_when_waiting_longer_would_tell_nothing() -> None:
    assert is_settled([row(), row(state=R.REFUSED, actual_cost=None), row(state=R.OPTED_OUT)])
    for state in (R.ACCEPTED, R.SENDING, R.IN_DOUBT):
        assert not is_settled([row(), row(state=state, actual_cost=None)])
    assert not is_settled([row(actual_cost=None)])  # a worldwide price still comes
    assert were_tried([row(state=R.OPTED_OUT), row(state=R.REFUSED)])
    assert not were_tried([row(state=R.OPTED_OUT), row(state=R.TOO_LATE), row(state=R.READY)])


def first(stage: Any, campaign: int, *numbers: int) -> None:
    stage.ledger.canaries.send_first(campaign, numbers, stage.now)


def test_nothing_but_the_canary_is_sent(stage: Any) -> None:
    campaign = stage.campaign(30)
    first(stage, campaign, 7, 21, 30)
    stage.run(stage.lane(campaign).run())
    assert {sent.request.message for sent in stage.gateway.real} == {"Hello 7", "Hello 21", "Hello 30"}
    assert stage.counts(campaign) == {R.READY: 27, R.ACCEPTED: 3}
    assert stage.ledger.campaigns.finish_if_done(campaign, stage.now) is CampaignState.SENDING
    # again, by whoever: nothing
    stage.run(stage.lane(campaign).run())
    assert len(stage.gateway.real) == 3
    stage.ledger.canaries.let_the_rest_go(campaign, "canary_passed", stage.now)
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 30}
    assert [event.kind for event in stage.events("canary_chosen") + stage.events("canary_passed")] == [
        "canary_chosen",
        "canary_passed",
    ]


@pytest.mark.parametrize("numbers", [(9,), (9, 10), tuple(range(2, 12))])
def test_the_row_that_is_kept_back_as_a_witness_holds_no_canary_up(
    stage: Any, numbers: tuple[int, ...]
) -> None:
    campaign = stage.campaign(20)
    first(stage, campaign, *numbers)
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign)[R.ACCEPTED] == len(numbers)


def test_a_canary_in_doubt_keeps_the_last_one_back_until_its_deadline_only(stage: Any) -> None:
    lost = Verdict(Outcome.IN_DOUBT, detail="answer_late")
    stage.gateway.answering = lambda sent: lost if sent.request.message == "Hello 2" else None
    campaign = stage.campaign(20)
    first(stage, campaign, 2, 3, 4)
    stage.run(stage.lane(campaign).run())
    assert [row.state for row in stage.ledger.canaries.rows(campaign)] == [R.IN_DOUBT, R.ACCEPTED, R.READY]
    stage.clock.elapsed += 300
    stage.run(stage.lane(campaign).run())
    assert [row.state for row in stage.ledger.canaries.rows(campaign)] == [
        R.IN_DOUBT,
        R.ACCEPTED,
        R.ACCEPTED,
    ]
    assert stage.counts(campaign)[R.READY] == 17


def test_they_are_chosen_among_those_that_are_due_first(stage: Any) -> None:
    tomorrow = stage.now + timedelta(days=1)
    campaign = stage.campaign([loadable_row(2, due_at=tomorrow), *(loadable_row(n) for n in range(3, 9))])
    found = list(stage.ledger.canaries.candidates(campaign, stage.now))
    assert [each.row for each in found] == list(range(3, 9))
    late = stage.campaign([loadable_row(n, due_at=tomorrow + timedelta(hours=n)) for n in range(2, 9)])
    assert [each.row for each in stage.ledger.canaries.candidates(late, stage.now)] == [2]


def test_what_is_stored_is_a_list_of_row_numbers(stage: Any) -> None:
    campaign = stage.campaign(9)
    assert stage.ledger.canaries.rows(campaign) == []
    first(stage, campaign, 8, 3)
    assert stage.view(campaign).canary == "[3, 8]"
    assert canary_rows(stage.view(campaign).canary) == [3, 8]
    assert canary_rows(None) == []
