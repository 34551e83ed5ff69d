"""What the screener owes the ledger: nothing is forgotten because it was busy, and its clock dates what went out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dispatcher.errors import Halted, Unreachable
from dispatcher.gateway.models import EchoedOptions
from dispatcher.ledger import DistinctText, Ledger, RowState, to_instant
from dispatcher.sending.screening import PreflightResult, Screener


def screener_of(stage: Any, campaign: int) -> Screener:
    return Screener(stage.services(), stage.view(campaign), PreflightResult())


def texts_of(stage: Any, campaign: int) -> list[DistinctText]:
    return list(stage.ledger.screenings.distinct_texts(campaign))


def test_answers_that_could_not_be_written_are_written_later(stage: Any) -> None:
    campaign = stage.campaign([stage.row(2, text="A"), stage.row(3, text="B")], started=False)
    screener = screener_of(stage, campaign)
    stage.thread.fail_next["record"] = 1

    async def screen() -> None:
        first, second = texts_of(stage, campaign)
        await screener.screen(first)
        with pytest.raises(Unreachable):
            await screener.keep()
        await screener.screen(second)
        await screener.keep()

    stage.run(screen())
    keys, since = screener.passed, stage.now - timedelta(hours=1)
    assert len(keys) == 2
    assert set(stage.ledger.screenings.known("sandbox", "acme", since, keys)) == keys


def test_what_nobody_meant_to_send_is_dated_by_the_ledgers_clock(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its attempt began is what a doubtful row is compared with, and machines disagree about the time."""
    ahead = timedelta(minutes=7)
    campaign = stage.campaign([stage.row(2)], started=False)
    stage.gateway.answering = lambda sent: stage.gateway.accept(sent, options=EchoedOptions())
    began = to_instant(stage.now + ahead)
    monkeypatch.setattr(Ledger, "now", lambda self, now: now + ahead)
    with pytest.raises(Halted, match="preflight_not_echoed"):
        stage.run(screener_of(stage, campaign).screen(texts_of(stage, campaign)[0]))
    assert stage.states(campaign) == [RowState.ACCEPTED]
    (started,) = stage.rows(campaign, "attempt_started_at")
    assert began <= started <= to_instant(stage.now + ahead)
