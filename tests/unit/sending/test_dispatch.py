"""A lane: intent before request, two clocks, stops, lost ledgers, and nothing that spins or waits for nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dispatcher.errors import Unreachable
from dispatcher.gateway.models import Options
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState, RowState
from dispatcher.sending.dispatch import CLOCK_GAP, SETTLE_WITHIN, START_MARGIN, LaneEnd, LaneLimits
from dispatcher.sending.guards import RESTS, Brake
from dispatcher.sending.services import LATENESS

C, R = CampaignState, RowState
TIMEOUT = Verdict(Outcome.IN_DOUBT, detail="no answer in time")
REFUSED = Verdict(Outcome.REFUSED, http_status=422, code=2011)
NOT_SENT = Verdict(Outcome.NOT_SENT, detail="no connection")
UNAUTHORIZED = Verdict(Outcome.HALT, http_status=401)
BLOCKED = Verdict(Outcome.HALT, http_status=403, code=2020, account_wide=True)


def instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


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
    assert min(after - before for before, after in pairwise(times)) == pytest.approx(0.05)
    assert times[-1] - times[0] == pytest.approx(59 * 0.05, rel=0.1)


@pytest.mark.parametrize("single_part", [True, False])
@pytest.mark.parametrize("url", [None, "https://example.com/callbacks"])
def test_what_a_request_says(stage: Any, single_part: bool, url: str | None) -> None:
    campaign = stage.campaign([stage.row(2, sender=None, route="WW")])
    facts = stage.facts(campaign, single_part=single_part)
    stage.run(stage.lane(campaign, facts=facts, services=stage.services(callback_url=url)).run())
    (sent,) = stage.gateway.requests
    assert (sent.route, sent.request.sender, sent.request.message) == ("WW", None, "Hello 2")
    assert sent.request.options == (Options(fail_on_multiple_messages=True) if single_part else None)
    custom = sent.request.callback.custom if sent.request.callback else None
    assert custom == (None if url is None else {"row": f"{stage.ledger.id}.{campaign}.2"})


# -- the clocks


def during_the_claim(stage: Any, change: Callable[[], None]) -> None:
    """Do something after the first claim with rows is on disk, before its requests start."""
    inner = stage.ledger.rows.settle_and_claim

    def settle_and_claim(*args: Any) -> Any:
        settled = inner(*args)
        if settled.claim and settled.claim.rows and stage.thread.calls["changed"] == 0:
            stage.thread.calls["changed"] += 1
            change()
        return settled

    stage.ledger.rows.settle_and_claim = settle_and_claim


@pytest.mark.parametrize("gap", [CLOCK_GAP + 0.1, 3600.0, -CLOCK_GAP - 0.1, -3600.0])
def test_a_laptop_that_slept_drops_its_claim_unsent(stage: Any, gap: float) -> None:
    campaign = stage.campaign(1)

    def sleep() -> None:
        stage.clock.wall_ahead += gap
        stage.stop = gap < 0  # a clock that went back would wait for due times

    during_the_claim(stage, sleep)
    ages: list[timedelta] = []
    stage.gateway.answering = lambda sent: ages.append(
        stage.now - instant(stage.rows(campaign, "attempt_started_at")[0])
    )
    stage.run(stage.lane(campaign).run())
    attempts = stage.rows(campaign, "attempts")
    if gap > 0:  # claimed again, with clocks that agree
        assert (stage.counts(campaign), attempts) == ({R.ACCEPTED: 1}, [1])
        assert [age < timedelta(seconds=1) for age in ages] == [True]
    else:
        assert (stage.counts(campaign), ages, attempts) == ({R.READY: 1}, [], [0])


def test_clocks_that_differ_a_little_do_no_harm(stage: Any) -> None:
    campaign = stage.campaign(1)
    during_the_claim(stage, lambda: setattr(stage.clock, "wall_ahead", CLOCK_GAP - 0.1))
    stage.run(stage.lane(campaign).run())
    assert len(stage.gateway.requests) == 1


def test_a_missed_slot_is_given_up(stage: Any) -> None:
    """The process hangs between the claim and its requests: every slot of the claim is gone."""
    campaign = stage.campaign(40)
    stage.pace.rate = 50.0
    slots: list[float] = []
    reserve = stage.pace.reserve

    async def noted(n: int) -> Any:
        given = await reserve(n)
        slots.extend(stage.clock.elapsed + offset for offset in given.offsets)
        return given

    stage.pace.reserve = noted

    def answer(sent: Any) -> None:
        if len(stage.gateway.requests) == 5:
            stage.clock.elapsed += 1.5

    stage.gateway.answering = answer
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 40}
    assert len(stage.gateway.requests) == 40
    free = sorted(slots)
    for at in sorted(sent.at for sent in stage.gateway.requests):  # every request has a slot of its own
        slot = next(slot for slot in free if slot >= at - LATENESS - 1e-6)
        assert slot <= at + 1e-6
        free.remove(slot)
    assert free  # some were given up


def test_nothing_starts_after_the_lease(stage: Any) -> None:
    """Both clocks jump together, as when the whole machine was stopped: the claim is too old to be used."""
    campaign = stage.campaign(1)
    started: list[datetime] = []

    def stopped() -> None:
        stage.clock.elapsed += 60.0

    during_the_claim(stage, stopped)
    stage.gateway.answering = lambda sent: started.append(
        instant(stage.rows(campaign, "attempt_started_at")[0])
    )
    stage.run(stage.lane(campaign).run())
    assert len(stage.gateway.requests) == 1
    assert stage.now - started[0] < timedelta(seconds=10)  # not the attempt of a minute ago


def test_a_slow_ledger_sends_slowly_instead_of_never(stage: Any) -> None:
    campaign = stage.campaign(30)
    stage.thread.slow = 2 * LATENESS
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 30}
    assert len(stage.gateway.requests) == 30


# -- stops


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
        Outcome.HALT, stage.gateway.make("+39333", "x", blocklisted=True), 201, account_wide=True, unsure=True
    )
    stage.run(stage.lane(campaign).run())
    assert [(stop.account, stop.reason) for stop in stage.ledger.halts.in_force()] == [
        ("acme", "account_blocklisted")
    ]
    assert stage.state(other)[0] is C.SENDING


def test_a_campaign_that_learns_that_its_account_is_stopped_is_halted(stage: Any) -> None:
    campaign = stage.campaign(30)
    stage.ledger.halts.stop("sandbox", "acme", "account_blocklisted", stage.now)
    assert stage.state(campaign)[0] is C.HALTED  # nobody knew whose it was
    stage.ledger.halts.lift("sandbox", "acme", "a person", stage.now)
    assert stage.ledger.campaigns.resume(campaign, stage.now)
    with sqlite3.connect(stage.folder / "ledger.db") as connection:
        connection.execute("INSERT INTO halts VALUES ('sandbox', 'acme', 'account_blocklisted', 0)")
    connection.close()
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
    assert 50 <= counts[R.ACCEPTED] <= 90  # what was claimed by then goes out
    assert stage.state(campaign)[0] is C.PAUSED


def test_the_cost_cap_holds_the_campaign(stage: Any) -> None:
    campaign = stage.campaign(50, max_cost=Decimal("1.00"))
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.STOPPED
    assert stage.state(campaign) == (C.HELD, "cost_cap")
    assert stage.view(campaign).committed_cost <= Decimal("1.00")
    assert stage.counts(campaign)[R.ACCEPTED] >= 20


# -- a gateway in trouble


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


# -- how a lane ends


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


def test_a_small_campaign_whose_answers_are_lost_keeps_a_row_that_can_prove_something(stage: Any) -> None:
    """The first answer is there at once, so that all the others fit into the second claim."""
    campaign = stage.campaign(6)
    stage.gateway.latency = 0.0
    stage.gateway.answering = lambda sent: TIMEOUT if sent.request.message != "Hello 2" else None
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.states(campaign) == [R.ACCEPTED, *[R.IN_DOUBT] * 4, R.READY]


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


# -- whatever happens


ANSWERS = st.sampled_from(
    ["ok", "ok", "ok", "ok", "refused", "lost", "lost_but_there", "throttled", "not_sent", "bug"]
)


@settings(max_examples=25, deadline=None)
@example(answers=["refused"], busy=set(), stop_after=None, slices=0.25)  # stopped as a slice ended
@given(
    answers=st.lists(ANSWERS, min_size=1, max_size=60),
    busy=st.sets(st.integers(1, 40), max_size=4),
    stop_after=st.none() | st.integers(1, 40),
    slices=st.floats(0.2, 5.0),
)
def test_whatever_happens_no_row_is_sent_twice_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory,
    open_stage: Any,
    answers: list[str],
    busy: set[int],
    stop_after: int | None,
    slices: float,
) -> None:
    with open_stage(tmp_path_factory.mktemp("stage")) as stage:
        campaign = stage.campaign(40)
        verdicts = {"refused": REFUSED, "lost": TIMEOUT, "not_sent": NOT_SENT}
        arrived: list[str] = []

        def answer(sent: Any) -> Verdict | None:
            number = len(stage.gateway.requests)
            if number in busy:
                stage.thread.fail_next["settle_and_claim"] = 1
            stage.stop = stop_after == number
            kind = answers[number % len(answers)] if number < 150 else "ok"
            if kind == "bug":
                raise RuntimeError("a bug")
            if kind == "throttled":
                return Verdict(Outcome.THROTTLED, http_status=429, retry_after=1.0)
            if kind in ("ok", "lost_but_there"):
                arrived.append(sent.request.message)
                accepted = stage.gateway.accept(sent)
                return accepted if kind == "ok" else TIMEOUT
            return verdicts[kind]

        stage.gateway.answering = answer

        async def lanes() -> None:
            for _ in range(20):
                lane = stage.lane(campaign, limits=LaneLimits(slice_seconds=slices))
                with suppress(Unreachable, RuntimeError):
                    while await lane.run() is LaneEnd.MORE:
                        pass
                stage.stop = False
                stage.ledger.campaigns.resume(campaign, stage.now)

        stage.run(lanes())
        counts = stage.counts(campaign)
        assert sum(counts.values()) == 40
        assert R.SENDING not in counts
        assert len(arrived) == len(set(arrived)), "sent twice"
        states = dict(zip(stage.rows(campaign, "text"), stage.states(campaign), strict=True))
        assert {states[text] for text in arrived} <= {R.ACCEPTED, R.IN_DOUBT}
        assert all(text in arrived for text, state in states.items() if state is R.ACCEPTED)
