"""Settling rows in doubt on demand: by looking until nothing more can be learnt, or by a person's decision."""

from __future__ import annotations

import asyncio
import getpass
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.errors import UsageError
from dispatcher.intake.house import House, Watcher
from dispatcher.intake.tidying import tidy
from dispatcher.ledger import Decided, Ledger, RowState
from dispatcher.ledger.states import CampaignState
from dispatcher.sending.reconcile import Obstacle, Outlook

PROOF_SECONDS = 1.0  # between the passes of a proof
LONGEST_WAIT = 30.0


@dataclass(frozen=True)
class OpenDoubt:
    """A row that stays in doubt, and why."""

    campaign: int
    row: int
    obstacle: Obstacle


@dataclass(frozen=True)
class DoubtsLeft:
    """What settling came to."""

    found: int
    absent: int
    open: list[OpenDoubt]


def decide_row(ledger: Ledger, campaign_id: int, row: int, *, sent: bool, now: datetime) -> None:
    """A person's word about a row in doubt, written into the journal; UsageError when the row is not in doubt."""
    decision = Decided(sent=sent, by=getpass.getuser())
    if not ledger.rows.resolve_doubt(campaign_id, row, decision, now):
        raise UsageError("reconcile_not_in_doubt", row=row, campaign=campaign_id)
    ledger.campaigns.finish_if_done(campaign_id, now)


def settle_doubts(
    house: House, watcher: Watcher, campaign_id: int | None, *, absent_after: timedelta | None, wait: bool
) -> DoubtsLeft:
    """Look for the rows in doubt of one campaign, or of all of this gateway, until only hopeless ones are left."""
    ledger = house.ledger
    tidy(ledger, house.owners, house.clock.now())
    campaigns = [campaign_id] if campaign_id is not None else _doubtful(house)
    found = absent = 0
    outlook = Outlook()

    async def passes() -> Outlook:
        nonlocal found, absent
        async with house.services() as services:
            reconciler = house.reconciler(services, absent_after)
            while True:
                outlook = await reconciler.step(campaigns)
                found, absent = found + outlook.found, absent + outlook.absent
                if not outlook.open or len(outlook.stuck) == len(outlook.open):
                    return outlook
                proving = Obstacle.UNPROVED in outlook.open.values()
                if not (wait or proving):
                    return outlook
                watcher.doubts(outlook, len(outlook.open))
                await services.clock.sleep(
                    PROOF_SECONDS if proving else _pause(outlook, services.clock.now())
                )

    if campaigns:
        outlook = asyncio.run(passes())
    for each in campaigns:
        ledger.campaigns.finish_if_done(each, house.clock.now())
    left = [OpenDoubt(campaign, row, obstacle) for (campaign, row), obstacle in sorted(outlook.open.items())]
    return DoubtsLeft(found, absent, left)


def _pause(outlook: Outlook, now: datetime) -> float:
    until = (outlook.until - now).total_seconds() + 0.1 if outlook.until else LONGEST_WAIT
    return max(PROOF_SECONDS, min(until, LONGEST_WAIT))


def _doubtful(house: House) -> list[int]:
    states = [state for state in CampaignState if state is not CampaignState.LOADING]
    return [
        campaign.id
        for campaign in house.ledger.queries.campaigns_in(*states)
        if campaign.gateway == house.gateway
        and house.ledger.queries.counts(campaign.id).get(RowState.IN_DOUBT)
    ]
