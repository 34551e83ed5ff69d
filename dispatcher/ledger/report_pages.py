"""A campaign's rows for its report: many at a time and by the column, because a million of them pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, TypeDecorator, select, type_coerce

from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import rows

PAGE = 2_000


class ReportPage(NamedTuple):
    """Rows that follow each other, as plain database values, by the column.

    ``state`` is int(RowState), money in micro-units (``values.from_micros``), times in microseconds since 1970 UTC
    (``values.from_instant``).
    """

    row: Sequence[int]
    state: Sequence[int]
    reason: Sequence[str | None]
    recipient: Sequence[str | None]
    country: Sequence[str | None]
    route: Sequence[str | None]
    sender: Sequence[str | None]
    encoding: Sequence[int | None]
    parts: Sequence[int | None]
    estimated_cost: Sequence[int | None]
    actual_cost: Sequence[int | None]
    message_id: Sequence[str | None]
    sent_at: Sequence[int | None]
    delivered_at: Sequence[int | None]
    error_code: Sequence[str | None]
    error_detail: Sequence[str | None]


class ReportPages:
    """The rows of campaigns, for their reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, campaign_id: int) -> Iterator[ReportPage]:
        """Every row in row order, at one moment of the ledger, as a stream."""
        columns = [_stored(rows.c[name]) for name in ReportPage._fields]
        query = select(*columns).where(rows.c.campaign_id == campaign_id).order_by(rows.c.row)
        with self._database.read() as connection:
            streamed = connection.execution_options(yield_per=PAGE).execute(query)
            for page in streamed.partitions():
                yield ReportPage(*zip(*page, strict=True))


def _stored(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column without what makes Decimals and datetimes of its values, one by one."""
    kind = column.type
    return type_coerce(column, kind.impl_instance) if isinstance(kind, TypeDecorator) else column
