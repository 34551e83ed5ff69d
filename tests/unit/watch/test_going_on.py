"""Somebody says that a stopped campaign is to go on: until it is stopped again, and up to the sum that was shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from dispatcher.ledger import Ledger
from dispatcher.sending.stops import Stop
from dispatcher.watch.approval import Approvals, Asked, Terms, Why
from tests.unit.loaded import load_campaign, loadable_row

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
SHOWN = Asked(Terms(1, Decimal("0.35")), Why.COST, None)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    yield opened
    opened.dispose()


def held(ledger: Ledger, reason: Stop) -> int:
    campaign = load_campaign(ledger, 1, [loadable_row(2)], NOW, max_cost=Decimal("0.10"))
    ledger.campaigns.begin_preflight(campaign, NOW)
    assert ledger.campaigns.start_sending(campaign, NOW)
    assert ledger.campaigns.hold(campaign, str(reason), NOW)
    return campaign


def test_it_holds_until_the_campaign_is_stopped_again(ledger: Ledger) -> None:
    campaign, approvals = held(ledger, Stop.UNREACHABLE), Approvals(ledger)
    assert not approvals.is_to_go_on(campaign)
    approvals.go_on(campaign, NOW, "approved")
    assert approvals.is_to_go_on(campaign)
    assert ledger.campaigns.resume(campaign, NOW)
    assert approvals.is_to_go_on(campaign)
    assert ledger.campaigns.pause(campaign, NOW)
    assert not approvals.is_to_go_on(campaign)


@pytest.mark.parametrize(
    ("reason", "asked", "limit"),
    [
        (Stop.COST_CAP, SHOWN, "0.35"),
        (Stop.COST_CAP, None, "0.10"),
        (Stop.UNREACHABLE, SHOWN, "0.10"),
    ],
)
def test_the_limit_becomes_what_was_shown_and_nothing_else(
    ledger: Ledger, reason: Stop, asked: Asked | None, limit: str
) -> None:
    campaign, approvals = held(ledger, reason), Approvals(ledger)
    if asked is not None:
        approvals.ask(campaign, asked, NOW)
    approvals.go_on(campaign, NOW, "approved")
    assert ledger.queries.campaign(campaign).max_cost == Decimal(limit)
