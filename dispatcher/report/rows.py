"""What the report says of one row: our columns, their order, and their values as cells."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

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


class Answers(NamedTuple):
    """The answers to many rows of the user's file, one after the other.

    ``numbers`` are those a spreadsheet shows, ascending.  ``columns``: for each of :data:`COLUMNS` the value of every
    row; None (or an empty text) leaves the cell empty.
    """

    numbers: Sequence[int]
    columns: Sequence[Sequence[CellValue]]

    def between(self, start: int, end: int) -> Answers:
        """Those of the rows at these places."""
        return Answers(self.numbers[start:end], [column[start:end] for column in self.columns])


def joined(pages: Sequence[Answers]) -> Answers:
    """The rows of all these pages as one."""
    if len(pages) == 1:
        return pages[0]
    numbers = [number for page in pages for number in page.numbers]
    columns = zip(*(page.columns for page in pages), strict=True)
    return Answers(numbers, [list(itertools.chain.from_iterable(column)) for column in columns])


def row_by_row(pages: Iterable[Answers]) -> Iterator[RowCells]:
    """Each row's number and its values in the order of :data:`COLUMNS`."""
    for page in pages:
        yield from zip(page.numbers, zip(*page.columns, strict=True), strict=True)


def in_order(pages: Iterable[Answers], heading_row: int) -> Iterator[Answers]:
    """The same pages.

    Raises ValueError when rows are not ascending, or not below the heading: the report is merged with the file in one
    pass, and a row out of order would end up beside somebody else's number.
    """
    last = heading_row
    for page in pages:
        for before, number in itertools.pairwise((last, *page.numbers)):
            if number <= before:
                raise ValueError(f"report row {number} comes after row {before}")
            last = number
        yield page


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
