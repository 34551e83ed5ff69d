"""When a campaign that goes on has to be screened again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dispatcher.ledger import RowState
from dispatcher.sending.dispatch import LaneLimits
from dispatcher.sending.freshness import STILL, has_to_be_screened_again

DAY = timedelta(hours=24)


@pytest.mark.parametrize(
    ("lay_still", "again"),
    [(timedelta(hours=1), False), (DAY - STILL, False), (DAY + timedelta(minutes=1), True), (3 * DAY, True)],
)
@pytest.mark.parametrize("waiting", [False, True])
def test_a_campaign_whose_process_died_is_screened_again_after_a_day(
    stage: Any, lay_still: timedelta, again: bool, waiting: bool
) -> None:
    campaign = stage.campaign([stage.row(2, due_at=stage.now + 9 * DAY)] if waiting else 1)
    stage.ledger.campaigns.finish_if_done(campaign, stage.now)
    assert stage.state(campaign)[0].code == ("waiting" if waiting else "sending")
    assert has_to_be_screened_again(stage.ledger, stage.view(campaign), stage.now + lay_still) is again


def test_a_campaign_that_somebody_sends_goes_on_however_long_it_takes(stage: Any) -> None:
    later = stage.row(400, due_at=stage.now + 9 * DAY)
    campaign = stage.campaign([*(stage.row(2 + n) for n in range(75)), later])
    asked: list[bool] = []

    def slowly(sent: Any) -> None:
        stage.clock.elapsed += 1200.0
        asked.append(has_to_be_screened_again(stage.ledger, stage.view(campaign), stage.now))

    stage.gateway.answering = slowly
    limits = LaneLimits(slice_seconds=1e9, in_flight=1)
    stage.run(stage.lane(campaign, limits=limits).run())
    assert asked == [False] * 75
    assert stage.now - stage.view(campaign).started_at > DAY
    assert not has_to_be_screened_again(stage.ledger, stage.view(campaign), stage.now)
    assert has_to_be_screened_again(stage.ledger, stage.view(campaign), stage.now + STILL)


def test_screened_again_is_screened(stage: Any) -> None:
    campaign = stage.campaign(1)
    later = stage.now + 2 * DAY
    assert has_to_be_screened_again(stage.ledger, stage.view(campaign), later)
    assert stage.ledger.campaigns.pause(campaign, later)
    assert stage.ledger.campaigns.begin_preflight(campaign, later)
    assert not has_to_be_screened_again(stage.ledger, stage.view(campaign), later)  # on its way through it
    assert stage.ledger.campaigns.start_sending(campaign, later)
    assert not has_to_be_screened_again(stage.ledger, stage.view(campaign), later + timedelta(hours=23))
    assert has_to_be_screened_again(stage.ledger, stage.view(campaign), later + timedelta(hours=25))


def test_where_nothing_is_left_to_send_nothing_is_left_to_screen(stage: Any) -> None:
    campaign = stage.campaign(1)
    deadline = stage.now + timedelta(minutes=1)
    stage.ledger.rows.claim(campaign, owner="o", token="t", limit=1, deadline=deadline, now=stage.now)
    assert stage.counts(campaign) == {RowState.SENDING: 1}
    assert not has_to_be_screened_again(stage.ledger, stage.view(campaign), stage.now + 3 * DAY)
