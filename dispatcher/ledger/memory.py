"""What earlier campaigns sent to whom: what the guard asks while a file is planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, exists, func, or_, select

from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.conditions import is_maybe_sent, is_ready
from dispatcher.ledger.database import Database
from dispatcher.ledger.keys import forms_of
from dispatcher.ledger.schema import campaign_counts, campaigns, gateways, rows
from dispatcher.ledger.states import MAYBE_SENT

CHUNK = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherTexts:
    """``people`` of a campaign got another text from the earlier one called ``campaign``."""

    campaign: int
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRow:
    """A row that a gateway has, or may have."""

    gateway: str
    campaign_id: int
    row: int
    recipient: str
    message_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierSend:
    """The message by which somebody was sent something before; the id and the times as far as they are known."""

    message_id: str | None
    sent_at: datetime | None
    delivered_at: datetime | None


class Memory:
    """Lookups over every campaign of a gateway and account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def guard_hits(
        self, gateway: str, account: str | None, keys: Iterable[bytes], since: datetime
    ) -> set[bytes]:
        """Which guard keys were sent, or may have been, since then.

        ``account`` None (not known yet) looks at every account; a campaign that does not know its account
        counts.  The keys are looked at only where something was sent.
        """
        found: set[bytes] = set()
        with self._database.read() as connection:
            earlier = _campaigns(connection, gateway, account, since)
            if not earlier:
                return found
            wanted = list(set(keys))
            # the campaign is compared here: in SQL it would tempt the planner away from the guard's index
            sent = (is_maybe_sent(), rows.c.attempt_started_at >= since)
            for chunk in in_chunks(wanted, CHUNK):
                forms = forms_of(connection, chunk)
                known = rows.c.guard_key.in_(list(forms))
                hits = connection.execute(select(rows.c.guard_key, rows.c.campaign_id).where(known, *sent))
                found.update(forms[bytes(hit.guard_key)] for hit in hits if hit.campaign_id in earlier)
        return found

    def sent_times(
        self, gateway: str, recipients: Sequence[str], since: datetime
    ) -> dict[str, list[datetime]]:
        """When each recipient was sent something through the gateway since then, or may have been."""
        found: dict[str, list[datetime]] = defaultdict(list)
        query = select(rows.c.recipient, rows.c.attempt_started_at).join(
            gateways, gateways.c.id == rows.c.gateway_id
        )
        sent = (is_maybe_sent(), rows.c.attempt_started_at > since, gateways.c.name == gateway)
        with self._database.read() as connection:
            for chunk in in_chunks(recipients, CHUNK):
                chosen = rows.c.recipient.in_(chunk)
                for hit in connection.execute(query.where(chosen, *sent)):
                    found[hit.recipient].append(hit.attempt_started_at)
        return dict(found)

    def sent_as(self, message_ids: Sequence[str]) -> list[SentRow]:
        """The rows that were sent as one of these messages, through any gateway, at any time."""
        return self._sent(rows.c.message_id, message_ids)

    def sent_to(self, recipients: Sequence[str]) -> list[SentRow]:
        """The rows that were, or may have been, sent to one of these numbers, through any gateway, at any time."""
        return self._sent(rows.c.recipient, recipients)

    def _sent(self, column: ColumnElement[Any], values: Sequence[str]) -> list[SentRow]:
        names = [rows.c[name] for name in SentRow.__dataclass_fields__ if name != "gateway"]
        query = select(*names, gateways.c.name.label("gateway")).join(
            gateways, gateways.c.id == rows.c.gateway_id
        )
        found: list[SentRow] = []
        with self._database.read() as connection:
            for chunk in in_chunks(values, CHUNK):
                chosen = column.in_(chunk)
                hits = connection.execute(query.where(chosen, is_maybe_sent())).mappings()
                found.extend(SentRow(**hit) for hit in hits)
        return found

    def sends_at(self, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], EarlierSend]:
        """What was sent as the rows at these places (campaign, row)."""
        of_campaign: dict[int, list[int]] = defaultdict(list)
        for campaign_id, row in places:
            of_campaign[campaign_id].append(row)
        found: dict[tuple[int, int], EarlierSend] = {}
        with self._database.read() as connection:
            for campaign_id, numbers in of_campaign.items():
                for chunk in in_chunks(numbers, CHUNK):
                    chosen = rows.c.row.in_(chunk)
                    query = select(rows.c.row, *_facts(rows)).where(rows.c.campaign_id == campaign_id, chosen)
                    for hit in connection.execute(query):
                        found[campaign_id, hit.row] = _earlier(hit)
        return found

    def sends_like(self, campaign_id: int, numbers: Sequence[int]) -> dict[int, EarlierSend]:
        """By row of this campaign: the latest send of its very text to its recipient through its gateway."""
        mine = select(rows.c.row, rows.c.guard_key, rows.c.gateway_id).where(
            rows.c.campaign_id == campaign_id, rows.c.guard_key.is_not(None)
        )
        sends = select(rows.c.guard_key, *_facts(rows)).where(is_maybe_sent())
        found: dict[int, EarlierSend] = {}
        with self._database.read() as connection:
            for chunk in in_chunks(numbers, CHUNK):
                own = connection.execute(mine.where(rows.c.row.in_(chunk))).all()
                if not own:
                    continue
                forms = forms_of(connection, {bytes(row.guard_key) for row in own})
                alike = (rows.c.guard_key.in_(list(forms)), rows.c.gateway_id == own[0].gateway_id)
                hits = connection.execute(sends.where(*alike).order_by(rows.c.attempt_started_at))
                latest = {forms[bytes(hit.guard_key)]: _earlier(hit) for hit in hits}  # it comes last
                found |= {row.row: latest[key] for row in own if (key := bytes(row.guard_key)) in latest}
        return found

    def other_texts(self, campaign_id: int, since: datetime) -> OtherTexts | None:
        """The earlier campaign of the gateway and account that sent most of this one's ready recipients another text.

        What was sent since then counts, or may have been; the names of the files do not.  None when nobody got any.
        """
        with self._database.read() as connection:
            mine = connection.execute(
                select(gateways.c.name, campaigns.c.account)
                .join(gateways, gateways.c.id == campaigns.c.gateway_id)
                .where(campaigns.c.id == campaign_id)
            ).one()
            earlier = _campaigns(connection, mine.name, mine.account, since) - {campaign_id}
            if not earlier:
                return None
            found = connection.execute(_most_met(campaign_id, sorted(earlier), since)).first()
        return None if found is None else OtherTexts(campaign=found.campaign_id, people=found.people)


