"""Stops of a whole account: one blocklisted answer endangers every campaign that sends with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select

from dispatcher.ledger.campaigns import all_locked, before, move
from dispatcher.ledger.database import Database
from dispatcher.ledger.journal import note
from dispatcher.ledger.schema import campaigns, gateways, halts
from dispatcher.ledger.states import CampaignState
from dispatcher.ledger.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A stop in force; ``account`` None is every account of the gateway."""

    gateway: str
    account: str | None
    reason: str
    at: datetime


class Halts:
    """Account-wide stops.  While one is in force nothing is claimed and no campaign starts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stop(self, gateway: str, account: str | None, reason: str, now: datetime) -> list[int]:
        """Stop the account (None: the gateway) and halt its campaigns in one transaction; returns their ids.

        A campaign whose account is not known yet is stopped as well.
        """
        chosen = [gateways.c.name == gateway, campaigns.c.state.in_(before(CampaignState.HALTED))]
        if account is not None:
            chosen.append(or_(campaigns.c.account.is_(None), campaigns.c.account == account))
        with self._database.write() as connection:
            # a campaign that was cancelled while its lock was waited for is none of these any more
            stopped = []
            for campaign in all_locked(connection, *chosen):
                move(connection, campaign, CampaignState.HALTED, reason, now)
                stopped.append(campaign.id)
            stop = insert_into(connection, halts).values(gateway=gateway, account=account or "")
            news = {"reason": reason, "at": now}
            connection.execute(
                stop.values(news).on_conflict_do_update(index_elements=[*halts.primary_key], set_=news)
            )
            note(connection, "account_stopped", now, gateway=gateway, reason=reason, campaigns=stopped)
        return stopped

    def lift(self, gateway: str, account: str | None, by: str, now: datetime) -> bool:
        """A person lifts the stop; campaigns stay halted until resumed.  False when there was none."""
        mine = (halts.c.gateway == gateway, halts.c.account == (account or ""))
        with self._database.write() as connection:
            lifted = connection.execute(delete(halts).where(*mine)).rowcount == 1
            if lifted:
                note(connection, "account_stop_lifted", now, gateway=gateway, by=by)
        return lifted

    def in_force(self, gateway: str | None = None, account: str | None = None) -> list[Stop]:
        """Stops in force: all, a gateway's, or those that concern one account of it."""
        query = select(halts).order_by(halts.c.at)
        if gateway is not None:
            query = query.where(halts.c.gateway == gateway)
        if account is not None:
            query = query.where(halts.c.account.in_(["", account]))
        with self._database.read() as connection:
            found = connection.execute(query).all()
        return [Stop(gateway=h.gateway, account=h.account or None, reason=h.reason, at=h.at) for h in found]
