"""Reports that match no row yet: they wait here for their row to be tried, or to get their message.

They are looked through whenever a row is settled or a doubt is resolved, in that very transaction, and kept for a week.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    Row,
    SmallInteger,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
)

from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.database import Database
from dispatcher.ledger.records import DeliveryReport
from dispatcher.ledger.settling import readable_price, short_detail
from dispatcher.ledger.states import RowState
from dispatcher.ledger.upsert import insert_into
from dispatcher.ledger.values import Coded, Instant, Money

KEPT = timedelta(days=7)
MOST_OF_A_ROW = 20  # whoever learnt one row's signature fills nothing
_CHUNK = 500
_tables = MetaData()
inbox = Table(
    "inbox",
    _tables,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("gateway", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("campaign_id", Integer, nullable=False),
    Column("row", Integer, nullable=False),
    Column("state", Coded(RowState), nullable=False),  # ACCEPTED where it is not final
    Column("proves", Boolean, nullable=False),  # that the row was accepted, whatever its answer was
    Column("sent_at", Instant),
    Column("delivered_at", Instant),
    Column("actual_cost", Money),
    Column("parts", SmallInteger),
    Column("encoding", SmallInteger),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("received_at", Instant, nullable=False),
)
"""Described for the queries only; constraints stand in the migration."""

_ANY = select(inbox.c.id).where(inbox.c.campaign_id == bindparam("of_campaign")).limit(1)
_KEPT_AS = ("message_id", "campaign_id", "row", "sent_at", "delivered_at", "actual_cost", "parts", "encoding")


def put_aside(connection: Connection, gateway: str, report: DeliveryReport, *, proves: bool) -> bool:
    """Keep a report for later, in the caller's transaction; False where the row has too many already.

    One that says the same again adds what it knows more.
    """
    of_row = (inbox.c.campaign_id == report.campaign_id, inbox.c.row == report.row)
    same = (inbox.c.gateway == gateway, inbox.c.message_id == report.message_id)
    others = select(func.count()).select_from(inbox).where(*of_row, ~(same[0] & same[1]))
    if connection.execute(others).scalar_one() >= MOST_OF_A_ROW:
        return False
    values = {name: getattr(report, name) for name in (*_KEPT_AS, "error_code")}
    values |= {"actual_cost": readable_price(report.actual_cost)}
    values |= {"error_detail": short_detail(report.error_detail)}
    values |= {"gateway": gateway, "state": report.state or RowState.ACCEPTED, "proves": proves}
    statement = insert_into(connection, inbox).values(**values, received_at=report.seen_at)
    more = {
        name: func.coalesce(statement.excluded[name], inbox.c[name])
        for name in ("delivered_at", "actual_cost", "parts", "encoding")
    }
    key = [inbox.c.gateway, inbox.c.message_id, inbox.c.state]
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=more))
    return True


def waiting_for(
    connection: Connection, campaign_id: int, numbers: Collection[int]
) -> list[tuple[DeliveryReport, bool]]:
    """What waits for rows of a campaign, in the order it came, and whether each proves acceptance."""
    found: list[Row[Any]] = []
    if connection.execute(_ANY, {"of_campaign": campaign_id}).first() is None:  # as nearly always
        return []
    wanted = sorted(numbers)
    for chunk in in_chunks(wanted, _CHUNK):
        chosen = (inbox.c.campaign_id == campaign_id, inbox.c.row.in_(chunk))
        found += connection.execute(select(inbox).where(*chosen)).all()
    return [(_report(row), row.proves) for row in sorted(found, key=lambda row: int(row.id))]


def rows_waited_for(connection: Connection) -> dict[int, list[int]]:
    """The rows that something waits for, by campaign."""
    found: dict[int, list[int]] = {}
    query = select(inbox.c.campaign_id, inbox.c.row).distinct().order_by(inbox.c.campaign_id, inbox.c.row)
    for campaign_id, row in connection.execute(query):
        found.setdefault(campaign_id, []).append(row)
    return found


def take_out(connection: Connection, gateway: str, message_ids: Sequence[str]) -> None:
    """Reports that found their row wait no longer."""
    for chunk in in_chunks(message_ids, _CHUNK):
        chosen = inbox.c.message_id.in_(chunk)
        connection.execute(delete(inbox).where(inbox.c.gateway == gateway, chosen))


def _report(row: Row[Any]) -> DeliveryReport:
    values = {name: getattr(row, name) for name in (*_KEPT_AS, "error_code", "error_detail")}
    state = None if row.state is RowState.ACCEPTED else row.state
    return DeliveryReport(seen_at=row.received_at, state=state, **values)


class Inbox:
    """How full it is, and how it is emptied of what came to nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def size(self) -> int:
        """How many reports wait."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(inbox)).scalar_one())

    def prune(self, now: datetime) -> int:
        """Forget what has waited for a week; returns how many reports that were."""
        with self._database.write() as connection:
            return connection.execute(delete(inbox).where(inbox.c.received_at < now - KEPT)).rowcount