def _facts(table: FromClause) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in EarlierSend.__dataclass_fields__]


def _earlier(hit: Row[Any]) -> EarlierSend:
    return EarlierSend(message_id=hit.message_id, sent_at=hit.sent_at, delivered_at=hit.delivered_at)


def _most_met(campaign_id: int, earlier: Sequence[int], since: datetime) -> Select[Any]:
    """The one of ``earlier`` with most people among this campaign's ready rows, under other guard keys."""
    sent = rows.alias("sent")
    people = func.count(rows.c.recipient.distinct()).label("people")
    return (
        select(sent.c.campaign_id, people)
        .select_from(rows.join(sent, sent.c.recipient == rows.c.recipient))
        .where(rows.c.campaign_id == campaign_id, is_ready(), is_maybe_sent("sent"))
        .where(sent.c.campaign_id.in_(earlier), sent.c.attempt_started_at >= since)
        .where(sent.c.guard_key != rows.c.guard_key)
        .group_by(sent.c.campaign_id)
        .order_by(people.desc(), sent.c.campaign_id.desc())
        .limit(1)
    )


def _campaigns(connection: Connection, gateway: str, account: str | None, since: datetime) -> set[int]:
    """Campaigns that may have sent since then: a first look that makes the guard free on a young ledger."""
    chosen = [
        gateways.c.name == gateway,
        exists().where(
            campaign_counts.c.campaign_id == campaigns.c.id,
            campaign_counts.c.state.in_(MAYBE_SENT),
            campaign_counts.c.n > 0,
        ),
        campaigns.c.updated_at >= since,
    ]
    if account is not None:
        chosen.append(or_(campaigns.c.account.is_(None), campaigns.c.account == account))
    query = select(campaigns.c.id).join(gateways, gateways.c.id == campaigns.c.gateway_id)
    return set(connection.execute(query.where(*chosen)).scalars())
