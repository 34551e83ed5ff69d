"""Whether a campaign's texts have been seen by dry runs lately enough to send on.

What the gateway forbids changes; a screening counts for a day.  A campaign that is being sent goes on: its texts passed
when it began.  One that lay still (its process died, the machine was off, its rows were due days later) is screened
again before anybody sets it going.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatcher.ledger import CampaignState, CampaignView, Ledger, RowState
from dispatcher.ledger.states import UNDER_WAY
from dispatcher.sending.preflight import REMEMBERED_FOR
from dispatcher.sending.stops import Stop

SCREENED = "screened"
"""The journal's kind of entry for a campaign that was screened while it waited for its time."""
STILL = timedelta(minutes=30)  # without a write: nobody sends it, at one message a minute either


def has_to_be_screened_again(ledger: Ledger, campaign: CampaignView, now: datetime) -> bool:
    """True for a campaign SENDING or WAITING that lies still, whose last preflight began more than a day ago, and that
    has rows to send.

    In every other state a campaign goes through the preflight anyway before it is sent.  ``campaign`` is to be
    read before anything else is written about it: any write looks like somebody at work.
    """
    if campaign.state not in UNDER_WAY or campaign.updated_at > now - STILL:
        return False
    if not ledger.queries.counts(campaign.id).get(RowState.READY):
        return False
    return not is_screened(ledger, campaign, now)


def is_screened(ledger: Ledger, campaign: CampaignView, now: datetime) -> bool:
    """Whether its last preflight began within a day; one that began while it waited counts as well."""
    began = [
        event.at
        for event in ledger.events.of(campaign.id)
        if event.kind == SCREENED
        or (event.kind == "state" and event.detail.get("new") == CampaignState.PREFLIGHT.code)
    ]
    return bool(began) and began[-1] >= now - REMEMBERED_FOR


def let_it_be_screened(ledger: Ledger, campaign: CampaignView, now: datetime) -> None:
    """Pause the campaign if it has to be screened again: from there it goes on through a preflight only."""
    if has_to_be_screened_again(ledger, campaign, now):
        ledger.campaigns.pause(campaign.id, now, str(Stop.SCREENED_LONG_AGO))
