"""Reconcile beside a listing that does not say things the way they were sent."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.gateway.models import Message
from dispatcher.gateway.outcomes import Verdict
from dispatcher.ledger import RowState
from dispatcher.sending.preflight import Mode, Preflight, PreflightChoice
from dispatcher.sending.reconcile import Obstacle, Outlook
from tests.unit.sending.doubts import LOST, lose, reconciler, steps, witness

R = RowState
DOUBTFUL = "Hello 7"


def look(stage: Any, campaign: int) -> list[Outlook]:
    """Two passes once the quiet period is over and the last row, a witness, has gone out."""
    witness(stage, campaign)
    return steps(stage, reconciler(stage), campaign)


def list_as(stage: Any, write: Callable[[Message], dict[str, Any]]) -> None:
    """What the gateway lists is written otherwise than what it was sent and answered."""

    def rewrite(skip: int, limit: int) -> None:
        stage.gateway.listed[:] = [each.model_copy(update=write(each)) for each in originals()]

    originals_at_first: dict[str, Message] = {}

    def originals() -> list[Message]:
        return [originals_at_first.setdefault(each.id, each) for each in stage.gateway.listed]

    stage.gateway.before_page = rewrite


@pytest.mark.parametrize("prefix", ["", "00", "+ "])
@pytest.mark.parametrize("arrived", [True, False])
def test_numbers_written_otherwise_are_recognised(stage: Any, prefix: str, arrived: bool) -> None:
    campaign = lose(stage, DOUBTFUL, arrived=arrived)
    list_as(stage, lambda message: {"recipient": prefix + str(message.recipient)[1:]})
    outlooks = look(stage, campaign)
    assert (sum(each.found for each in outlooks), sum(each.absent for each in outlooks)) == (
        (1, 0) if arrived else (0, 1)
    )


@pytest.mark.parametrize(
    "write",
    [
        lambda message: {"recipient": str(message.recipient)[3:]},
        lambda message: {"recipient": str(message.recipient)[:6] + "*******"},
        lambda message: {"recipient": None},
    ],
)
@pytest.mark.parametrize("arrived", [True, False])
def test_numbers_that_cannot_be_told_prove_nothing(stage: Any, write: Any, arrived: bool) -> None:
    campaign = lose(stage, DOUBTFUL, arrived=arrived)
    list_as(stage, write)
    outlooks = look(stage, campaign)
    assert list(outlooks[-1].open.values()) == [Obstacle.ALTERED]
    assert stage.counts(campaign) == {R.ACCEPTED: 29, R.IN_DOUBT: 1}


@pytest.mark.parametrize("options", [None, "kept"])
def test_a_dry_run_that_the_listing_does_not_call_one_is_no_proof(stage: Any, options: str | None) -> None:
    stage.gateway.lists_dry_runs = True
    campaign = stage.campaign(30, started=False)
    preflight = Preflight(
        stage.services(),
        stage.view(campaign),
        PreflightChoice(Mode.ALL),
        progress=lambda done: None,
        rng=random.Random(1),
    )
    stage.run(preflight.run(lambda result: None))
    stage.ledger.campaigns.start_sending(campaign, stage.now)

    def answer(sent: Any) -> Verdict | None:
        return LOST if sent.request.message == DOUBTFUL and not sent.dry_run else None

    stage.gateway.answering = answer
    stage.run(stage.lane(campaign).run())
    stage.gateway.answering = lambda sent: None
    if options is None:
        list_as(stage, lambda message: {"options": None})
    outlooks = look(stage, campaign)
    assert (outlooks[-1].found, sum(each.absent for each in outlooks)) == (0, 1)


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(minutes=-10)])
@pytest.mark.parametrize("arrived", [True, False])
def test_messages_may_be_dated_by_another_clock_than_the_answers(
    stage: Any, ahead: timedelta, arrived: bool
) -> None:
    """The same person got the same text from somebody else five minutes before."""
    stage.gateway.lag = -3600.0  # what it dates in the future is listed too
    before = stage.gateway.make("+393331200007", DOUBTFUL)
    stage.gateway.listed.append(before)
    stage.clock.elapsed += 300.0
    campaign = lose(stage, DOUBTFUL, arrived=arrived)
    list_as(stage, lambda message: {"created_at": message.created_at + ahead if message.created_at else None})
    outlooks = look(stage, campaign)
    if arrived:
        assert outlooks[0].found == 1
    else:
        assert list(outlooks[-1].open.values()) == [Obstacle.UNCLEAR]


def test_answers_that_were_mixed_up_settle_nobody_elses_row(stage: Any) -> None:
    """Row 7 is told what became of row 6, whose own answer is lost; its own message never left."""
    held: list[Verdict] = []

    def answer(sent: Any) -> Verdict | None:
        if sent.request.message == "Hello 6":
            held.append(stage.gateway.accept(sent))
            return LOST
        return held[0] if sent.request.message == DOUBTFUL and held else None

    stage.gateway.answering = answer
    campaign = stage.campaign(30)
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign)[R.IN_DOUBT] == 2
    stage.gateway.answering = lambda sent: None
    outlooks = look(stage, campaign)
    assert (sum(each.found for each in outlooks), sum(each.absent for each in outlooks)) == (1, 1)
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {R.ACCEPTED: 30}
    assert {text: n for (_, text), n in stage.gateway.times_sent.items() if text == "Hello 6"} == {
        "Hello 6": 1
    }
