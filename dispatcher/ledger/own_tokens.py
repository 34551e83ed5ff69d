"""Tokens that campaigns send with instead of the common one: limited by the provider to what was approved.

The secret is kept here because every process that sends for the campaign needs it, also after a crash; it goes as soon
as the campaign has ended, or its own time is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Column, ColumnElement, Integer, MetaData, Row, Select, Table, Text, select, update

from dispatcher.ledger.database import Database
from dispatcher.ledger.journal import note
from dispatcher.ledger.schema import campaigns, gateways
from dispatcher.ledger.states import FINAL_CAMPAIGNS
from dispatcher.ledger.upsert import insert_into
from dispatcher.ledger.values import Instant, Money

_tables = MetaData()
campaign_tokens = Table(
    "campaign_tokens",
    _tables,
    Column("campaign_id", Integer, primary_key=True),
    Column("token", Text),
    Column("spent_before", Money),
    Column("wallet_amount", Money),
    Column("total_requests", Integer),
    Column("expires_at", Instant),
    Column("wanted_at", Instant, nullable=False),
    Column("gone_at", Instant),
)
"""Described for the queries only; constraints stand in the migration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnToken:
    """A campaign that sends with nothing but a token of its own; ``token`` is None while it has none.

    ``spent_before`` is what the campaign had committed when the token was made: the token's own count began there.
    """

    campaign_id: int
    gateway: str
    token: SecretStr | None
    spent_before: Decimal | None
    wallet_amount: Decimal | None
    total_requests: int | None
    expires_at: datetime | None


class OwnTokens:
    """What was asked for, what was made, and when it went."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def want(self, campaign_id: int, now: datetime) -> None:
        """From now on the campaign sends with a token of its own, or not at all."""
        mine = select(campaign_tokens.c.campaign_id).where(campaign_tokens.c.campaign_id == campaign_id)
        with self._database.write() as connection:
            if connection.execute(mine).first() is not None:
                return
            wanted = insert_into(connection, campaign_tokens).values(campaign_id=campaign_id, wanted_at=now)
            connection.execute(wanted.on_conflict_do_nothing())
            note(connection, "own_token_wanted", now, campaign_id=campaign_id)

    def of(self, campaign_id: int) -> OwnToken | None:
        """None for a campaign that sends with the common token."""
        with self._database.read() as connection:
            found = connection.execute(_query().where(campaign_tokens.c.campaign_id == campaign_id)).first()
        return None if found is None else _own(found)

    def keep(self, own: OwnToken, now: datetime, *, instead_of: SecretStr | None) -> bool:
        """The token was made, or its limits are others now; ``instead_of`` is the one that the campaign had before.

        False, and nothing is changed, where it has another one by now: of two that make one at once, one is first.
        """
        if own.token is None:
            raise ValueError("there is nothing to keep")
        values = {
            "token": own.token.get_secret_value(),
            "spent_before": own.spent_before,
            "wallet_amount": own.wallet_amount,
            "total_requests": own.total_requests,
            "expires_at": own.expires_at,
            "gone_at": None,
        }
        with self._database.write() as connection:
            mine = (campaign_tokens.c.campaign_id == own.campaign_id, _is(instead_of))
            if connection.execute(update(campaign_tokens).where(*mine).values(values)).rowcount != 1:
                return False
            note(
                connection,
                "own_token_made",
                now,
                campaign_id=own.campaign_id,
                wallet_amount=str(own.wallet_amount),
                total_requests=own.total_requests,
            )
        return True

    def forget(self, campaign_id: int, now: datetime) -> None:
        """The secret is of no use any more."""
        with self._database.write() as connection:
            mine = (campaign_tokens.c.campaign_id == campaign_id, campaign_tokens.c.token.is_not(None))
            gone = update(campaign_tokens).where(*mine).values(token=None, gone_at=now)
            if connection.execute(gone).rowcount == 1:
                note(connection, "own_token_gone", now, campaign_id=campaign_id)

    def ended(self, gateway: str) -> list[OwnToken]:
        """Tokens of the gateway's campaigns that have ended: they are to be deleted."""
        return self._found(gateways.c.name == gateway, campaigns.c.state.in_(FINAL_CAMPAIGNS))

    def expired(self, now: datetime) -> list[OwnToken]:
        """Tokens that open nothing any more by themselves."""
        return self._found(campaign_tokens.c.expires_at <= now)

    def _found(self, *where: Any) -> list[OwnToken]:
        query = _query().where(campaign_tokens.c.token.is_not(None), *where)
        with self._database.read() as connection:
            return [_own(row) for row in connection.execute(query.order_by(campaign_tokens.c.campaign_id))]


def _is(token: SecretStr | None) -> ColumnElement[bool]:
    held = campaign_tokens.c.token
    return held.is_(None) if token is None else held == token.get_secret_value()


def _query() -> Select[Any]:
    query = select(campaign_tokens, gateways.c.name.label("gateway"))
    joined = campaign_tokens.join(campaigns, campaigns.c.id == campaign_tokens.c.campaign_id)
    return query.select_from(joined.join(gateways, gateways.c.id == campaigns.c.gateway_id))


def _own(row: Row[Any]) -> OwnToken:
    return OwnToken(
        campaign_id=row.campaign_id,
        gateway=row.gateway,
        token=None if row.token is None else SecretStr(row.token),
        spent_before=row.spent_before,
        wallet_amount=row.wallet_amount,
        total_requests=row.total_requests,
        expires_at=row.expires_at,
    )
