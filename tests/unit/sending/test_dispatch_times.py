"""A lane and the times of its rows, in virtual time: windows that close, rows that get too late, restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dispatcher.campaign.timing.caps import Cap
from dispatcher.campaign.timing.openings import Openings
from dispatcher.campaign.timing.windows import parse_windows
from dispatcher.ledger import CampaignState, ClaimedRow, RowState, to_instant
from dispatcher.sending.dispatch import LaneEnd
from dispatcher.sending.windows import Rules, rules_of

MINUTE = timedelta(minutes=1)


def timed(stage: Any, number: int, until: datetime | None = None, **other: Any) -> tuple[Any, ...]:
    return (*stage.row(number, **other), None, None if until is None else to_instant(until))


def test_sending_ends_before_the_window_does_and_the_rest_waits(stage: Any) -> None:
    rome = ZoneInfo("Europe/Rome")
    stage.clock.elapsed += 30.0
    closes = (stage.now + 2 * MINUTE).replace(second=0)
    text = f"IT 00:00-{closes.astimezone(rome):%H:%M}"
    rules = Rules(Openings(parse_windows(text), rome, lambda country, day: False))
    stage.pace.rate = 1.0
    campaign = stage.campaign(300)
    end = stage.run(stage.lane(campaign, facts=stage.facts(campaign, rules=rules)).run())
    sent = [stage.clock.elapsed - at.at for at in stage.gateway.real]
    assert end is LaneEnd.DRAINED
    assert 50 <= len(sent) < 300
    last = stage.now - timedelta(seconds=min(sent))
    assert closes - timedelta(seconds=10) <= last < closes
    waiting = stage.counts(campaign)[RowState.READY]
    assert waiting + len(sent) == 300
    assert stage.ledger.campaigns.finish_if_done(campaign, stage.now) is CampaignState.WAITING
    midnight = (closes.astimezone(rome) + timedelta(days=1)).replace(hour=0, minute=0)
    assert stage.ledger.queries.next_due(campaign) == midnight.astimezone(UTC)


def test_a_row_is_not_started_after_it_is_of_use(stage: Any) -> None:
    """Slots are far apart: the last rows would start too late."""
    stage.pace.rate = 0.1
    end = stage.now + timedelta(seconds=35)
    campaign = stage.campaign([timed(stage, 2 + n, end) for n in range(8)])
    stage.run(stage.lane(campaign).run())
    assert all(sent.at - 1000.0 <= 35.0 for sent in stage.gateway.real)
    counts = stage.counts(campaign)
    assert counts[RowState.ACCEPTED] + counts[RowState.TOO_LATE] == 8
    assert counts[RowState.ACCEPTED] == len(stage.gateway.real) >= 2


def test_a_restart_between_due_and_sent_loses_nothing_and_sends_nothing_twice(stage: Any) -> None:
    due = stage.now + timedelta(hours=1)
    campaign = stage.campaign([timed(stage, 2 + n, due_at=due) for n in range(20)])
    assert stage.run(stage.lane(campaign).run()) is LaneEnd.DRAINED
    assert stage.ledger.campaigns.finish_if_done(campaign, stage.now) is CampaignState.WAITING
    assert stage.gateway.real == []
    stage.clock.elapsed += 3600.0
    assert stage.ledger.campaigns.wake(campaign, stage.now)  # and the process dies here
    lane = stage.lane(campaign)
    first = True

    def dies(sent: Any) -> None:
        nonlocal first
        stage.stop, first = first, False

    stage.gateway.answering = dies
    stage.run(lane.run())  # it was stopped in the middle
    stage.stop = False
    stage.gateway.answering = lambda sent: None
    stage.run(stage.lane(campaign).run())
    assert stage.counts(campaign) == {RowState.ACCEPTED: 20}
    assert set(stage.gateway.times_sent.values()) == {1}


def test_the_cap_holds_while_sending(stage: Any) -> None:
    rows = [timed(stage, 2 + n, recipient="+393123456789") for n in range(5)]
    campaign = stage.campaign(rows)
    rules = Rules(cap=Cap(2, timedelta(hours=24)))
    stage.run(stage.lane(campaign, facts=stage.facts(campaign, rules=rules)).run())
    assert len(stage.gateway.real) == 2
    assert stage.counts(campaign) == {RowState.ACCEPTED: 2, RowState.CAPPED: 3}


def test_rules_come_from_what_the_ledger_keeps() -> None:
    rules = rules_of({"windows": "IT 09:00-10:00", "timezone": "Europe/Rome", "cap": "2 per 60m"})
    assert rules.cap == Cap(2, timedelta(hours=1))
    at = datetime(2026, 11, 25, 12, tzinfo=UTC)
    facts = {"route": "IT", "sender": None, "text": "x", "encoding": 1, "parts": 1, "reserve_cost": 0}
    row = ClaimedRow(row=2, recipient="+393123456789", attempts=1, country="IT", **facts)
    assert not rules.may_start(row, at)
    assert rules.may_start(row, at.replace(hour=8, minute=30))
    assert rules_of({}) == Rules()
