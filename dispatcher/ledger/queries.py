"""What readers ask: campaigns, counts, money, rows.  Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, case, func, select

from dispatcher.errors import UsageError
from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.conditions import is_ready, is_unsettled
from dispatcher.ledger.database import Database
from dispatcher.ledger.problems import first_problems
from dispatcher.ledger.records import CampaignView, ClaimedRow
from dispatcher.ledger.schema import campaign_counts, campaigns, gateways, rows
from dispatcher.ledger.states import FINAL_CAMPAIGNS, CampaignState, RowState
from dispatcher.ledger.urgency import is_outranked
from dispatcher.ledger.values import Money

_VIEW = [column for column in campaigns.c if column.name != "gateway_id"]


class ReportRow(NamedTuple):
    """A row as the report tells it; ``due_at`` is None for a row without a time of its own."""

    row: int
    state: RowState
    reason: str | None
    repairs: int
    phone: str | None
    recipient: str | None
    country: str | None
    route: str | None
    sender: str | None
    encoding: int | None
    parts: int | None
    estimated_cost: Decimal | None
    actual_cost: Decimal | None
    message_id: str | None
    sent_at: datetime | None
    delivered_at: datetime | None
    due_at: datetime | None
    attempts: int
    error_code: str | None
    error_detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counters of a campaign: cheap at any size."""

    rows: dict[RowState, int]  # only states that have rows
    parts: dict[RowState, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """Ready rows added up; ``cost`` leaves out ``unpriced_rows`` and is None when none has a price.

    ``reserve`` is what the priced ones may cost, where the gateway turned out to be dearer than the price book.
    """

    rows: int
    parts: int
    cost: Decimal | None
    unpriced_rows: int
    people: int
    reserve: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulRow:
    """A row in doubt, with what reconcile compares."""

    row: int
    recipient: str
    route: str
    sender: str | None
    text: str = field(repr=False)
    token: str
    claimed_by: str
    attempt_started_at: datetime
    deadline: datetime
    in_doubt_at: datetime
    error_detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledMessage:
    """The row a message is settled to, and when its last attempt began."""

    campaign_id: int
    row: int
    recipient: str
    attempt_started_at: datetime
    attempts: int

    @property
    def is_of_last_attempt(self) -> bool:
        """Whether the message cannot be of an earlier attempt, which began nobody knows when."""
        return self.attempts <= 1


class Queries:
    """Every read of campaigns and rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def campaign(self, campaign_id: int) -> CampaignView:
        """One campaign; UsageError when there is none of that number."""
        found = self._campaigns(_views().where(campaigns.c.id == campaign_id))
        if not found:
            raise UsageError("ledger_no_campaign", found=str(campaign_id))
        return found[0]

    def campaigns(self, limit: int = 20) -> list[CampaignView]:
        """The newest campaigns, newest first."""
        return self._campaigns(_views().order_by(campaigns.c.id.desc()).limit(limit))

    def campaigns_in(self, *states: CampaignState) -> list[CampaignView]:
        """Campaigns in one of ``states``, by priority (higher first), then age."""
        chosen = _views().where(campaigns.c.state.in_(states))
        return self._campaigns(chosen.order_by(campaigns.c.priority.desc(), campaigns.c.id))

    def is_outranked(self, campaign_id: int, now: datetime) -> bool:
        """See :func:`dispatcher.ledger.urgency.is_outranked`."""
        with self._database.read() as connection:
            return is_outranked(connection, campaign_id, now)

    def open_campaign_for(self, file_sha256: str, fingerprint: str, gateway: str) -> CampaignView | None:
        """The campaign under way for the same file with the same options on that gateway."""
        same = (campaigns.c.file_sha256 == file_sha256, campaigns.c.fingerprint == fingerprint)
        going = campaigns.c.state.not_in(FINAL_CAMPAIGNS | {CampaignState.LOADING})
        found = self._campaigns(
            _views().where(*same, gateways.c.name == gateway, going).order_by(campaigns.c.id.desc())
        )
        return found[0] if found else None

    def counts(self, campaign_id: int) -> dict[RowState, int]:
        """Rows per state, of states that have rows."""
        return self.progress(campaign_id).rows

    def progress(self, campaign_id: int) -> Progress:
        """Rows and parts per state, from counters kept with every move."""
        query = select(campaign_counts).where(campaign_counts.c.campaign_id == campaign_id)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(campaign_counts.c.state)).all()
        some = [count for count in found if count.n]
        return Progress(
            rows={count.state: count.n for count in some}, parts={count.state: count.parts for count in some}
        )

    def report_rows(self, campaign_id: int) -> Iterator[ReportRow]:
        """Every row in row order, as a stream."""
        return self._report(campaign_id)

    def problems(self, campaign_id: int, limit: int = 20) -> list[ReportRow]:
        """The first rows that need a person's eye, in row order."""
        with self._database.read() as connection:
            numbers = first_problems(connection, campaign_id, limit)
        return list(self._report(campaign_id, rows.c.row.in_(numbers)))

    def texts(self, campaign_id: int, numbers: Sequence[int]) -> dict[int, str]:
        """The texts of these rows, of those that have one."""
        found: dict[int, str] = {}
        with self._database.read() as connection:
            for chunk in in_chunks(numbers, 500):
                chosen = (rows.c.campaign_id == campaign_id, rows.c.row.in_(chunk))
                query = select(rows.c.row, rows.c.text).where(*chosen, rows.c.text.is_not(None))
                found |= {row.row: row.text for row in connection.execute(query)}
        return found

    def first_ready(self, campaign_id: int) -> ClaimedRow | None:
        """The row that would be sent first; what a person is shown before saying yes."""
        names = ClaimedRow._fields
        ready = (rows.c.campaign_id == campaign_id, is_ready())
        query = (
            select(*(rows.c[name] for name in names))
            .where(*ready)
            .order_by(rows.c.due_at, rows.c.row)
            .limit(1)
        )
        with self._database.read() as connection:
            found = connection.execute(query).mappings().first()
        return ClaimedRow(**found) if found else None

    def remaining(self, campaign_id: int) -> Remaining:
        """What is still ready, added up from the rows."""
        sums = (
            func.count().label("rows"),
            func.coalesce(func.sum(rows.c.parts), 0).label("parts"),
            func.sum(rows.c.estimated_cost, type_=Money).label("cost"),
            (func.count() - func.count(rows.c.estimated_cost)).label("unpriced_rows"),
            func.count(rows.c.recipient.distinct()).label("people"),
            func.sum(case((rows.c.estimated_cost.is_not(None), rows.c.reserve_cost)), type_=Money).label(
                "reserve"
            ),
        )
        ready = (rows.c.campaign_id == campaign_id, is_ready())
        with self._database.read() as connection:
            return Remaining(**connection.execute(select(*sums).where(*ready)).mappings().one())

    def in_doubt(self, campaign_id: int) -> list[DoubtfulRow]:
        """Rows in doubt, in row order."""
        names = [column for column in DoubtfulRow.__dataclass_fields__ if column != "token"]
        query = select(*(rows.c[name] for name in names), rows.c.attempt_token.label("token"))
        doubtful = (rows.c.campaign_id == campaign_id, is_unsettled(), rows.c.state == RowState.IN_DOUBT)
        with self._database.read() as connection:
            found = connection.execute(query.where(*doubtful).order_by(rows.c.row)).mappings().all()
        return [DoubtfulRow(**row) for row in found]

    def next_due(self, campaign_id: int) -> datetime | None:
        """When the earliest ready row is due (1970 for "at once"); None when none is ready."""
        ready = (rows.c.campaign_id == campaign_id, is_ready())
        with self._database.read() as connection:
            query = select(rows.c.due_at).where(*ready).order_by(rows.c.due_at).limit(1)
            found: datetime | None = connection.execute(query).scalar()
            return found

    def settled_messages(self, gateway: str, message_ids: Sequence[str]) -> dict[str, SettledMessage]:
        """Which of the gateway's messages are settled to a row, and to which attempt; others are left out."""
        names = [rows.c[name] for name in SettledMessage.__dataclass_fields__]
        query = select(rows.c.message_id, *names).join(gateways, gateways.c.id == rows.c.gateway_id)
        settled: dict[str, SettledMessage] = {}
        with self._database.read() as connection:
            for chunk in in_chunks(message_ids, 500):
                chosen = rows.c.message_id.in_(chunk)
                found = connection.execute(query.where(chosen, gateways.c.name == gateway))
                settled |= {
                    message_id: SettledMessage(
                        **dict(zip(SettledMessage.__dataclass_fields__, facts, strict=True))
                    )
                    for message_id, *facts in found
                }
        return settled

    def sent_between(self, campaign_id: int, since: datetime, until: datetime) -> int:
        """How many rows have a message of the gateway's whose attempt began then, both moments included."""
        then = rows.c.attempt_started_at.between(since, until)
        query = select(func.count()).where(
            rows.c.campaign_id == campaign_id, rows.c.message_id.is_not(None), then
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def _campaigns(self, query: Select[Any]) -> list[CampaignView]:
        with self._database.read() as connection:
            return [CampaignView(**view) for view in connection.execute(query).mappings()]

    def _report(self, campaign_id: int, *where: Any) -> Iterator[ReportRow]:
        query = select(*_reported()).where(rows.c.campaign_id == campaign_id, *where)
        with self._database.read() as connection:
            streamed = connection.execution_options(yield_per=2_000)
            for page in streamed.execute(query.order_by(rows.c.row)).partitions():
                yield from map(ReportRow._make, page)


def _views() -> Select[Any]:
    named = gateways.c.name.label("gateway")
    return select(*_VIEW, named).join(gateways, gateways.c.id == campaigns.c.gateway_id)


def _reported() -> list[ColumnElement[Any]]:
    """The columns of :class:`ReportRow`, in its order."""
    columns: dict[str, ColumnElement[Any]] = {name: rows.c[name] for name in ReportRow._fields}
    columns["due_at"] = func.nullif(rows.c.due_at, 0, type_=rows.c.due_at.type)
    return list(columns.values())
