"""What the report says of one row: our columns, their order, and their values as cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

COLUMNS = (
    "sms_status",
    "sms_reason",
    "sms_recipient",
    "sms_country",
    "sms_route",
    "sms_sender",
    "sms_encoding",
    "sms_parts",
    "sms_estimated_cost",
    "sms_actual_cost",
    "sms_message_id",
    "sms_sent_at",
    "sms_delivered_at",
    "sms_error_code",
)

CellValue = str | int | Decimal | None
RowCells = tuple[int, tuple[CellValue, ...]]


class ReportRow(NamedTuple):
    """The answer to one row of the user's file.

    ``row`` is the row number a spreadsheet shows.  Times are aware; they are shown in the campaign's time
    zone. None (or an empty text) leaves the cell empty.
    """

    row: int
    status: str
    reason: str | None = None
    recipient: str | None = None
    country: str | None = None
    route: str | None = None
    sender: str | None = None
    encoding: str | None = None
    parts: int | None = None
    estimated_cost: Decimal | None = None
    actual_cost: Decimal | None = None
    message_id: str | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    error_code: str | None = None


def as_cells(rows: Iterable[ReportRow], timezone: ZoneInfo, heading_row: int) -> Iterator[RowCells]:
    """Each row's number and its values in the order of :data:`COLUMNS`.

    Raises ValueError when the rows are not ascending, not below the heading, or hold a naive time: the report
    is merged with the file in one pass, and a row out of order would end up beside somebody else's number.
    """
    last = heading_row
    for row in rows:
        if row.row <= last:
            raise ValueError(f"report row {row.row} comes after row {last}")
        last = row.row
        yield (
            row.row,
            (
                row.status,
                row.reason,
                row.recipient,
                row.country,
                row.route,
                row.sender,
                row.encoding,
                row.parts,
                row.estimated_cost,
                row.actual_cost,
                row.message_id,
                _local(row.sent_at, timezone),
                _local(row.delivered_at, timezone),
                row.error_code,
            ),
        )


@lru_cache(maxsize=1024)  # a campaign has few prices
def brief(amount: Decimal | None) -> Decimal | None:
    """Without the zeros that the ledger's six decimals bring along, and without an exponent."""
    if amount is None:
        return None
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount.normalize()


def our_column(heading: str) -> str | None:
    """The name of our column that this heading is, or None for a column of the user's."""
    name = heading.strip().casefold()
    return name if name in COLUMNS else None


def _local(moment: datetime | None, timezone: ZoneInfo) -> str | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be shown in the campaign's time zone")
    return moment.astimezone(timezone).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
