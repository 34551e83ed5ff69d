"""Campaigns that compete for the limit: the urgent one has it, the others take what it leaves and a small share."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.ledger import CampaignState, Priority, RowState
from dispatcher.sending.dispatch import LaneEnd, LaneLimits
from dispatcher.sending.precedence import ONE_SLOT_IN, Precedence

SLICES = LaneLimits(slice_seconds=5.0)


async def run_lane(stage: Any, campaign: int, until: float, ends: list[LaneEnd] | None = None) -> None:
    """Slice after slice, as jobs do, until nothing is due or the time has come."""
    precedence = Precedence(stage.services(), campaign)
    while stage.clock.elapsed < until:
        lane = stage.lane(campaign, limits=SLICES, precedence=precedence)
        end = await lane.run()
        await lane.finish()
        if ends is not None:
            ends.append(end)
        if end is not LaneEnd.MORE:
            return


def compete(stage: Any, seconds: float, *campaigns: int) -> dict[int, list[float]]:
    """When each campaign's requests came in, within so many seconds."""
    begin = stage.clock.elapsed

    async def race() -> None:
        async with asyncio.timeout(seconds * 20):
            await asyncio.gather(*(run_lane(stage, each, begin + seconds) for each in campaigns))

    stage.run(race())
    arrived: dict[int, list[float]] = {each: [] for each in campaigns}
    for sent in stage.gateway.real:
        if sent.at < begin + seconds:
            arrived[int(sent.request.sender)].append(sent.at - begin)
    return arrived


def loaded(
    stage: Any, rows: int, priority: Priority, *, due_in: float = 0.0, gateway: str = "sandbox"
) -> int:
    """A campaign under way whose messages come from a sender of its number's name."""
    number = len(stage.ledger.queries.campaigns()) + 1
    due_at = stage.now + timedelta(seconds=due_in) if due_in else None
    campaign = stage.campaign(
        [
            stage.row(
                n, sender=str(number), guard_key=(number * 1_000_000 + n).to_bytes(16, "big"), due_at=due_at
            )
            for n in range(2, rows + 2)
        ],
        gateway=gateway,
    )
    assert campaign == number
    stage.ledger.campaigns.set_priority(campaign, priority, "test", stage.now)
    return campaign


@pytest.mark.parametrize(
    ("rate", "ranks"),
    [(100.0, (Priority.HIGH, Priority.NORMAL)), (1.0, (Priority.NORMAL, Priority.LOW))],
)
def test_the_urgent_one_has_nearly_all_of_the_limit_and_the_other_one_a_share(
    stage: Any, rate: float, ranks: tuple[Priority, Priority]
) -> None:
    stage.pace.rate = rate
    seconds = 200 / rate
    other, urgent = loaded(stage, 250, ranks[1]), loaded(stage, 250, ranks[0])
    arrived = compete(stage, seconds, other, urgent)
    together = len(arrived[urgent]) + len(arrived[other])
    assert len(arrived[urgent]) >= 0.85 * together
    assert len(arrived[other]) > 0
    # and between them they use the limit
    assert together >= 0.9 * seconds * rate


def test_campaigns_of_one_priority_share_the_limit(stage: Any) -> None:
    first, second = (loaded(stage, 250, Priority.HIGH) for _ in range(2))
    arrived = compete(stage, 2.0, first, second)
    assert min(len(times) for times in arrived.values()) >= 0.4 * 200


@pytest.mark.parametrize(("campaigns", "silent_for"), [(1, 0.0), (3, 181.0)])
def test_what_the_urgent_one_does_not_use_is_used_by_the_others(
    stage: Any, campaigns: int, silent_for: float
) -> None:
    # its process died: nobody sends it, and nobody says so
    others = [loaded(stage, 400, Priority.NORMAL) for _ in range(campaigns)]
    loaded(stage, 10, Priority.HIGH)
    stage.clock.elapsed += silent_for
    arrived = compete(stage, 3.0, *others)
    assert sum(len(times) for times in arrived.values()) >= 0.85 * 300


