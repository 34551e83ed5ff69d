"""What processes left that died: seen by whoever comes next."""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatcher.ledger import CampaignState, Ledger
from dispatcher.sending.freshness import let_it_be_screened
from dispatcher.sending.owners import Owners

# Nobody can prove a process of another machine dead, and its plan keeps the file from being run.  Nothing of a plan was
# sent, so after so long on top of the silence it goes; a planner that lives after all ends with an error.
PLANNING = timedelta(minutes=55)


def tidy(ledger: Ledger, owners: Owners, now: datetime) -> None:
    """Discard the half-loaded plans of dead processes, put their open claims in doubt, and forget them."""
    discard_dead_plans(ledger, owners, now)
    # before their rows are written about, which looks like somebody at work on them
    for campaign in ledger.queries.campaigns_in(CampaignState.SENDING):
        let_it_be_screened(ledger, campaign, now)
    ledger.rows.doubt_dead(owners.is_gone, now)
    owners.forget_dead()
    ledger.rows.doubt_expired(now)


def discard_dead_plans(ledger: Ledger, owners: Owners, now: datetime) -> None:
    """Discard the half-loaded plans of dead processes; no other campaign is touched."""

    def left(owner: str) -> bool:
        return owners.is_gone(owner) or owners.is_silent(owner, now - PLANNING)

    ledger.loading.discard_unfinished_loads(now, left)
