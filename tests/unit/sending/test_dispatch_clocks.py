"""A lane and time: two clocks, leases, missed slots, a machine that slept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from dispatcher.ledger import CampaignState, RowState
from dispatcher.sending.lease import CLOCK_GAP
from dispatcher.sending.services import STARTS_WITHIN
from tests.unit.sending.answers import instant

C, R = CampaignState, RowState


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
        slot = next(slot for slot in free if slot >= at - STARTS_WITHIN - 1e-6)
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
    stage.thread.slow = 2 * STARTS_WITHIN
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 30}
    assert len(stage.gateway.requests) == 30


@pytest.mark.parametrize(
    ("per_minute", "slow", "in_vain"),
    [(12, 0.5, 0), (12, 3.0, 0), (1, 0.5, 0), (6_000, 6.0, 1), (12, 20.0, 1)],
)
def test_slots_that_replace_missed_ones_are_within_the_lease(
    stage: Any, per_minute: float, slow: float, in_vain: int
) -> None:
    """At low limits the next slot is further away than a claim used to be worth: every row came back unsent."""
    campaign = stage.campaign(3)
    stage.pace.rate = per_minute / 60
    stage.thread.slow = slow
    claims = [0]
    inner = stage.ledger.rows.settle_and_claim

    def settle_and_claim(*args: Any) -> Any:
        settled = inner(*args)
        claims[0] += bool(settled.claim and settled.claim.rows)
        assert claims[0] < 20, "claimed again and again"
        return settled

    stage.ledger.rows.settle_and_claim = settle_and_claim
    left: list[float] = []

    def answer(sent: Any) -> None:
        row = int(sent.request.message.split()[1]) - 2
        deadline = instant(stage.rows(campaign, "deadline")[row])
        left.append((deadline - stage.now).total_seconds())

    stage.gateway.answering = answer
    stage.run(stage.lane(campaign, services=stage.services(request_timeout=20.0)).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 3}
    assert claims[0] <= 3 + in_vain
    assert min(left) > 20.0  # whoever finds the claim past its deadline finds a request that has ended
