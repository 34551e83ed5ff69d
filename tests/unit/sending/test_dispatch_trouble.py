"""A lane in trouble: a gateway that is away, a busy ledger, a broken pace, a bug."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from dispatcher.errors import Unreachable
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState, RowState
from dispatcher.sending.dispatch import SETTLE_WITHIN, LaneEnd, LaneLimits
from dispatcher.sending.guards import RESTS
from tests.unit.sending.answers import BLOCKED, NOT_SENT, REFUSED, TIMEOUT

C, R = CampaignState, RowState


def test_a_throttled_row_comes_back_and_everybody_slows_down(stage: Any) -> None:
    campaign = stage.campaign(30)

    def answer(sent: Any) -> Verdict | None:
        first = len(stage.gateway.requests) == 10
        return Verdict(Outcome.THROTTLED, http_status=429, retry_after=7.0) if first else None

    stage.gateway.answering = answer
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 30}
    assert stage.pace.slowed == [7.0]
    times = sorted(sent.at for sent in stage.gateway.requests)
    assert max(after - before for before, after in pairwise(times)) >= 6.5


@pytest.mark.parametrize(("said", "slowed"), [(None, 1.0), (0.0, 1.0), (3.5, 3.5)])
def test_how_long_throttling_lasts(stage: Any, said: float | None, slowed: float) -> None:
    campaign = stage.campaign(1)
    verdict = Verdict(Outcome.THROTTLED, http_status=429, retry_after=said)
    stage.gateway.answering = lambda sent: verdict if len(stage.gateway.requests) == 1 else None
    stage.run(stage.lane(campaign).run())
    assert stage.pace.slowed == [slowed]


def test_an_unreachable_gateway_is_tried_again_ever_later_and_then_held(stage: Any) -> None:
    campaign = stage.campaign(500)
    stage.gateway.answering = lambda sent: NOT_SENT
    begun = stage.clock.elapsed
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.STOPPED
    assert stage.state(campaign) == (C.HELD, "gateway_unreachable")
    assert stage.counts(campaign) == {R.READY: 500}
    assert stage.clock.elapsed - begun >= sum(RESTS)
    assert len(stage.gateway.requests) < 50  # after the first batch one at a time


def test_a_gateway_that_loses_every_answer_is_asked_one_at_a_time(stage: Any) -> None:
    """Thirty seconds of silence each: without care every rest would put a full load of rows in doubt."""
    campaign = stage.campaign(2000)
    stage.gateway.latency = 30.0
    stage.gateway.answering = lambda sent: TIMEOUT
    lane = stage.lane(campaign, limits=LaneLimits(slice_seconds=3600.0, in_flight=100))
    assert stage.run(lane.run()) is LaneEnd.STOPPED
    assert stage.state(campaign) == (C.HELD, "too_many_doubts")
    doubts = stage.counts(campaign)[R.IN_DOUBT]
    assert 100 <= doubts <= 120
    assert stage.counts(campaign)[R.READY] == 2000 - doubts


def test_a_gateway_that_is_back_gets_the_full_pace_again(stage: Any) -> None:
    campaign = stage.campaign(300)
    away = [2.0]
    begun = stage.clock.elapsed

    def answer(sent: Any) -> Verdict | None:
        return NOT_SENT if 0.5 < sent.at - begun < 0.5 + away[0] else None

    stage.gateway.answering = answer
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.counts(campaign) == {R.ACCEPTED: 300}
    assert stage.clock.elapsed - begun < 3.0 + 2.0 + sum(RESTS[:2]) + 1.0


def test_twenty_refusals_in_a_row_halt(stage: Any) -> None:
    campaign = stage.campaign(200)
    stage.gateway.answering = lambda sent: REFUSED
    stage.gateway.latency = 0.0
    stage.pace.rate = 10.0
    stage.run(stage.lane(campaign).run())
    assert stage.state(campaign) == (C.HALTED, "too_many_refusals")
    assert stage.counts(campaign) == {R.REFUSED: 20, R.READY: 180}


def test_a_pace_that_cannot_be_asked_sends_nothing(stage: Any) -> None:
    campaign = stage.campaign(10)
    stage.pace.broken = True
    with pytest.raises(Unreachable):
        stage.run(stage.lane(campaign).run())
    assert stage.gateway.requests == []
    assert stage.counts(campaign) == {R.READY: 10}


def test_a_pace_that_breaks_while_slowing_down_stops_the_lane_without_holding_the_campaign(
    stage: Any,
) -> None:
    campaign = stage.campaign(100)

    def answer(sent: Any) -> Verdict:
        stage.pace.broken = True
        return Verdict(Outcome.THROTTLED, http_status=429)

    stage.gateway.answering = answer
    with pytest.raises(Unreachable):
        stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {R.READY: 100}
    assert stage.state(campaign)[0] is C.SENDING


# -- a ledger in trouble


@pytest.mark.parametrize("after", range(1, 8))
def test_no_answer_is_lost_when_the_ledger_is_busy_once(stage: Any, after: int) -> None:
    campaign = stage.campaign(60)

    def answer(sent: Any) -> None:
        if len(stage.gateway.requests) == after * 8:
            stage.thread.fail_next["settle_and_claim"] = 1

    stage.gateway.answering = answer
    with suppress(Unreachable):  # a transaction that only settles is simply tried again
        stage.run(stage.lane(campaign).run())
    assert R.SENDING not in stage.counts(campaign)
    assert stage.counts(campaign)[R.ACCEPTED] == sum(stage.gateway.times_sent.values())
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 60}
    assert max(stage.gateway.times_sent.values()) == 1


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_stop_is_not_lost_when_the_ledger_is_busy(stage: Any, times: int) -> None:
    campaign, sister = stage.campaign(30, account="acme"), stage.campaign(1, account="acme")

    def answer(sent: Any) -> Verdict:
        stage.thread.fail_next["stop_campaign"] = times
        return BLOCKED

    stage.gateway.answering = answer
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.STOPPED
    assert stage.state(campaign) == stage.state(sister) == (C.HALTED, "account_blocklisted")


def test_a_ledger_that_stays_away_leaves_rows_to_their_deadline(stage: Any) -> None:
    campaign = stage.campaign(20)

    def answer(sent: Any) -> None:
        stage.thread.fail_next["settle_and_claim"] = 1000

    stage.gateway.answering = answer
    with pytest.raises(Unreachable):
        stage.run(stage.lane(campaign).run())
    assert set(stage.counts(campaign)) <= {R.SENDING, R.READY}
    stage.clock.elapsed += 120.0
    stage.ledger.rows.doubt_expired(stage.now)
    assert stage.counts(campaign)[R.IN_DOUBT] == len(stage.gateway.requests)


# -- bugs


@pytest.mark.parametrize("where", ["send", "settle", "pace"])
def test_a_bug_holds_the_campaign_and_nothing_more_is_sent(stage: Any, where: str) -> None:
    campaign = stage.campaign(200)
    broke_at: list[float] = []

    def broken(*args: Any, **other: Any) -> Any:
        broke_at.append(stage.clock.elapsed)
        raise RuntimeError("a bug")

    def answer(sent: Any) -> None:
        if len(stage.gateway.requests) == 30:
            if where == "send":
                broken()
            elif where == "settle":
                inner, stage.ledger.rows.settle_and_claim = stage.ledger.rows.settle_and_claim, broken
                asyncio.get_running_loop().call_later(
                    1.0, lambda: setattr(stage.ledger.rows, "settle_and_claim", inner)
                )
            else:
                stage.pace.reserve = broken

    stage.gateway.answering = answer
    with pytest.raises(RuntimeError, match="a bug"):
        stage.run(stage.lane(campaign).run())
    assert stage.state(campaign) == (C.HELD, "bug")
    assert [sent for sent in stage.gateway.requests if sent.at > broke_at[0] + SETTLE_WITHIN] == []
    counts = stage.counts(campaign)
    assert counts.get(R.IN_DOUBT, 0) == (1 if where == "send" else 0)
    assert counts[R.ACCEPTED] == sum(stage.gateway.times_sent.values())
    assert R.SENDING not in counts or where == "settle"


def test_a_bug_in_reading_an_answer_leaves_its_row_in_doubt(stage: Any) -> None:
    campaign = stage.campaign(1)
    stage.gateway.answering = lambda sent: Verdict(Outcome.ACCEPTED, message=None, http_status=201)
    with pytest.raises(AssertionError):
        stage.run(stage.lane(campaign).run())
    assert stage.rows(campaign, "state, error_detail") == [(R.IN_DOUBT, "AssertionError")]
    assert stage.state(campaign) == (C.HELD, "bug")
