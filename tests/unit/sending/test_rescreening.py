"""A worker that finds rows due whose texts were seen too long ago: screened while it waits, then woken, or held."""

from __future__ import annotations

import random
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState
from dispatcher.sending.freshness import is_screened
from dispatcher.sending.stops import Stop
from jobs.rescreening import AGAIN, Rescreening
from jobs.sweep import Sweep

DAY = timedelta(days=1)


class Always:
    """Leads the sweep."""

    def leads(self) -> bool:
        return True


class Post:
    """A sweep over a stage; what it spawns runs to its end when :meth:`work` is called."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.spawned: list[Coroutine[Any, Any, None]] = []
        self.failures: list[BaseException] = []
        self.started: list[int] = []
        self.rescreening = Rescreening(
            stage.services(),
            self.spawned.append,
            lambda _, error: self.failures.append(error),
            random.Random(1),
        )
        self.sweep = Sweep(
            stage.ledger,
            "sandbox",
            stage.clock,
            leader=Always(),  # type: ignore[arg-type]
            gone=lambda owner: False,
            start_lane=lambda campaign, lane: self.started.append(campaign),
            look_for_doubts=lambda campaign: None,
            poll=lambda: None,
            screen=self.rescreening.screen,
            tell=lambda campaigns, rows: None,
        )

    def step(self) -> None:
        assert self.sweep.step()

    def work(self) -> int:
        todo, self.spawned[:] = list(self.spawned), []
        for each in todo:
            self.stage.run(each)
        assert not self.failures
        return len(todo)


@pytest.fixture
def post(stage: Any) -> Post:
    return Post(stage)


def waiting(stage: Any, after: timedelta, rows: int = 2) -> int:
    campaign = stage.campaign([stage.row(2 + n, due_at=stage.now + after) for n in range(rows)])
    assert stage.ledger.campaigns.finish_if_done(campaign, stage.now) is CampaignState.WAITING
    return int(campaign)


def test_what_was_screened_today_is_woken_at_once(stage: Any, post: Post) -> None:
    campaign = waiting(stage, timedelta(hours=3))
    post.step()
    assert stage.state(campaign)[0] is CampaignState.WAITING
    stage.clock.elapsed += 3 * 3600
    post.step()
    assert (stage.state(campaign)[0], post.started, post.spawned) == (CampaignState.SENDING, [campaign], [])


def test_what_waits_for_days_stays_waiting_and_is_screened_when_it_is_due(stage: Any, post: Post) -> None:
    campaign = waiting(stage, 5 * DAY)
    stage.clock.elapsed += 4 * 86_400
    post.step()
    assert (stage.state(campaign)[0], post.spawned) == (CampaignState.WAITING, [])  # not paused for its age
    stage.clock.elapsed += 86_400
    post.step()
    post.step()
    assert stage.state(campaign)[0] is CampaignState.WAITING
    assert post.work() == 1  # once, however often it is asked
    assert [sent.dry_run for sent in stage.gateway.requests] == [True, True]
    assert is_screened(stage.ledger, stage.view(campaign), stage.now)
    post.step()
    assert (stage.state(campaign)[0], post.started) == (CampaignState.SENDING, [campaign])


def test_a_text_that_became_forbidden_meanwhile_holds_the_campaign(stage: Any, post: Post) -> None:
    campaign = waiting(stage, 2 * DAY)
    forbidden = Verdict(Outcome.REFUSED, http_status=422, code=2044, forbidden=True)
    stage.gateway.answering = lambda sent: forbidden if sent.request.message == "Hello 3" else None
    stage.clock.elapsed += 2 * 86_400
    post.step()
    post.work()
    assert stage.state(campaign) == (CampaignState.HELD, Stop.PREFLIGHT_FORBIDDEN)
    post.step()
    assert post.started == []


def test_a_gateway_that_is_away_is_asked_again_later(stage: Any, post: Post) -> None:
    campaign = waiting(stage, 2 * DAY)
    stage.pace.broken = True
    stage.clock.elapsed += 2 * 86_400
    post.step()
    assert post.work() == 1
    assert stage.state(campaign)[0] is CampaignState.WAITING
    post.step()
    assert post.spawned == []  # not at once
    stage.pace.broken = False
    stage.clock.elapsed += AGAIN
    post.step()
    assert post.work() == 1
    post.step()
    assert stage.state(campaign)[0] is CampaignState.SENDING
