"""A run waits for due rows by a clock of its own: what it wakes, what it screens again, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher.errors import Unreachable
from dispatcher.intake import waiting as waiting_module
from dispatcher.intake.screening import Screened
from dispatcher.intake.waiting import LONGEST_NAP, Waiting
from dispatcher.ledger import CampaignState, Ledger
from dispatcher.sending.freshness import is_screened
from dispatcher.sending.stops import Stop
from tests.unit.loaded import load_campaign, loadable_row

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class Clock:
    """Stands still until it is moved."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class House:
    """What waiting needs of a house."""

    ledger: Ledger
    clock: Clock = field(default_factory=Clock)
    forbidden: None = None
    gateway: str = "sandbox"
    has_workers: Any = None


@dataclass
class Listener:
    """What a person would be told."""

    told: list[tuple[datetime, int]] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def waiting(self, until: datetime, rows: int) -> None:
        self.told.append((until, rows))

    def warn(self, name: str) -> None:
        self.warned.append(name)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    yield House(opened)
    opened.dispose()


def waiting_campaign(house: House, due: datetime, number: int = 1) -> int:
    rows = [loadable_row(2, due_at=due), loadable_row(3, due_at=due + HOUR)]
    campaign = load_campaign(house.ledger, number, rows, NOW)
    house.ledger.campaigns.begin_preflight(campaign, NOW)
    house.ledger.campaigns.start_sending(campaign, NOW)
    assert house.ledger.campaigns.finish_if_done(campaign, NOW) is CampaignState.WAITING
    return campaign


def state(house: House, campaign: int) -> tuple[CampaignState, str | None]:
    view = house.ledger.queries.campaign(campaign)
    return view.state, view.state_reason


def test_it_naps_until_a_row_is_due_and_says_so_once(house: House) -> None:
    listener = Listener()
    waiting, campaign = Waiting(house, listener), waiting_campaign(house, NOW + HOUR)  # type: ignore[arg-type]
    assert [waiting.nap(campaign) for _ in range(3)] == [LONGEST_NAP] * 3
    assert listener.told == [(NOW + HOUR, 2)]
    house.clock.at += HOUR - timedelta(milliseconds=200)
    assert waiting.nap(campaign) == pytest.approx(0.2)
    assert state(house, campaign)[0] is CampaignState.WAITING
    house.clock.at += timedelta(milliseconds=200)
    assert waiting.nap(campaign) == 0.0
    assert state(house, campaign)[0] is CampaignState.SENDING
    assert listener.warned == []


@pytest.fixture
def screenings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the preflight answers, in turn; a gateway is another test's."""
    answers: list[Any] = []

    def screen(*_: Any, **__: Any) -> Screened:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Screened)
        return answer

    monkeypatch.setattr(waiting_module, "screen", screen)
    return answers


def test_texts_seen_more_than_a_day_ago_are_screened_again_first(house: House, screenings: list[Any]) -> None:
    listener = Listener()
    waiting, campaign = Waiting(house, listener), waiting_campaign(house, NOW + 3 * DAY)  # type: ignore[arg-type]
    screenings.append(Screened())
    house.clock.at += 3 * DAY
    assert not is_screened(house.ledger, house.ledger.queries.campaign(campaign), house.clock.at)
    waiting.nap(campaign)
    assert (listener.warned, screenings) == (["rescreening"], [])
    assert state(house, campaign)[0] is CampaignState.SENDING
    house.ledger.campaigns.finish_if_done(campaign, house.clock.at - 2 * DAY)
    assert is_screened(house.ledger, house.ledger.queries.campaign(campaign), house.clock.at + HOUR)


def test_a_text_that_became_forbidden_holds_the_campaign(house: House, screenings: list[Any]) -> None:
    waiting, campaign = Waiting(house, Listener()), waiting_campaign(house, NOW + 3 * DAY)  # type: ignore[arg-type]
    screenings.append(Screened(forbidden=(2,)))
    house.clock.at += 3 * DAY
    waiting.nap(campaign)
    assert state(house, campaign) == (CampaignState.HELD, str(Stop.PREFLIGHT_FORBIDDEN))


def test_a_preflight_that_fails_leaves_it_to_be_resumed(house: House, screenings: list[Any]) -> None:
    waiting, campaign = Waiting(house, Listener()), waiting_campaign(house, NOW + 3 * DAY)  # type: ignore[arg-type]
    screenings.append(Unreachable("gateway_unreachable"))
    house.clock.at += 3 * DAY
    with pytest.raises(Unreachable):
        waiting.nap(campaign)
    assert state(house, campaign) == (CampaignState.PAUSED, str(Stop.SCREENED_LONG_AGO))


def test_campaigns_beside_are_woken_and_named_when_they_send(house: House) -> None:
    waiting = Waiting(house, Listener())  # type: ignore[arg-type]
    soon, later = waiting_campaign(house, NOW + HOUR, 1), waiting_campaign(house, NOW + 5 * HOUR, 2)
    assert waiting.wake_others([soon, later]) == []
    house.clock.at += HOUR
    assert waiting.wake_others([soon, later]) == [soon]
    house.ledger.campaigns.pause(soon, house.clock.at)
    assert waiting.wake_others([soon, later]) == []  # a person's word counts


def test_a_pause_meanwhile_is_not_undone(house: House) -> None:
    waiting, campaign = Waiting(house, Listener()), waiting_campaign(house, NOW + HOUR)  # type: ignore[arg-type]
    house.ledger.campaigns.pause(campaign, NOW)
    house.clock.at += HOUR
    waiting.nap(campaign)
    assert state(house, campaign)[0] is CampaignState.PAUSED


def test_where_workers_send_they_wake(house: House) -> None:
    waiting, campaign = Waiting(house, Listener()), waiting_campaign(house, NOW + HOUR)  # type: ignore[arg-type]
    house.has_workers = lambda: True
    house.clock.at += HOUR
    assert waiting.nap(campaign) == LONGEST_NAP
    assert waiting.wake_others([campaign]) == []
    assert state(house, campaign)[0] is CampaignState.WAITING
