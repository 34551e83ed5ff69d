"""Workbooks: which worksheet is read, by which reader, and its typed cells as text columns."""

from __future__ import annotations

import datetime as dt
import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
from python_calamine import (
    CalamineError,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from dispatcher.campaign.locale import Locale, render
from dispatcher.campaign.sheet.archive import check_archive
from dispatcher.campaign.sheet.chunks import Batch, ChunkBuilder, text_column
from dispatcher.campaign.sheet.filetype import Stamp
from dispatcher.campaign.sheet.marks import MOST_CELLS, Marks
from dispatcher.campaign.sheet.model import SheetChunk, SheetKind
from dispatcher.campaign.sheet.ods_marks import ods_marks
from dispatcher.campaign.sheet.ours import is_mark, may_be_ours
from dispatcher.campaign.sheet.xls import XlsBook
from dispatcher.campaign.sheet.xlsx_marks import NotAWorkbook, xlsx_marks
from dispatcher.errors import FileError

Read = TypeVar("Read")
Rows = Callable[[], Iterator[list[object]]]
_FEW_ROWS = 64  # the heading is among the first
Merged = Iterable[tuple[tuple[int, int], tuple[int, int]]]


@dataclass(frozen=True)
class Worksheet:
    """A worksheet that was read.

    rows    its typed rows from row 1 on, all of one width; may be asked for again
    left    position of the first of their cells (0 is column A)
    marks   what the cells do not tell
    """

    name: str
    others: tuple[str, ...]
    left: int
    rows: Rows
    marks: Marks

    def complete_rows(self) -> Iterator[tuple[int, list[object]]]:
        """(row number, cells), error texts in place, also of rows with nothing but valueless formulas."""
        for first, block in self.blocks(_FEW_ROWS):
            yield from enumerate(block, first)

    def blocks(self, size: int, *, below: int = 0) -> Iterator[tuple[int, list[list[object]]]]:
        """(number of the first row, rows) of :meth:`complete_rows` below a row, at most ``size`` rows at a time."""
        rows, overrides = self.rows(), self.marks.overrides
        above = list(itertools.islice(rows, below))
        number, width = len(above), len(above[-1]) if above else 0
        while block := list(itertools.islice(rows, size)):
            first, number, width = number + 1, number + len(block), len(block[-1])
            for marked in overrides.keys() & set(range(first, number + 1)) if overrides else ():
                self._replace(block[marked - first], overrides[marked])
            yield first, block
        for first in range(number + 1, self.marks.last_marked + 1, size):
            last = min(first + size - 1, self.marks.last_marked)
            yield first, [[""] * width for _ in range(first, last + 1)]

    def _replace(self, row: list[object], texts: dict[int, str]) -> None:
        for column, text in texts.items():
            if self.left <= column < self.left + len(row):
                row[column - self.left] = text


@dataclass(frozen=True)
class WorkbookSource:
    """Chunks of a worksheet."""

    path: Path
    worksheet: Worksheet
    heading_row: int
    builder: ChunkBuilder
    stamp: Stamp
    locale: Locale

    def chunks(self) -> Iterator[SheetChunk]:
        """See :meth:`Sheet.chunks`."""
        self.stamp.check(self.path)
        for first, block in self.worksheet.blocks(self.builder.chunk_rows, below=self.heading_row):
            yield from self.builder.build(self._batch(first, block))
        self.stamp.check(self.path)

    def _batch(self, first: int, block: Sequence[list[object]]) -> Batch:
        numbers = np.arange(first, first + len(block), dtype=np.int64)
        cells = dict(enumerate(zip(*block, strict=True), self.worksheet.left))
        kinds = {position: set(map(type, values)) for position, values in cells.items()}
        columns = {
            position: text_column(values if kinds[position] == {str} else _rendered(values, self.locale))
            for position, values in cells.items()
        }
        dated = {position: _dates(cells[position]) for position in cells if _has_dates(kinds[position])}
        marks = self.worksheet.marks
        hidden = np.zeros(len(block), np.int8)
        if marks.hidden:
            hidden[:] = [marks.hidden.get(number, 0) for number in numbers.tolist()]
        valueless = (
            frozenset(
                (number, column) for number in numbers.tolist() for column in marks.valueless.get(number, ())
            )
            if marks.valueless
            else frozenset()
        )
        return Batch(numbers, columns, hidden, valueless=valueless, dated=dated)


def open_worksheet(path: Path, kind: SheetKind, asked: str | None) -> Worksheet:
    """The worksheet called ``asked``, or the first visible one.

    Raises FileError: ``sheet_zip_bomb``, ``sheet_broken``, ``sheet_password``, ``sheet_no_visible``,
    ``sheet_not_in_file``, ``sheet_too_large``.
    """
    return _open_xls(path, asked) if kind is SheetKind.XLS else _open_package(path, kind, asked)


def _open_xls(path: Path, asked: str | None) -> Worksheet:
    book = XlsBook(path)

    def is_ours(name: str) -> bool:
        return may_be_ours(name) is not None and _is_marked(name, book.sheet(name).rows())

    name, others = _choose(path, book.names, [n for n in book.visible if not is_ours(n)], asked)
    sheet = book.sheet(name)
    return Worksheet(name, others, 0, _without_covered(sheet.rows, sheet.merged, 0), sheet.marks)


def _open_package(path: Path, kind: SheetKind, asked: str | None) -> Worksheet:
    check_archive(path)
    book = _calamine(path, lambda: CalamineWorkbook.from_path(path))
    try:
        sheets = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        visible = [
            sheet.name
            for sheet in sheets
            if sheet.visible == SheetVisibleEnum.Visible and not _is_our_sheet(path, book, sheet.name)
        ]
        name, others = _choose(path, [sheet.name for sheet in sheets], visible, asked)
        marks = _marks(path, kind, name)
        sheet = _calamine(path, lambda: book.get_sheet_by_name(name))
    finally:
        book.close()
    if sheet.height and not marks.rows:  # written in a way the scan does not know: hidden rows would be sent
        raise FileError("sheet_broken", file=str(path), sheet=name)
    left = sheet.start[1] if sheet.start else 0
    rows = _without_covered(cast(Rows, sheet.iter_rows), sheet.merged_cell_ranges or (), left)
    return Worksheet(name, others, left, rows, marks)


def _is_our_sheet(path: Path, book: CalamineWorkbook, name: str) -> bool:
    """Whether a report of ours added the sheet: nobody wrote it, and nobody is on it."""
    if may_be_ours(name) is None:
        return False
    sheet = _calamine(path, lambda: book.get_sheet_by_name(name))
    return sheet.start == (0, 0) and _is_marked(name, cast(Rows, sheet.iter_rows)())


def _is_marked(name: str, rows: Iterator[list[object]]) -> bool:
    first = next(rows, None) or [None]
    return is_mark(name, first[0])


def _choose(
    path: Path, names: Sequence[str], visible: Sequence[str], asked: str | None
) -> tuple[str, tuple[str, ...]]:
    """(the worksheet to read, the other visible ones)."""
    if asked is not None:
        # a hidden worksheet is read when a person names it; no program has names that differ only in case
        by_name = {name.strip().casefold(): name for name in names}
        chosen = by_name.get(asked.strip().casefold())
        if chosen is None:
            raise FileError("sheet_not_in_file", file=str(path), found=asked, sheets=", ".join(visible))
    elif visible:
        chosen = visible[0]
    else:
        raise FileError("sheet_no_visible", file=str(path))
    return chosen, tuple(other for other in visible if other != chosen)


def _marks(path: Path, kind: SheetKind, name: str) -> Marks:
    try:
        with zipfile.ZipFile(path) as archive:
            marks = ods_marks(archive, name) if kind is SheetKind.ODS else xlsx_marks(archive, name)
    except (NotAWorkbook, KeyError) as error:
        raise FileError("sheet_broken", file=str(path), sheet=name) from error
    if marks.cells > MOST_CELLS:
        raise FileError(
            "sheet_too_large", file=str(path), sheet=name, rows=marks.last_row, columns=marks.last_column + 1
        )
    return marks


def _calamine(path: Path, action: Callable[[], Read]) -> Read:
    """Do ``action``, its many ways to fail told as one: the file is broken or has a password."""
    try:
        return action()
    except PasswordError as error:
        raise FileError("sheet_password", file=str(path)) from error
    except (CalamineError, OSError, ValueError) as error:
        raise FileError("sheet_broken", file=str(path)) from error
    except BaseException as error:
        # Rust code that panics on a damaged file arrives as this, outside Exception and not exported
        if type(error).__name__ == "PanicException":
            raise FileError("sheet_broken", file=str(path)) from error
        raise


def _without_covered(rows: Rows, merged: Merged, left: int) -> Rows:
    """The rows with everything under a merged cell blank: only the anchor is seen."""
    areas = sorted(area for area in merged if area[0] != area[1])
    if not areas:
        return rows

    def uncovered() -> Iterator[list[object]]:
        coming = iter(areas)
        following = next(coming, None)
        current: list[tuple[tuple[int, int], tuple[int, int]]] = []
        for number, row in enumerate(rows()):
            while following is not None and following[0][0] <= number:
                current.append(following)
                following = next(coming, None)
            if current:
                current = [area for area in current if area[1][0] >= number]
            for (top, first), (_, last) in current:
                start = max(first + (number == top) - left, 0)
                end = min(last - left + 1, len(row))
                row[start:end] = [""] * max(end - start, 0)
            yield row

    return uncovered


def _has_dates(kinds: Iterable[type]) -> bool:
    return any(issubclass(kind, dt.date) for kind in kinds)


def _dates(values: Sequence[object]) -> npt.NDArray[np.bool_]:
    return np.array([isinstance(value, dt.date) for value in values], np.bool_)


def _rendered(values: Sequence[object], locale: Locale) -> list[str]:
    return [value if type(value) is str else render(value, locale) for value in values]
