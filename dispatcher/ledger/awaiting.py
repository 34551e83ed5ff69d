"""Messages of which the last word has not come: whom to ask about next, and when asking ends.

Two partial indexes (``rows_awaiting``, ``rows_unpriced``) make every question here one over what awaits, not over what
was ever sent.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true, update

from dispatcher.ledger.campaigns import locked
from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.conditions import is_awaiting, is_unpriced
from dispatcher.ledger.database import Database
from dispatcher.ledger.journal import note
from dispatcher.ledger.schema import campaign_counts, campaigns, gateways, rows
from dispatcher.ledger.states import SENT, CampaignState, RowState

NO_FINAL_WORD = "no_final_word"
"""The reason of an accepted row about which nobody is asked any more."""
CHUNK = 500
_GIVEN_UP_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Span:
    """Messages sent after ``after`` and not after ``until``; None is without end."""

    after: datetime | None = None
    until: datetime | None = None

    def holds(self, sent_at: datetime) -> bool:
        """Whether a message was sent within."""
        early = self.after is not None and sent_at <= self.after
        return not early and (self.until is None or sent_at <= self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitedRow:
    """A row whose message is not final, or is final and has no price, and what its news is told by."""

    campaign_id: int
    row: int
    message_id: str
    state: RowState
    route: str
    parts: int
    encoding: int | None
    actual_cost: Decimal | None
    actual_parts: int | None
    actual_encoding: int | None
    sent_at: datetime
    account: str | None

    @property
    def place(self) -> tuple[int, int]:
        """Campaign and row."""
        return self.campaign_id, self.row


_ACCEPTED = rows.c.state == RowState.ACCEPTED
_FACTS = [rows.c[name] for name in AwaitedRow.__dataclass_fields__ if name != "account"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which of a gateway's messages are asked about: those sent within the spans, the latest span first.

    A final one that only lacks its price is left alone when it was sent before ``prices_since``.  ``given_up``: of one
    campaign (``campaign_id``) those too about which nobody is asked any more.
    """

    gateway: str
    spans: Sequence[Span] = (Span(),)
    prices_since: datetime | None = None
    campaign_id: int | None = None
    given_up: bool = False


