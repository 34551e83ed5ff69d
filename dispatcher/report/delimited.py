"""CSV in, CSV out: the user's fields, then our columns."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

from dispatcher.campaign.sheet.formulas import guard_formula, unguard_formula
from dispatcher.report.records import read_records
from dispatcher.report.rows import COLUMNS, CellValue, RowCells, our_column

_GUARDED_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")  # only these can need a guard, or have one already
_NOTHING: tuple[CellValue, ...] = (None,) * len(COLUMNS)


def write_delimited(
    source: Path,
    *,
    delimiter: str,
    encoding: str,
    heading_row: int,
    rows: Iterable[RowCells],
    target: BinaryIO,
) -> None:
    """The file at ``source`` with our columns after the last heading: UTF-8 with BOM, CRLF, its own
    delimiter.

    Columns of an earlier report are left out.  A row with fewer fields than headings is padded, so that ours
    stand under their headings; the surplus fields of a longer row come after ours, so that it stays a longer
    row when the report is read again.  Lines above the heading and blank lines stay.  A ``sep=`` line goes:
    with it, Excel ignores the BOM and garbles accents.
    """
    output = io.TextIOWrapper(target, encoding="utf-8", errors="replace", newline="", write_through=False)
    try:
        output.write("\ufeff")
        line = _LineWriter(delimiter)
        for fields, values in _merged(
            read_records(source, delimiter, encoding, heading_row), heading_row, rows
        ):
            output.write(line(fields, values))
        output.flush()
    finally:
        output.detach()  # the file belongs to the caller


def _merged(
    records: Iterable[list[str]], heading_row: int, rows: Iterable[RowCells]
) -> Iterator[tuple[list[str], tuple[tuple[CellValue, ...], list[str]] | None]]:
    """Per record: the user's fields, and (our values, surplus fields) or None for a line that is no row."""
    ours = iter(rows)
    pending = next(ours, None)
    width = 0
    kept: list[int] | None = None
    number = 0
    for number, record in enumerate(records, 1):
        if number < heading_row:
            yield record, None
            continue
        if number == heading_row:
            width = len(record)
            kept = _users_columns(record)
            yield _fit(record, width, kept), (COLUMNS, [])
            continue
        if pending is not None and pending[0] == number:
            values, pending = pending[1], next(ours, None)
        elif not record:
            yield record, None
            continue
        else:
            values = _NOTHING
        yield _fit(record, width, kept), (values, record[width:])
    while pending is not None:  # the ledger has rows that the file no longer shows: said rather than lost
        yield from (([], None) for _ in range(number + 1, pending[0]))
        number = pending[0]
        yield _fit([], width, kept), (pending[1], [])
        pending = next(ours, None)


def _users_columns(headings: list[str]) -> list[int] | None:
    """The user's columns where an earlier report's stand among them; None when all are the user's."""
    users = [n for n, heading in enumerate(headings) if our_column(heading) is None]
    return users if len(users) < len(headings) else None


def _fit(record: list[str], width: int, kept: list[int] | None) -> list[str]:
    if len(record) < width:
        record = record + [""] * (width - len(record))
    return record[:width] if kept is None else [record[n] for n in kept]


class _LineWriter:
    """Joins fields to a line; what would act as a formula gets a leading ``'``."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._needs_quotes = re.compile(f'[{re.escape(delimiter)}"\r\n]')
        self._decimal_comma = delimiter == ";"

    def __call__(self, fields: list[str], ours: tuple[tuple[CellValue, ...], list[str]] | None) -> str:
        cells = [self._text(field) for field in fields]
        if ours is not None:
            values, surplus = ours
            cells += [self._value(value) for value in values]
            cells += [self._text(field) for field in surplus]
        return self._delimiter.join(cells) + "\r\n"

    def _value(self, value: CellValue) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Decimal):
            number = format(value, "f")
            number = number.replace(".", ",") if self._decimal_comma else number
            return f'"{number}"' if self._delimiter in number else number
        return str(value)

    def _text(self, text: str) -> str:
        if text.startswith(_GUARDED_STARTS):
            text = guard_formula(unguard_formula(text))  # one guard, however often a report becomes an input
        if self._needs_quotes.search(text):
            return '"' + text.replace('"', '""') + '"'
        return text
