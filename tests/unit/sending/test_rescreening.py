"""A worker that finds rows due whose texts were seen too long ago: screened while it waits, then woken, or held."""

from __future__ import annotations

import random
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState, RowState
from dispatcher.sending.freshness import is_screened
from dispatcher.sending.listed import KEPT, lists_of
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

    def __init__(self, stage: Any, forbid_file: Path | None = None) -> None:
        self.stage = stage
        self.spawned: list[Coroutine[Any, Any, None]] = []
        self.failures: list[BaseException] = []
        self.started: list[int] = []
        self.rescreening = Rescreening(
            stage.services(),
            self.spawned.append,
            lambda _, error: self.failures.append(error),
            random.Random(1),
            forbid_file,
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


@pytest.mark.parametrize("whose", ["the worker's", "the campaign's"])
def test_a_word_that_came_onto_the_list_meanwhile_keeps_its_rows_back(
    stage: Any, tmp_path: Path, whose: str
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("nobody says this\n")
    own = words if whose == "the worker's" else None
    options = {} if own else {KEPT: str(words)}
    rows = [stage.row(2 + n, due_at=stage.now + 2 * DAY) for n in range(2)]
    campaign = stage.campaign(rows, **options)
    stage.ledger.campaigns.finish_if_done(campaign, stage.now)
    post = Post(stage, own)
    stage.clock.elapsed += 2 * 86_400
    words.write_text("Hello 3\n")
    post.step()
    assert post.work() == 1
    assert [sent.request.message for sent in stage.gateway.requests] == ["Hello 2"]
    assert stage.ledger.queries.counts(campaign) == {RowState.READY: 1, RowState.REFUSED: 1}
    post.step()
    assert stage.state(campaign)[0] is CampaignState.SENDING


def test_a_list_that_cannot_be_read_keeps_everything_back(stage: Any, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    campaign, post = waiting(stage, 2 * DAY), Post(stage, words)
    stage.clock.elapsed += 2 * 86_400
    post.step()
    assert post.work() == 1
    assert (stage.gateway.requests, stage.state(campaign)[0]) == ([], CampaignState.WAITING)
    words.write_text("Hello 3\n")
    stage.clock.elapsed += AGAIN
    post.step()
    assert post.work() == 1
    assert stage.ledger.queries.counts(campaign) == {RowState.READY: 1, RowState.REFUSED: 1}


def test_a_campaign_of_which_nothing_is_left_is_over(stage: Any, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("hello\n")
    campaign, post = waiting(stage, 2 * DAY), Post(stage, words)
    stage.clock.elapsed += 2 * 86_400
    post.step()
    assert post.work() == 1
    assert stage.state(campaign)[0] is CampaignState.FINISHED


def test_a_campaigns_list_on_another_machine_was_looked_into_there(stage: Any) -> None:
    rows = [stage.row(2, due_at=stage.now + 2 * DAY)]
    campaign = stage.campaign(rows, **{KEPT: "/elsewhere/words.txt"})
    assert lists_of(stage.view(campaign), None) == []
