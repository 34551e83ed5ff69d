"""When the leader of a ledger asks what became of messages: one round at a time, and later after a failure."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from dispatcher.delivery.ages import FIRST, FIRST_BESIDE_CALLBACKS, SELDOMEST, Timetable, spans, tiers
from dispatcher.delivery.polling import Poller
from dispatcher.errors import Unreachable
from dispatcher.gateway.models import MessageState
from dispatcher.ledger import RowState
from jobs.polls import AFTER_FAILURE, LOOK_SECONDS, Polls
from tests.unit.loaded import START


class Desk:
    """Polls over the stage; what is spawned runs when :meth:`work` is called."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.spawned: list[Coroutine[Any, Any, None]] = []
        self.stopping = False
        poller = Poller(stage.services(), "sandbox")
        self.polls = Polls(poller, stage.clock, lambda: self.stopping, spawn=self.spawned.append)

    def look(self, after: float = 0.0) -> int:
        """How many rounds that began."""
        self.stage.clock.elapsed += after
        before = len(self.spawned)
        self.polls.look()
        return len(self.spawned) - before

    def work(self) -> None:
        while self.spawned:
            self.stage.run(self.spawned.pop())


@pytest.fixture
def desk(stage: Any) -> Desk:
    campaign = stage.campaign(3)
    stage.run(stage.lane(campaign).run())
    stage.gateway.listed = [
        message.model_copy(update={"state": MessageState.DELIVERED}) for message in stage.gateway.listed
    ]
    return Desk(stage)


def test_one_round_at_a_time(desk: Desk) -> None:
    assert desk.look() == 1
    assert desk.look(after=600) == 0
    desk.work()
    assert desk.look() == 0
    assert desk.look(after=LOOK_SECONDS) == 1
    desk.work()
    assert desk.stage.counts(1) == {RowState.DELIVERED: 3}


def test_after_a_failure_it_waits_longer_each_time(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def away(skip: int, limit: int) -> None:
        raise Unreachable("gateway_not_reached", host="gateway", reason="down")

    desk.stage.gateway.before_page = away
    desk.look()
    with caplog.at_level(logging.WARNING, logger="jobs.polls"):
        for wait in (*AFTER_FAILURE, AFTER_FAILURE[-1]):
            desk.work()
            assert desk.look(after=wait - 1) == 0
            assert desk.look(after=1) == 1
    assert [record.message for record in caplog.records] == ["polling_failed"]  # once is enough
    desk.stage.gateway.before_page = lambda skip, limit: None
    desk.work()
    assert desk.stage.counts(1) == {RowState.DELIVERED: 3}
    assert desk.look(after=LOOK_SECONDS) == 1
    desk.work()


def test_leaving_does_not_wait_for_a_long_listing(desk: Desk) -> None:
    def told_to_stop(skip: int, limit: int) -> None:
        desk.stopping = True
        desk.stage.gateway.latency = 3_600.0

    desk.stage.gateway.before_page = told_to_stop
    began = desk.stage.clock.elapsed
    desk.look()
    desk.work()
    assert desk.stage.clock.elapsed - began < 60
    assert desk.stage.counts(1) == {RowState.ACCEPTED: 3}


def test_a_bug_is_told_with_its_frames_and_stops_nothing(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(skip: int, limit: int) -> None:
        raise ZeroDivisionError

    desk.stage.gateway.before_page = broken
    desk.look()
    with caplog.at_level(logging.ERROR, logger="jobs.polls"):
        desk.work()
    assert [record.message for record in caplog.records] == ["polling_broken"]
    assert desk.look(after=AFTER_FAILURE[-1]) == 1
    desk.spawned.pop().close()


@pytest.mark.parametrize("first", [FIRST, FIRST_BESIDE_CALLBACKS, timedelta(hours=2)])
def test_the_tiers_hold_every_age_once(first: timedelta) -> None:
    found = tiers(first)
    assert (found[0].after, found[-1].until) == (None, None)
    assert all(young.until == old.after for young, old in pairwise(found))
    assert found[-1].every == SELDOMEST
    assert all(young.every < old.every for young, old in pairwise(found))


def test_neighbouring_tiers_are_asked_about_in_one_span() -> None:
    timetable = Timetable()
    everything = timetable.due(START)
    assert [(span.after, span.until) for span in spans(everything, START)] == [(None, None)]
    apart = spans([everything[0], everything[2]], START)
    assert len(apart) == 2
    assert not any(span.holds(START - timedelta(seconds=90)) for span in apart)
    assert apart[0].holds(START + timedelta(hours=1))  # the gateway's clock is ahead
    assert apart[1].holds(START - timedelta(seconds=130))
