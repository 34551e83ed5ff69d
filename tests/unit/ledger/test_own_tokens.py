"""Tokens of campaigns of their own, and what is still to be paid for; the same on a file and on a server."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from dispatcher.ledger import CampaignState, Ledger, RowState
from dispatcher.ledger.own_tokens import OwnToken

SECRET = "5ecret-of-a-campaign"


def made(ledger: Ledger, campaign: int, desk: Any, days: int = 2) -> OwnToken:
    """The campaign's token, kept."""
    ledger.own_tokens.want(campaign, desk.now)
    own = ledger.own_tokens.of(campaign)
    assert own is not None
    assert own.token is None
    own = replace(
        own,
        token=SecretStr(SECRET),
        spent_before=Decimal(0),
        wallet_amount=Decimal("1.5"),
        total_requests=30,
        expires_at=desk.now + timedelta(days=days),
    )
    assert ledger.own_tokens.keep(own, desk.now, instead_of=None)
    return own


def test_a_campaign_has_none_unless_one_was_wanted(ledger: Ledger, desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    assert ledger.own_tokens.of(campaign) is None
    own = made(ledger, campaign, desk)
    assert ledger.own_tokens.of(campaign) == own
    assert own.gateway == "sandbox"
    ledger.own_tokens.want(campaign, desk.now)  # a second time changes nothing
    assert ledger.own_tokens.of(campaign) == own


@pytest.mark.parametrize("end", [CampaignState.FINISHED, CampaignState.CANCELLED])
def test_one_is_to_be_deleted_once_its_campaign_has_ended(
    ledger: Ledger, desk: Any, end: CampaignState
) -> None:
    campaign, other = desk.campaign(desk.rows(1)), desk.campaign(desk.rows(1), gateway="production")
    own = made(ledger, campaign, desk)
    made(ledger, other, desk)
    assert ledger.own_tokens.ended("sandbox") == []
    if end is CampaignState.CANCELLED:
        ledger.campaigns.cancel(campaign, desk.now)
    else:
        desk.claim(campaign, "t")
        desk.settle(campaign, desk.accepted(2, "t"))
        assert ledger.campaigns.finish_if_done(campaign, desk.now) is end
    assert ledger.own_tokens.ended("sandbox") == [own]
    assert ledger.own_tokens.ended("production") == []

    ledger.own_tokens.forget(campaign, desk.now)
    left = ledger.own_tokens.of(campaign)
    assert left == replace(own, token=None)
    assert ledger.own_tokens.ended("sandbox") == []
    assert desk.raw("SELECT count(*) FROM campaign_tokens WHERE token = ?", SECRET) == [(1,)]  # the other's


def test_one_whose_time_is_over_is_found_whatever_its_campaign_does(ledger: Ledger, desk: Any) -> None:
    own = made(ledger, desk.campaign(desk.rows(1)), desk, days=1)
    assert ledger.own_tokens.expired(desk.now) == []
    assert ledger.own_tokens.expired(desk.now + timedelta(days=1)) == [own]


def test_no_secret_is_shown_or_written_into_the_journal(ledger: Ledger, desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    own = made(ledger, campaign, desk)
    ledger.own_tokens.forget(campaign, desk.now)
    kinds = [event.kind for event in ledger.events.of(campaign) if event.kind.startswith("own_token")]
    assert kinds == ["own_token_wanted", "own_token_made", "own_token_gone"]
    assert SECRET not in str(ledger.events.of(campaign)) + repr(own)


def test_a_token_without_limits_is_refused_by_the_database(ledger: Ledger, desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    ledger.own_tokens.want(campaign, desk.now)
    assert desk.refusal("UPDATE campaign_tokens SET token = ? WHERE campaign_id = ?", SECRET, campaign)


def test_what_is_still_to_be_paid_for(ledger: Ledger, desk: Any) -> None:
    rows = [*desk.rows(4), desk.row(6, RowState.INVALID), desk.row(7)]
    campaign = desk.campaign(rows)
    assert [row[0] for chunk in ledger.unsent.payable(campaign, 2) for row in chunk] == [2, 3, 4, 5, 7]
    everything = ledger.unsent.most(campaign)
    assert desk.claim(campaign, "t", 2) == [2, 3]
    desk.settle(campaign, desk.accepted(2, "t"))
    assert [row[0] for chunk in ledger.unsent.payable(campaign) for row in chunk] == [4, 5, 7]
    left = ledger.unsent.most(campaign)
    assert (everything.rows, left.rows) == (5, 3)
    assert left.cost == everything.cost * 3 / 5
    assert ledger.unsent.routes(campaign) == ["IT"]


def test_what_the_plan_found_to_cost_nothing_may_be_left_out(ledger: Ledger, desk: Any) -> None:
    campaign = desk.campaign([desk.row(2), desk.row(3, estimated_cost=0), desk.row(4, estimated_cost=None)])
    paid = ledger.unsent.payable(campaign, 1, without_free=True)
    assert [row[0] for chunk in paid for row in chunk] == [2, 4]


def test_nothing_is_left_of_a_campaign_without_rows(ledger: Ledger, desk: Any) -> None:
    campaign = desk.campaign([desk.row(2, RowState.INVALID)])
    most = ledger.unsent.most(campaign)
    assert (most.rows, most.cost, most.last_due) == (0, 0, None)
    assert ledger.unsent.routes(campaign) == []
    assert list(ledger.unsent.payable(campaign)) == []


def test_of_processes_that_make_one_at_once_one_is_first(ledger: Ledger, desk: Any) -> None:
    campaign, together = desk.campaign(desk.rows(1)), threading.Barrier(4)
    ledger.own_tokens.want(campaign, desk.now)
    own = ledger.own_tokens.of(campaign)
    assert own is not None
    limits = {"spent_before": Decimal(0), "wallet_amount": Decimal(1), "total_requests": 9}

    def keep(name: str) -> str | None:
        another = Ledger.open(ledger.url)
        mine = replace(own, token=SecretStr(name), expires_at=desk.now + timedelta(days=1), **limits)
        together.wait(30)
        try:
            return name if another.own_tokens.keep(mine, desk.now, instead_of=own.token) else None
        finally:
            another.dispose()

    names = [f"{SECRET}-{n}" for n in range(4)]
    with ThreadPoolExecutor(4) as threads:
        first = [name for name in threads.map(keep, names) if name]
    kept = ledger.own_tokens.of(campaign)
    assert kept is not None
    assert kept.token is not None
    assert [kept.token.get_secret_value()] == first
    # the next one names what it found, and is the only one that can
    assert not ledger.own_tokens.keep(kept, desk.now, instead_of=None)
    assert ledger.own_tokens.keep(replace(kept, total_requests=10), desk.now, instead_of=kept.token)
    made = [event for event in ledger.events.of(campaign) if event.kind == "own_token_made"]
    assert len(made) == 2