class Awaiting:
    """What a poll of a gateway has to know."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, asked: Asked) -> int:
        """How many messages await."""
        chosen = [
            select(func.count()).select_from(query.subquery()) for query in _awaited([rows.c.row], asked)
        ]
        with self._database.read() as connection:
            return sum(connection.execute(query).scalar_one() for query in chosen)

    def rows(
        self, asked: Asked, *, limit: int, but: Collection[tuple[int, int]] = frozenset()
    ) -> list[AwaitedRow]:
        """The first of them, the oldest first, without those of ``but``."""
        found: list[AwaitedRow] = []
        columns = [*_FACTS, campaigns.c.account]
        with self._database.read() as connection:
            for query in _awaited(columns, asked):
                ordered = query.order_by(rows.c.sent_at).execution_options(yield_per=CHUNK)
                for row in connection.execute(ordered):
                    if len(found) == limit:
                        break
                    if (row.campaign_id, row.row) not in but:
                        found.append(AwaitedRow(**row._mapping))
        return found

    def among(self, gateway: str, message_ids: Sequence[str]) -> dict[str, AwaitedRow]:
        """Those of the gateway's messages that belong to a row of ours, and are not final or have no price yet."""
        query = (
            select(*_FACTS, campaigns.c.account)
            .join(gateways, gateways.c.id == rows.c.gateway_id)
            .join(campaigns, campaigns.c.id == rows.c.campaign_id)
            .where(gateways.c.name == gateway, or_(_ACCEPTED, is_unpriced()))
        )
        found: dict[str, AwaitedRow] = {}
        with self._database.read() as connection:
            for chunk in in_chunks(message_ids, CHUNK):
                chosen = rows.c.message_id.in_(chunk)
                for row in connection.execute(query.where(chosen)):
                    found[row.message_id] = AwaitedRow(**row._mapping)
        return found

    def accounts(self, asked: Asked) -> set[str | None]:
        """Whose messages they are; None is among them where a campaign's account is not known."""
        with self._database.read() as connection:
            return {
                account
                for query in _awaited([campaigns.c.account], asked)
                for account in connection.execute(query.distinct()).scalars()
            }

    def sent_since(self, gateway: str, moment: datetime) -> int:
        """How many messages went out through the gateway since then, at most: from counters alone."""
        query = (
            select(func.coalesce(func.sum(campaign_counts.c.n), 0))
            .join(campaigns, campaigns.c.id == campaign_counts.c.campaign_id)
            .join(gateways, gateways.c.id == campaigns.c.gateway_id)
            .where(gateways.c.name == gateway, campaigns.c.updated_at >= moment)
            .where(campaign_counts.c.state.in_(SENT))
        )
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def is_sending(self, gateway: str) -> bool:
        """Whether a campaign of the gateway is being sent, and needs the limit."""
        query = select(campaigns.c.id).join(gateways, gateways.c.id == campaigns.c.gateway_id)
        sending = (gateways.c.name == gateway, campaigns.c.state == CampaignState.SENDING)
        with self._database.read() as connection:
            return connection.execute(query.where(*sending).limit(1)).first() is not None

    def give_up(self, gateway: str, before: datetime, now: datetime) -> dict[int, int]:
        """Rows accepted before ``before`` say from now on that no final word came; gives how many, by campaign.

        They stay accepted, and a word that comes all the same is heard.  Short transactions.
        """
        still = (is_awaiting(), rows.c.sent_at < before)
        query = (
            select(rows.c.campaign_id)
            .join(gateways, gateways.c.id == rows.c.gateway_id)
            .where(gateways.c.name == gateway, *still)
            .distinct()
        )
        with self._database.read() as connection:
            late = list(connection.execute(query).scalars())
        done: dict[int, int] = {}
        for campaign_id in sorted(late):
            while given_up := self._give_up_some(campaign_id, still, now):
                done[campaign_id] = done.get(campaign_id, 0) + given_up
            if campaign_id in done:
                with self._database.write() as connection:
                    note(connection, NO_FINAL_WORD, now, campaign_id=campaign_id, rows=done[campaign_id])
        return done

    def _give_up_some(self, campaign_id: int, still: Sequence[Any], now: datetime) -> int:
        with self._database.write() as connection:
            locked(
                connection, campaign_id
            )  # who writes down news holds it too: neither waits for the other's rows
            chosen = select(rows.c.row).where(rows.c.campaign_id == campaign_id, *still)
            numbers = list(connection.execute(chosen.limit(_GIVEN_UP_AT_ONCE)).scalars())
            if not numbers:
                return 0
            mine = (rows.c.campaign_id == campaign_id, rows.c.row.in_(numbers), *still)
            given_up = connection.execute(update(rows).where(*mine).values(reason=NO_FINAL_WORD)).rowcount
            statement = update(campaigns).where(campaigns.c.id == campaign_id)
            connection.execute(statement.values(updated_at=now))
            return given_up


def _awaited(columns: Sequence[Any], asked: Asked) -> list[Select[Any]]:
    """One query for each index and span, so that each is one range of one index; the oldest messages first."""
    gateway = select(gateways.c.id).where(gateways.c.name == asked.gateway).scalar_subquery()
    query = select(*columns).join(campaigns, campaigns.c.id == rows.c.campaign_id)
    query = query.where(rows.c.gateway_id == gateway, rows.c.message_id.is_not(None))
    chosen = [query.where(is_awaiting()), query.where(is_unpriced())]
    if asked.prices_since is not None:
        chosen[1] = chosen[1].where(rows.c.sent_at > asked.prices_since)
    if asked.campaign_id is not None:
        if asked.given_up:
            chosen.append(query.where(_ACCEPTED, rows.c.reason == NO_FINAL_WORD))
        chosen = [which.where(rows.c.campaign_id == asked.campaign_id) for which in chosen]
    oldest_first = asked.spans[::-1]
    return [which.where(_within(span)) for which in chosen for span in oldest_first]


def _within(span: Span) -> ColumnElement[bool]:
    bounds = []
    if span.after is not None:
        bounds.append(rows.c.sent_at > span.after)
    if span.until is not None:
        bounds.append(rows.c.sent_at <= span.until)
    return and_(true(), *bounds)
