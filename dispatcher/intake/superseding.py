"""Who stands in a newer version of a file of appointments is reminded by that one alone.

Else a reminder planned on Monday would announce the hour that was changed on Tuesday.  Who does not stand in it is
still reminded by the older one: the next day's list may be another list.
"""

from __future__ import annotations

from datetime import datetime

from dispatcher.ledger import CampaignState, CampaignView, Ledger

_OPEN = (CampaignState.WAITING, CampaignState.SENDING, CampaignState.PAUSED)


def supersede_older(ledger: Ledger, campaign: CampaignView, now: datetime) -> int:
    """Cancel the ready rows of older campaigns with the same reminder of the same file to people of this one; gives how
    many.

    For a campaign that has been set going: what both of them would send, the guard lets only one send.
    """
    mine = _what(campaign)
    if mine is None:
        return 0
    done = 0
    for other in ledger.queries.campaigns_in(*_OPEN):
        if other.id < campaign.id and other.gateway == campaign.gateway and _what(other) == mine:
            done += ledger.campaigns.supersede(campaign.id, other.id, now)
            ledger.campaigns.finish_if_done(other.id, now)
    return done


def _what(campaign: CampaignView) -> tuple[str, str] | None:
    offset, path = campaign.options.get("remind_before"), campaign.source.get("path")
    return None if offset is None or path is None else (str(path), str(offset))
