"""What a campaign that does not move waits for, as far as that can be told: its next time, a higher limit."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from dispatcher.cli.moment_text import moment_text
from dispatcher.cli.output import Output
from dispatcher.ledger import CampaignState, CampaignView, Ledger, RowState
from dispatcher.sending.stops import Stop

_CENT = Decimal("0.01")


def next_time(ledger: Ledger, campaign: CampaignView) -> datetime | None:
    """When the next row is due of a campaign that waits for times."""
    return ledger.queries.next_due(campaign.id) if campaign.state is CampaignState.WAITING else None


def limit_needed(ledger: Ledger, campaign: CampaignView) -> Decimal | None:
    """Under which limit the rest would go out of a campaign that is held at its own, in whole cents."""
    if campaign.state is not CampaignState.HELD or campaign.state_reason != Stop.COST_CAP:
        return None
    return ledger.watched.at_most(campaign.id).quantize(_CENT, rounding=ROUND_CEILING)


def standing_values(ledger: Ledger, campaign: CampaignView) -> dict[str, Any]:
    """For scripts: None where it waits for neither."""
    due, limit = next_time(ledger, campaign), limit_needed(ledger, campaign)
    return {"waits_until": None if due is None else due.isoformat(), "max_cost_needed": limit}


def show_standing(output: Output, ledger: Ledger, campaign: CampaignView, zone: ZoneInfo) -> None:
    """For people; nothing where it waits for neither."""
    words, due, limit = output.wording, next_time(ledger, campaign), limit_needed(ledger, campaign)
    if due is not None:
        rows = ledger.queries.counts(campaign.id).get(RowState.READY, 0)
        until = moment_text(words, due, zone)
        output.say(words.count("status.waits", rows, until=until, zone=str(zone)))
    if limit is not None:
        show_limit(output, campaign, limit)


def show_limit(output: Output, campaign: CampaignView, needed: Decimal) -> None:
    """Which limit would do, and how to give it."""
    words = output.wording
    most, cap = (words.money(each, campaign.currency) for each in (needed, campaign.max_cost or Decimal(0)))
    output.tell("run.held_cost_cap", campaign=campaign.id, cap=cap, most=most, amount=f"{needed:f}")
