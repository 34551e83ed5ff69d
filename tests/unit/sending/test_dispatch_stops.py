"""A lane that is told to stop: by an answer, by a person, by another lane."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dispatcher.errors import Unreachable
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState, RowState
from dispatcher.sending.books import LOOK_EVERY
from dispatcher.sending.dispatch import SETTLE_WITHIN, LaneEnd, LaneLimits
from dispatcher.sending.guards import Brake
from jobs.lanes import Lanes
from tests.unit.sending.answers import BLOCKED, UNAUTHORIZED

C, R = CampaignState, RowState


def test_a_halt_stops_everything_but_what_is_in_flight(stage: Any) -> None:
    campaign = stage.campaign(400)
    halted_at: list[float] = []

    async def answer(sent: Any) -> Verdict | None:
        await asyncio.sleep(0.5)
        if len(stage.gateway.requests) >= 100:
            halted_at.append(stage.clock.elapsed)
            return UNAUTHORIZED
        return None

    stage.gateway.answering = answer
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.STOPPED
    assert stage.state(campaign) == (C.HALTED, "token_refused")
    assert [sent for sent in stage.gateway.requests if sent.at > halted_at[0]] == []
    counts = stage.counts(campaign)
    assert set(counts) == {R.ACCEPTED, R.READY}
    assert counts[R.ACCEPTED] == sum(stage.gateway.times_sent.values())


@pytest.mark.parametrize("verdict", [UNAUTHORIZED, BLOCKED])
def test_the_decision_to_stop_waits_for_nothing(stage: Any, verdict: Verdict) -> None:
    """A halt that also says Retry-After, on a ledger and a pace that take their time."""
    campaign = stage.campaign(100)
    stage.thread.slow = 0.05
    slow_down = stage.pace.slow_down

    async def slowly(seconds: float) -> None:
        await asyncio.sleep(1.0)
        await slow_down(seconds)

    stage.pace.slow_down = slowly
    halted_at: list[float] = []

    def answer(sent: Any) -> Verdict:
        halted_at.append(stage.clock.elapsed + stage.gateway.latency)
        return Verdict(
            verdict.outcome,
            http_status=verdict.http_status,
            code=verdict.code,
            account_wide=verdict.account_wide,
            retry_after=5.0,
        )

    stage.gateway.answering = answer
    stage.run(stage.lane(campaign).run())
    assert all(sent.at <= halted_at[0] for sent in stage.gateway.requests)
    assert stage.pace.slowed[0] == 5.0


def test_a_stop_of_the_account_reaches_lanes_that_hold_claims(stage: Any) -> None:
    """Two campaigns in one process: what the other one has claimed and not begun does not go out any more."""
    first, second = (
        stage.campaign(1, account="acme"),
        stage.campaign([stage.row(n) for n in range(100, 200)], account="acme"),
    )
    stage.pace.rate = 50.0
    blocked_at: list[float] = []

    def answer(sent: Any) -> Verdict | None:
        if sent.request.message == "Hello 2":
            blocked_at.append(stage.clock.elapsed + stage.gateway.latency)
            return BLOCKED
        return None

    stage.gateway.answering = answer
    brake = Brake()

    async def both() -> None:
        lane = stage.lane(second, brake=brake)
        running = asyncio.create_task(lane.run())
        await asyncio.sleep(0.33)
        await stage.lane(first, brake=brake).run()
        assert await running is LaneEnd.STOPPED

    stage.run(both())
    assert [sent for sent in stage.gateway.requests if sent.at > blocked_at[0]] == []
    assert stage.state(second) == stage.state(first) == (C.HALTED, "account_blocklisted")
    assert R.SENDING not in stage.counts(second)


def test_a_worse_answer_in_flight_makes_the_stop_worse(stage: Any) -> None:
    campaign, sister = stage.campaign(4, account="acme"), stage.campaign(1, account="acme")

    async def answer(sent: Any) -> Verdict:
        first = len(stage.gateway.requests) == 1
        await asyncio.sleep(0.5 if first else 1.0)
        return UNAUTHORIZED if first else BLOCKED

    stage.gateway.answering = answer
    stage.run(stage.lane(campaign).run())
    assert len(stage.gateway.requests) > 1
    assert stage.state(campaign) == (C.HALTED, "token_refused")
    assert stage.state(sister) == (C.HALTED, "account_blocklisted")


def test_another_accounts_answer_stops_before_the_next_request(stage: Any) -> None:
    campaign = stage.campaign(50, account="acme")
    stage.gateway.username = "somebody else"
    stage.gateway.latency = 0.0
    stage.thread.slow = 0.1
    stage.run(stage.lane(campaign).run())
    assert stage.state(campaign) == (C.HALTED, "other_account")
    assert stage.view(campaign).account == "acme"
    assert len(stage.gateway.requests) == 1


def test_blocklisted_in_the_very_first_answer_stops_that_account_by_its_name(stage: Any) -> None:
    campaign, other = stage.campaign(5), stage.campaign(1, account="somebody else")
    stage.gateway.answering = lambda sent: Verdict(
        Outcome.HALT,
        stage.gateway.make(sent.request.recipient, sent.request.message, blocklisted=True),
        201,
        account_wide=True,
        unsure=True,
    )
    stage.run(stage.lane(campaign).run())
    assert [(stop.account, stop.reason) for stop in stage.ledger.halts.in_force()] == [
        ("acme", "account_blocklisted")
    ]
    assert stage.state(other)[0] is C.SENDING
    accepted = [row for row in stage.ledger.queries.report_rows(campaign) if row.state is R.ACCEPTED]
    # they look like any other, and will hardly arrive
    assert {row.reason for row in accepted} == {"blocklisted_with_it"}


def test_a_campaign_that_learns_that_its_account_is_stopped_is_halted(stage: Any) -> None:
    campaign = stage.campaign(30)
    stage.ledger.halts.stop("sandbox", "acme", "account_blocklisted", stage.now)
    assert stage.state(campaign)[0] is C.HALTED  # nobody knew whose it was
    stage.ledger.halts.lift("sandbox", "acme", "a person", stage.now)
    assert stage.ledger.campaigns.resume(campaign, stage.now)
    stage.sql("INSERT INTO halts VALUES ('sandbox', 'acme', 'account_blocklisted', 0)")
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.STOPPED
    assert stage.state(campaign) == (C.HALTED, "account_blocklisted")
    assert stage.counts(campaign).get(R.SENDING) is None


def test_the_stop_flag_settles_what_is_in_flight_and_releases_the_rest(stage: Any) -> None:
    campaign = stage.campaign(300)

    async def answer(sent: Any) -> None:
        if len(stage.gateway.requests) == 60:
            stage.stop = True
        await asyncio.sleep(1.0)

    stage.gateway.answering = answer
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.STOPPED
    assert stage.counts(campaign) == {R.ACCEPTED: 60, R.READY: 240}
    assert sum(stage.rows(campaign, "attempts")) == 60
    assert stage.state(campaign)[0] is C.SENDING


def test_stopping_does_not_wait_for_slots_that_are_minutes_away(stage: Any) -> None:
    campaign = stage.campaign(5)
    stage.pace.rate = 1 / 60

    async def stop_soon() -> LaneEnd:
        running = asyncio.create_task(stage.lane(campaign).run())
        await asyncio.sleep(70.0)
        stage.stop = True
        return await running

    begun = stage.clock.elapsed
    assert stage.run(stop_soon()) is LaneEnd.STOPPED
    assert stage.clock.elapsed - begun < 70.0 + 2 * SETTLE_WITHIN + 0.1
    assert set(stage.counts(campaign)) == {R.ACCEPTED, R.READY}


def test_a_pause_is_noticed(stage: Any) -> None:
    campaign = stage.campaign(200)

    def answer(sent: Any) -> None:
        if len(stage.gateway.requests) == 50:
            assert stage.ledger.campaigns.pause(campaign, stage.now)

    stage.gateway.answering = answer
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.STOPPED
    counts = stage.counts(campaign)
    assert set(counts) == {R.ACCEPTED, R.READY}
    assert (
        50 <= counts[R.ACCEPTED] <= 50 + 100 * (2 * SETTLE_WITHIN)
    )  # what is claimed and not begun comes back
    assert stage.state(campaign)[0] is C.PAUSED


def test_the_cost_cap_holds_the_campaign(stage: Any) -> None:
    campaign = stage.campaign(50, max_cost=Decimal("1.00"))
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.STOPPED
    assert stage.state(campaign) == (C.HELD, "cost_cap")
    assert stage.view(campaign).committed_cost <= Decimal("1.00")
    assert stage.counts(campaign)[R.ACCEPTED] >= 20


@pytest.mark.parametrize("latency", [0.0, 2.0])
@pytest.mark.parametrize("price", ["0.049", "0.051", "0.098", "0.5"])
def test_the_cost_cap_holds_when_the_gateway_is_dearer_than_the_price_book(
    stage: Any, price: str, latency: float
) -> None:
    """Nobody screened: the first answer tells the real price, and nothing more goes out before it."""
    campaign = stage.campaign(200, max_cost=Decimal("5.00"))

    async def answer(sent: Any) -> Verdict:
        await asyncio.sleep(latency)
        return Verdict(Outcome.ACCEPTED, stage.gateway.accept(sent, total_price=Decimal(price)).message)

    stage.gateway.answering = answer
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.STOPPED
    assert stage.state(campaign) == (C.HELD, "cost_cap")
    spent = stage.view(campaign).actual_cost
    assert Decimal("5.00") - max(Decimal(price), Decimal("0.05")) < spent <= Decimal("5.00")


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_a_row_that_waits_minutes_for_its_slot_hears_of_a_pause_by_another_process(
    stage: Any, verb: str
) -> None:
    campaign = stage.campaign(5)
    stage.pace.rate = 1 / 60

    async def pause_soon() -> LaneEnd:
        running = asyncio.create_task(stage.lane(campaign).run())
        await asyncio.sleep(70.0)
        assert getattr(stage.ledger.campaigns, verb)(campaign, stage.now)
        return await running

    begun = stage.clock.elapsed
    assert stage.run(pause_soon()) is LaneEnd.STOPPED
    assert stage.clock.elapsed - begun < 70.0 + LOOK_EVERY + 3 * SETTLE_WITHIN
    left = R.READY if verb == "pause" else R.CANCELLED
    assert set(stage.counts(campaign)) == {R.ACCEPTED, left}
    assert stage.counts(campaign)[R.ACCEPTED] == len(stage.gateway.requests)


def test_what_is_settled_between_two_claims_tells_of_a_pause(stage: Any) -> None:
    campaign = stage.campaign(20)
    stage.pace.rate = 0.1
    stage.gateway.latency = 2.0
    paused_at: list[float] = []

    def answer(sent: Any) -> None:
        if len(stage.gateway.requests) == 3:
            assert stage.ledger.campaigns.pause(campaign, stage.now)
            paused_at.append(stage.clock.elapsed)

    stage.gateway.answering = answer
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.STOPPED
    assert stage.counts(campaign) == {R.ACCEPTED: 3, R.READY: 17}
    assert stage.clock.elapsed - paused_at[0] < 2.0 + LOOK_EVERY + 3 * SETTLE_WITHIN


def test_a_ledger_that_cannot_be_asked_how_the_campaign_is_doing_stops_nothing(stage: Any) -> None:
    campaign = stage.campaign(3)
    stage.pace.rate = 0.1
    stage.thread.fail_next["campaign"] = 1000
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.thread.calls["campaign"] > 10
    assert stage.counts(campaign) == {R.ACCEPTED: 3}


# -- a stop that is not in the ledger yet


def lanes_of(stage: Any) -> Lanes:
    def failed(campaign_id: int, error: BaseException) -> None:
        raise error

    return Lanes(
        stage.services(),
        lambda: stage.stop,
        failed,
        gateway="sandbox",
        guard=timedelta(days=7),
        limits=LaneLimits(),
    )


def test_no_lane_starts_while_a_stop_of_the_account_could_not_be_written(stage: Any) -> None:
    first, other = stage.campaign(5, account="acme"), stage.campaign([stage.row(100)], account="acme")
    busy = 1000

    def answer(sent: Any) -> Verdict:
        stage.thread.fail_next["stop_campaign"] = busy
        return BLOCKED

    stage.gateway.answering = answer
    running = lanes_of(stage)

    async def lanes() -> None:
        with pytest.raises(Unreachable):
            await running.run(first, 0)
        sent = len(stage.gateway.requests)
        assert stage.state(other)[0] is C.SENDING  # the ledger knows nothing of it
        assert await running.run(other, 0) is LaneEnd.STOPPED
        with pytest.raises(Unreachable):
            await running.run(first, 0)
        assert len(stage.gateway.requests) == sent
        stage.thread.fail_next.clear()
        assert await running.run(first, 0) is LaneEnd.STOPPED  # now it is written
        assert stage.state(first) == stage.state(other) == (C.HALTED, "account_blocklisted")
        assert len(stage.gateway.requests) == sent

    stage.run(lanes())


def test_lanes_start_again_in_the_same_process_after_a_person_lifted_the_stop(stage: Any) -> None:
    campaign = stage.campaign(5, account="acme")
    stage.gateway.answering = lambda sent: BLOCKED
    running = lanes_of(stage)

    async def lanes() -> None:
        assert await running.run(campaign, 0) is LaneEnd.STOPPED
        stage.gateway.answering = lambda sent: None
        stage.ledger.halts.lift("sandbox", "acme", "a person", stage.now)
        assert stage.ledger.campaigns.resume(campaign, stage.now)
        assert await running.run(campaign, 0) is LaneEnd.DRAINED

    stage.run(lanes())
    assert stage.counts(campaign) == {R.ACCEPTED: 5}


def test_answers_that_could_not_be_written_are_written_by_the_next_run(stage: Any) -> None:
    campaign = stage.campaign(5)

    def answer(sent: Any) -> None:
        stage.thread.fail_next["settle_and_claim"] = 1000

    stage.gateway.answering = answer
    running = lanes_of(stage)

    async def lanes() -> None:
        with pytest.raises(Unreachable):
            await running.run(campaign, 0)
        assert stage.counts(campaign)[R.SENDING] == len(stage.gateway.requests)
        stage.thread.fail_next.clear()
        stage.gateway.answering = lambda sent: None
        assert await running.run(campaign, 0) is LaneEnd.DRAINED

    stage.run(lanes())
    assert stage.counts(campaign) == {R.ACCEPTED: 5}
    assert max(stage.gateway.times_sent.values()) == 1