def test_who_was_outranked_has_the_limit_again_when_the_urgent_one_is_done(stage: Any) -> None:
    other, urgent = loaded(stage, 800, Priority.NORMAL), loaded(stage, 200, Priority.HIGH)
    arrived = compete(stage, 10.0, other, urgent)
    done = max(arrived[urgent])
    assert len(arrived[urgent]) == 200
    assert done < 2.0 + 1.0
    before = sum(at < done for at in arrived[other])
    after = sum(done + 1.5 <= at < done + 3.5 for at in arrived[other])
    assert before <= 40  # one batch until it knew, then its share
    assert after >= 0.9 * 200


def test_an_urgent_campaign_is_noticed_in_the_midst_of_a_slice(stage: Any) -> None:
    other = loaded(stage, 900, Priority.LOW)
    urgent = loaded(stage, 300, Priority.HIGH, due_in=2.0)
    ends: list[LaneEnd] = []

    async def race() -> None:
        begin = stage.clock.elapsed
        running = asyncio.create_task(run_lane(stage, other, begin + 6.0, ends))
        await stage.clock.sleep(2.0)
        await run_lane(stage, urgent, begin + 6.0)
        await running

    begin = stage.clock.elapsed
    stage.run(race())
    late = [s for s in stage.gateway.real if begin + 3.2 <= s.at < begin + 4.8]
    assert sum(s.request.sender == str(urgent) for s in late) >= 0.9 * len(late)
    assert len(ends) > 2  # its slices became short: threads are for whoever has slots


@pytest.mark.parametrize(
    ("state", "outranked"),
    [("sending", True), ("preflight", True), ("paused", False), ("due later", False), ("elsewhere", False)],
)
def test_who_outranks(stage: Any, state: str, outranked: bool) -> None:
    mine = loaded(stage, 2, Priority.NORMAL)
    other = loaded(
        stage,
        2,
        Priority.HIGH,
        due_in=60.0 if state == "due later" else 0.0,
        gateway="other" if state == "elsewhere" else "sandbox",
    )
    if state in ("paused", "preflight"):
        assert stage.ledger.campaigns.pause(other, stage.now)
    if state == "preflight":
        assert stage.ledger.campaigns.begin_preflight(other, stage.now)
    assert stage.ledger.queries.is_outranked(mine, stage.now) is outranked
    assert not stage.ledger.queries.is_outranked(other, stage.now)


def test_whoever_has_no_row_left_outranks_nobody(stage: Any) -> None:
    mine, other = loaded(stage, 2, Priority.LOW), loaded(stage, 2, Priority.NORMAL)
    assert stage.ledger.queries.is_outranked(mine, stage.now)
    stage.run(stage.lane(other).run())
    assert stage.counts(other) == {RowState.ACCEPTED: 2}
    assert stage.state(other)[0] is CampaignState.SENDING
    assert not stage.ledger.queries.is_outranked(mine, stage.now)


def test_the_ledger_is_asked_once_a_second_and_never_where_there_is_no_limit(stage: Any) -> None:
    campaign = loaded(stage, 500, Priority.NORMAL)
    begin = stage.clock.elapsed
    stage.run(stage.lane(campaign).run())
    assert 1 <= stage.thread.calls["is_outranked"] <= 2 + (stage.clock.elapsed - begin)
    stage.pace.rate = None
    stage.thread.calls.clear()
    stage.run(stage.lane(loaded(stage, 500, Priority.NORMAL)).run())
    assert stage.thread.calls["is_outranked"] == 0


def test_a_busy_ledger_says_nothing_new(stage: Any) -> None:
    mine = loaded(stage, 2, Priority.NORMAL)
    stage.thread.fail_next["is_outranked"] = 1
    stage.run(stage.lane(mine).run())
    assert stage.counts(mine) == {RowState.ACCEPTED: 2}


def test_the_share_is_one_slot_in_so_many(stage: Any) -> None:
    stage.pace.rate = 10.0
    other, urgent = loaded(stage, 50, Priority.LOW), loaded(stage, 400, Priority.HIGH)
    arrived = compete(stage, 30.0, other, urgent)
    assert len(arrived[other]) == pytest.approx(30 * 10 / ONE_SLOT_IN, abs=4)
