"""A lane: intent before request, slots, how it ends, and nothing that spins or waits for nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from dispatcher.errors import Unreachable
from dispatcher.gateway.models import Options
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.gateway.signing import Signer
from dispatcher.ledger import CampaignState, RowState
from dispatcher.sending.dispatch import SETTLE_WITHIN, LaneEnd, LaneLimits
from dispatcher.sending.lease import START_MARGIN
from dispatcher.sending.services import Slots
from tests.unit.sending.answers import TIMEOUT, instant

C, R = CampaignState, RowState


def test_everything_is_sent_once_and_written_down(stage: Any) -> None:
    campaign = stage.campaign(50)
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.counts(campaign) == {R.ACCEPTED: 50}
    assert stage.gateway.times_sent == {(f"+3933312{n:05d}", f"Hello {n}"): 1 for n in range(2, 52)}
    assert stage.view(campaign).account == "acme"
    assert stage.view(campaign).actual_cost == Decimal("2.25")
    assert stage.ledger.campaigns.finish_if_done(campaign, stage.now) is C.FINISHED


def test_the_intent_is_on_disk_before_the_request_and_outlasts_it(stage: Any) -> None:
    campaign = stage.campaign(20)
    seen: list[tuple[Any, ...]] = []
    columns = "row, state, attempt_token, claimed_by, attempt_started_at, deadline"

    def answer(sent: Any) -> None:
        number = int(sent.request.message.split()[1])
        row = next(row for row in stage.rows(campaign, columns) if row[0] == number)
        seen.append((*row, stage.now))

    stage.gateway.answering = answer
    lane = stage.lane(campaign, services=stage.services(request_timeout=20.0))
    stage.run(lane.run())
    assert sorted(row[0] for row in seen) == list(range(2, 22))
    for _, state, token, owner, started, deadline, now in seen:
        assert (state, owner) == (R.SENDING, "owner-1")
        assert token
        assert instant(started) <= now
        # a request may begin at the end of its lease and take all its time, and the row is still its own
        assert instant(deadline) - instant(started) >= timedelta(seconds=20) + START_MARGIN
    tokens = {row[2] for row in seen}
    assert 1 < len(tokens) < 20  # one for every claim


def test_requests_wait_for_their_slots(stage: Any) -> None:
    campaign = stage.campaign(60)
    stage.pace.rate = 20.0
    stage.run(stage.lane(campaign).run())
    times = sorted(sent.at for sent in stage.gateway.requests)
    assert min(after - before for before, after in pairwise(times)) == pytest.approx(0.05, abs=1e-4)
    assert times[-1] - times[0] == pytest.approx(59 * 0.05, rel=0.1)


def test_without_a_limit_the_gateway_never_waits_for_the_lane(stage: Any) -> None:
    campaign = stage.campaign(400)
    stage.pace.rate, stage.gateway.latency = None, 0.05
    lane, begun = stage.lane(campaign, limits=LaneLimits(in_flight=40)), stage.clock.elapsed
    assert stage.run(lane.run()) is LaneEnd.DRAINED
    assert stage.counts(campaign) == {R.ACCEPTED: 400}
    # the first and the last row go alone
    assert stage.clock.elapsed - begun == pytest.approx((400 / 40 + 2) * 0.05, abs=0.1)
    # half of what may be in flight at once, and each claim settles what made room for it
    assert stage.thread.calls["settle_and_claim"] <= 400 / 20 + 8


def test_a_price_that_many_answers_name_at_once_is_told_the_ledger_once(stage: Any) -> None:
    campaign = stage.campaign(200)
    stage.pace.rate, stage.thread.slow = None, 0.1
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 200}
    assert stage.thread.calls["raise_reserves"] == 1


def test_a_price_that_a_busy_ledger_did_not_hear_is_told_again(stage: Any) -> None:
    campaign = stage.campaign(20)
    stage.thread.fail_next["raise_reserves"] = 1
    stage.run(stage.lane(campaign).run())
    assert stage.thread.calls["raise_reserves"] == 2


def test_answers_are_settled_while_the_pace_says_soon_again_and_again(stage: Any) -> None:
    campaign = stage.campaign(10)
    begun, reserve, settled_after = stage.clock.elapsed, stage.pace.reserve, []

    async def soon(n: int) -> Slots:
        if stage.pace.taken < 4 or settled_after:
            return await reserve(n)
        sent = [sent.at for sent in stage.gateway.requests]
        if (
            stage.counts(campaign).get(R.ACCEPTED, 0) == 9 or stage.clock.elapsed > begun + 10
        ):  # the tenth goes alone
            settled_after.append(stage.clock.elapsed - max(sent))
        return Slots([], 0.01)

    stage.pace.reserve = soon
    stage.run(stage.lane(campaign).run())
    assert settled_after[0] < stage.gateway.latency + 2 * SETTLE_WITHIN
    assert stage.counts(campaign) == {R.ACCEPTED: 10}


@pytest.mark.parametrize("single_part", [True, False])
@pytest.mark.parametrize("url", [None, "https://example.com/callbacks"])
def test_what_a_request_says(stage: Any, single_part: bool, url: str | None) -> None:
    campaign = stage.campaign([stage.row(2, sender=None, route="WW")])
    facts = stage.facts(campaign, single_part=single_part)
    callbacks = None if url is None else partial(Signer("secret").callback, url)
    stage.run(stage.lane(campaign, facts=facts, services=stage.services(callbacks=callbacks)).run())
    (sent,) = stage.gateway.requests
    assert (sent.route, sent.request.sender, sent.request.message) == ("WW", None, "Hello 2")
    assert sent.request.options == (Options(fail_on_multiple_messages=True) if single_part else None)
    key = f"{stage.ledger.id}.{campaign}.2"
    assert sent.request.callback == (None if url is None else Signer("secret").callback(url, key))


def test_a_slice_ends_with_more_and_leaves_nothing_behind(stage: Any) -> None:
    campaign = stage.campaign(300)
    lane = stage.lane(campaign, limits=LaneLimits(slice_seconds=1.0))

    async def slices() -> list[LaneEnd]:
        ends = [await lane.run()]
        while ends[-1] is LaneEnd.MORE:
            ends.append(await lane.run())
        return ends

    ends = stage.run(slices())
    assert ends[0] is LaneEnd.MORE
    assert ends[-1] is LaneEnd.DRAINED
    assert stage.counts(campaign) == {R.ACCEPTED: 300}
    assert max(stage.gateway.times_sent.values()) == 1


def test_one_slow_answer_does_not_keep_the_campaign_waiting(stage: Any) -> None:
    campaign = stage.campaign(1000)
    lane = stage.lane(campaign, limits=LaneLimits(slice_seconds=1.0))

    async def answer(sent: Any) -> None:
        await asyncio.sleep(25.0 if sent.request.message == "Hello 50" else 0.5)

    stage.gateway.answering = answer

    async def slices() -> None:
        while await lane.run() is LaneEnd.MORE:
            pass

    begun = stage.clock.elapsed
    stage.run(slices())
    assert stage.counts(campaign) == {R.ACCEPTED: 1000}
    *others, _witness = sorted(sent.at for sent in stage.gateway.requests)
    assert others[-1] - begun < 11.5  # ten seconds of work, and not 25 more for each slice


def test_a_lane_that_is_not_run_again_is_finished(stage: Any) -> None:
    campaign = stage.campaign(300)
    stage.gateway.latency = 3.0
    lane = stage.lane(campaign, limits=LaneLimits(slice_seconds=1.0))

    async def one_slice() -> None:
        assert await lane.run() is LaneEnd.MORE
        stage.stop = True
        await lane.finish()

    stage.run(one_slice())
    assert set(stage.counts(campaign)) == {R.ACCEPTED, R.READY}
    assert stage.counts(campaign)[R.ACCEPTED] == len(stage.gateway.requests)


def test_drained_when_nothing_is_due_yet(stage: Any) -> None:
    later = stage.now + timedelta(hours=1)
    campaign = stage.campaign([stage.row(2), stage.row(3), stage.row(4, due_at=later)])
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.counts(campaign) == {R.ACCEPTED: 2, R.READY: 1}
    assert stage.ledger.campaigns.finish_if_done(campaign, stage.now) is C.WAITING


def test_a_draining_lane_takes_one_slot_not_a_batch(stage: Any) -> None:
    later = stage.now + timedelta(hours=1)
    campaign = stage.campaign([stage.row(2, due_at=later)])
    stage.run(stage.lane(campaign).run())
    assert stage.pace.taken == 1


def test_the_last_row_waits_until_the_others_are_settled_and_goes_at_once_then(stage: Any) -> None:
    campaign = stage.campaign(30)
    stage.gateway.latency = 2.0
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.counts(campaign) == {R.ACCEPTED: 30}
    *others, last = sorted(sent.at for sent in stage.gateway.requests)
    assert 2.0 <= last - max(others) < 3.0


def test_waiting_for_the_others_takes_no_slots_from_anybody(stage: Any) -> None:
    """At one a minute a slot that is taken in vain puts the last row off by another minute."""
    campaign = stage.campaign(2)
    stage.pace.rate = 1 / 60
    stage.gateway.latency = 20.0
    stage.run(stage.lane(campaign).run())
    first, last = sorted(sent.at for sent in stage.gateway.requests)
    assert last - first <= 120.0 + 1.0


def test_a_single_row_is_its_own_last_row(stage: Any) -> None:
    campaign = stage.campaign(1)
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.counts(campaign) == {R.ACCEPTED: 1}


def test_the_last_row_is_kept_as_a_witness_while_another_one_is_in_doubt(stage: Any) -> None:
    campaign = stage.campaign(40)
    stage.gateway.answering = lambda sent: TIMEOUT if sent.request.message == "Hello 4" else None
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.counts(campaign) == {R.ACCEPTED: 38, R.IN_DOUBT: 1, R.READY: 1}
    (doubt,) = stage.ledger.queries.in_doubt(campaign)
    stage.clock.elapsed += (doubt.deadline - stage.now).total_seconds() + 1.0
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.counts(campaign) == {R.ACCEPTED: 39, R.IN_DOUBT: 1}
    assert stage.rows(campaign, "attempt_started_at")[-1] > stage.rows(campaign, "deadline")[2]


def test_waiting_does_not_spin(stage: Any) -> None:
    """Few turns of the loop for a lot of waiting: a resting lane, a full one, a slowed-down one."""
    campaign = stage.campaign(50)
    stage.pace.rate = 1.0

    def answer(sent: Any) -> Verdict | None:
        return (
            Verdict(Outcome.THROTTLED, http_status=429, retry_after=100.0)
            if len(stage.gateway.requests) == 5
            else None
        )

    stage.gateway.answering = answer
    begun = stage.clock.elapsed
    stage.run(stage.lane(campaign).run())
    seconds = stage.clock.elapsed - begun
    assert seconds > 140.0
    assert stage.thread.calls["settle_and_claim"] < seconds * 3


def test_in_flight_is_bounded(stage: Any) -> None:
    campaign = stage.campaign(300)
    stage.pace.rate = None
    most = [0]
    flying = [0]

    async def answer(sent: Any) -> None:
        flying[0] += 1
        most[0] = max(most[0], flying[0])
        await asyncio.sleep(1.0)
        flying[0] -= 1

    stage.gateway.answering = answer
    stage.run(stage.lane(campaign, limits=LaneLimits(slice_seconds=3600.0, in_flight=25)).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 300}
    assert most[0] == 25


@pytest.mark.parametrize("lost", [1, 3])
def test_a_claim_whose_answer_was_lost_is_given_back_at_once(stage: Any, lost: int) -> None:
    """The server made the claim and died before it said so: nobody else knows that nothing of it was sent."""
    campaign = stage.campaign(10)
    stage.thread.lose_next["settle_and_claim"] = lost
    for _ in range(lost):
        with pytest.raises(Unreachable):
            stage.run(stage.lane(campaign).run())
        assert stage.counts(campaign) == {R.READY: 10}
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.counts(campaign) == {R.ACCEPTED: 10}
    assert len(stage.gateway.requests) == 10


def test_answers_whose_settling_was_lost_are_settled_again(stage: Any) -> None:
    campaign = stage.campaign(10)

    def answer(sent: Any) -> None:
        if len(stage.gateway.requests) == 5:
            stage.thread.lose_next["settle_and_claim"] = 1

    stage.gateway.answering = answer
    with pytest.raises(Unreachable):
        stage.run(stage.lane(campaign).run())
    assert R.SENDING not in stage.counts(campaign)
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 10}
    assert len(stage.gateway.requests) == 10
