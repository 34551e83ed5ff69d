"""Our columns added to the user's own workbook: the second pass over the sheet, everything else as it was."""

from __future__ import annotations

import itertools
import re
import zipfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO

from dispatcher.report.cannot import CannotAddSheets
from dispatcher.report.package import SheetParts, find_sheet, rewrite
from dispatcher.report.rows import COLUMNS, Answers, CellValue, RowCells, joined
from dispatcher.report.sheets.adding import Changes, changes_for
from dispatcher.report.sheets.model import ExtraSheet
from dispatcher.report.sheetxml import Cell, Row, SheetXml
from dispatcher.report.survey import Layout, survey
from dispatcher.report.xmlcells import CellWriter, column_letters

_SPANS = re.compile(rb"\sspans\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_DIMENSION = re.compile(rb"(dimension\s[^>]*?ref\s*=\s*[\"'])([A-Z]{1,3})(\d+)(?::([A-Z]{1,3})(\d+))?")
_WRITTEN_AT_ONCE = 1 << 18
_NO_ROWS: tuple[CellValue, ...] = ()


class Extension:
    """A workbook that can be extended; making one reads the whole sheet, or raises CannotExtend.

    ``without_sheets`` says why our ``sheets`` do not come into it; None when they do.
    """

    def __init__(
        self, path: Path, sheet_name: str | None, heading_row: int, sheets: Sequence[ExtraSheet] = ()
    ) -> None:
        self._path = path
        self._heading_row = heading_row
        with zipfile.ZipFile(path) as package:
            self._parts: SheetParts = find_sheet(package, sheet_name)
            self._layout: Layout = survey(package, self._parts, heading_row)
            self._changes, self.without_sheets = Changes(), None
            try:
                if sheets:
                    style = self._layout.heading_style
                    self._changes = changes_for(package, sheets, self._parts.sheet, style)
            except CannotAddSheets as reason:
                self.without_sheets = reason.code

    def write(self, answers: Iterable[Answers], target: BinaryIO) -> None:
        """The package with our columns, written to ``target``."""
        with zipfile.ZipFile(self._path) as package, package.open(self._parts.sheet) as stream:
            sheet = SheetXml(stream)
            writer = _SheetWriter(sheet, self._layout, self._heading_row)

            def write_sheet(part: IO[bytes]) -> None:
                _write_all(part, writer.pieces(answers))

            written = {self._parts.sheet: write_sheet, **self._changes.written}
            rewrite(self._path, target, written, self._changes.dropped)


def _write_all(part: IO[bytes], pieces: Iterator[bytes]) -> None:
    pending: list[bytes] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if size >= _WRITTEN_AT_ONCE:
            part.write(b"".join(pending))
            pending.clear()
            size = 0
    part.write(b"".join(pending))


class Pending:
    """Rows of ours that were not written yet, in their order."""

    def __init__(self, pages: Iterator[Answers]) -> None:
        self._pages = pages
        self._page, self._next = Answers((), ()), 0  # the next row is at this place of this page

    def take(self, number: int) -> tuple[CellValue, ...]:
        """The cells of the row with this number, which is not behind the next; nothing when it has none."""
        return next((values for _, values in self.before(number + 1)), _NO_ROWS)

    def before(self, number: int | None) -> Iterator[RowCells]:
        """The rows before the one with this number; None: all of them."""
        while self._some_left() and (number is None or self._page.numbers[self._next] < number):
            place, self._next = self._next, self._next + 1
            yield self._page.numbers[place], tuple(column[place] for column in self._page.columns)

    def until(self, number: int) -> Answers:
        """The rows up to and with the one with this number."""
        pages: list[Answers] = []
        while self._some_left() and self._page.numbers[self._next] <= number:
            start, self._next = self._next, bisect_right(self._page.numbers, number, self._next)
            pages.append(self._page.between(start, self._next))
        return joined(pages)

    def put_back(self, rows: Answers) -> None:
        """Rows that were taken last come again."""
        rest = self._page.between(self._next, len(self._page.numbers))
        self._pages = itertools.chain((rows, rest), self._pages)
        self._page, self._next = Answers((), ()), 0

    def _some_left(self) -> bool:
        while self._next == len(self._page.numbers):
            page = next(self._pages, None)
            if page is None:
                return False
            self._page, self._next = page, 0
        return True


class _SheetWriter:
    def __init__(self, sheet: SheetXml, layout: Layout, heading_row: int) -> None:
        self._sheet = sheet
        self._layout = layout
        self._heading_row = heading_row
        self._heading = Answers((heading_row,), [(name,) for name in COLUMNS])
        self._cells = CellWriter(sheet.prefix.decode())
        # Ours in sheet order: (column, its letters, index in COLUMNS).
        self._ours = sorted((column, column_letters(column), i) for i, column in enumerate(layout.columns))
        self._columns = layout.replaced.union(layout.columns)
        self._first, self._last = layout.first, max(layout.columns)
        self._first_letters = column_letters(self._first)
        self._is_block = (
            len(self._columns) == self._last - self._first + 1
        )  # no column of the user's between ours

    def pieces(self, answers: Iterable[Answers]) -> Iterator[bytes]:
        """The sheet's XML: its rows merged with ours by row number."""
        yield self._dimension(self._sheet.head)
        ours = Pending(itertools.chain((self._heading,), answers))
        for row in self._sheet.rows():
            for number, values in ours.before(row.number):
                yield self._new_row(number, values)
            values = ours.take(row.number)
            if values or row.number > self._heading_row:
                yield self._extended(row, values)
            else:
                yield _unchanged(row, self._sheet)
            if row.number >= self._heading_row:
                yield from self._plain_rows(ours)
        for number, values in ours.before(None):
            yield self._new_row(number, values)
        yield from self._sheet.tail()

    def _plain_rows(self, ours: Pending) -> Iterator[bytes]:
        """Many rows at once, as long as ours go to the right of all their cells."""
        for block in self._sheet.plain_rows():
            rows = ours.until(int(block.numbers[-1]))
            if not block.has(rows.numbers) or block.last.max() >= self._first:
                ours.put_back(rows)
                self._sheet.put_back()
            elif rows.numbers:
                columns = [(letters, rows.columns[i]) for _, letters, i in self._ours]
                cells = self._cells.rows(rows.numbers, columns)
                yield block.without_spans(rows.numbers).with_cells(rows.numbers, cells)
            else:
                yield block.data

    def _new_row(self, number: int, values: tuple[CellValue, ...]) -> bytes:
        p = self._sheet.prefix.decode()
        style = self._layout.heading_style if number == self._heading_row else None
        cells = "".join(self._cells.cell(letters, number, values[i], style) for _, letters, i in self._ours)
        return f'<{p}row r="{number}">{cells}</{p}row>'.encode()

    def _extended(self, row: Row, values: tuple[CellValue, ...]) -> bytes:
        last = self._sheet.last_cell(row.body)
        if last is not None and last.column < self._first:
            body = self._appended(row, last.end, last.end, values)
        elif not row.body:
            body = self._appended(row, 0, 0, values)
        elif last is not None and (start := self._plain_block(row, last)) >= 0:
            body = self._appended(row, start, last.end, values)
        else:
            body = self._merged(row, values)
        if body is row.body:
            return _unchanged(row, self._sheet)
        # spans only helps a reader to allocate; a wrong one is worse than none.
        tag = _SPANS.sub(b"", row.tag) if b"spans" in row.tag else row.tag
        return b"%s%s>%s</%srow>" % (row.gap, tag, body, self._sheet.prefix)

    def _plain_block(self, row: Row, last: Cell) -> int:
        """Where an earlier report's cells begin, if nothing follows them and none has a format; else -1."""
        if not self._is_block or last.column > self._last or row.number == self._heading_row:
            return -1
        start = self._sheet.cell_start(row, self._first_letters)
        return start if start >= 0 and row.body.find(b" s=", start) < 0 else -1

    def _appended(self, row: Row, start: int, end: int, values: tuple[CellValue, ...]) -> bytes:
        """The row with ours instead of what lies between ``start`` and ``end``."""
        if not values and start == end:
            return row.body
        cell, number = self._cells.cell, row.number
        style = self._layout.heading_style if number == self._heading_row else None
        text = (
            "".join([cell(letters, number, values[i], style) for _, letters, i in self._ours])
            if values
            else ""
        )
        return b"%s%s%s" % (row.body[:start], text.encode(), row.body[end:])

    def _merged(self, row: Row, values: tuple[CellValue, ...]) -> bytes:
        """The row's cells with ours in their places; a cell that we replace keeps its format."""
        is_heading = row.number == self._heading_row
        cells = self._sheet.cells_from(row, self._first_letters)
        start = cells[0].start if cells else len(row.body)
        end = cells[-1].end if cells else len(row.body)
        kept: dict[int, bytes] = {}
        styles: dict[int, str | None] = {}
        for cell in cells:
            users = cell.column not in self._columns
            stays = cell.column in self._layout.headed if is_heading else not values and not cell.content
            if users or stays:
                kept[cell.column] = row.body[cell.start : cell.end]
            else:
                styles[cell.column] = cell.style
        for column, letters, i in self._ours:
            if column in kept:
                continue
            style = styles.get(column, self._layout.heading_style if is_heading else None)
            kept[column] = self._cells.cell(
                letters, row.number, values[i] if values else None, style
            ).encode()
        return row.body[:start] + b"".join(kept[column] for column in sorted(kept)) + row.body[end:]

    def _dimension(self, head: bytes) -> bytes:
        def widened(match: re.Match[bytes]) -> bytes:
            right, bottom = match[4] or match[2], match[5] or match[3]
            left = min(match[2], self._first_letters.encode(), key=lambda letters: (len(letters), letters))
            right = max(
                right, column_letters(self._last).encode(), key=lambda letters: (len(letters), letters)
            )
            return b"%s%s%s:%s%s" % (match[1], left, match[3], right, bottom)

        return _DIMENSION.sub(widened, head, count=1)


def _unchanged(row: Row, sheet: SheetXml) -> bytes:
    if row.body:
        return b"%s%s>%s</%srow>" % (row.gap, row.tag, row.body, sheet.prefix)
    return b"%s%s/>" % (row.gap, row.tag)
