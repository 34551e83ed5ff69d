"""Workbooks: which worksheet is read, and by which reader."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, cast

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetMetadata,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from dispatcher.campaign.locale import Locale
from dispatcher.campaign.sheet.archive import check_archive, check_declared
from dispatcher.campaign.sheet.chunks import Batch, ChunkBuilder
from dispatcher.campaign.sheet.filetype import Stamp
from dispatcher.campaign.sheet.marks import MOST_CELLS, Marks
from dispatcher.campaign.sheet.model import SheetChunk, SheetKind
from dispatcher.campaign.sheet.ods_marks import ods_marks
from dispatcher.campaign.sheet.ours import is_mark, may_be_ours
from dispatcher.campaign.sheet.typed_sheet import Rows, TypedSheet, without_covered
from dispatcher.campaign.sheet.xls import XlsBook
from dispatcher.campaign.sheet.xlsx.bytes import NotPlain
from dispatcher.campaign.sheet.xlsx.columns import ColumnBook, told_as_not_plain
from dispatcher.campaign.sheet.xlsx.marks import xlsx_marks
from dispatcher.campaign.sheet.xlsx.package import NotAWorkbook
from dispatcher.errors import FileError

Read = TypeVar("Read")


class WorksheetRows(Protocol):
    """The rows of a worksheet; both may be asked for again."""

    def heads(self) -> Iterator[tuple[int, list[str]]]:
        """(row number, texts from column A on) of each row."""
        ...

    def batches(self, size: int, below: int) -> Iterator[Batch]:
        """The rows below a row, those of ``size`` row numbers at a time."""
        ...


@dataclass(frozen=True)
class Worksheet:
    """A worksheet that was read, and the other visible ones."""

    name: str
    others: tuple[str, ...]
    rows: WorksheetRows


@dataclass(frozen=True)
class WorkbookSource:
    """Chunks of a worksheet."""

    path: Path
    rows: WorksheetRows
    heading_row: int
    builder: ChunkBuilder
    stamp: Stamp

    def chunks(self) -> Iterator[SheetChunk]:
        """See :meth:`Sheet.chunks`."""
        self.stamp.check(self.path)
        for batch in self.rows.batches(self.builder.chunk_rows, self.heading_row):
            yield from self.builder.build(batch)
        self.stamp.check(self.path)


def open_worksheet(path: Path, kind: SheetKind, asked: str | None, locale: Locale) -> Worksheet:
    """The worksheet called ``asked``, or the first visible one; cells that are no text as in ``locale``.

    Raises FileError: ``sheet_zip_bomb``, ``sheet_broken``, ``sheet_password``, ``sheet_no_visible``,
    ``sheet_not_in_file``, ``sheet_too_large``.
    """
    if kind is SheetKind.XLS:
        return _open_xls(path, asked, locale)
    if kind is not SheetKind.ODS:
        check_declared(path)
        with contextlib.suppress(NotPlain):
            return open_columns(path, asked, locale)
    return open_typed(path, kind, asked, locale)


def _open_xls(path: Path, asked: str | None, locale: Locale) -> Worksheet:
    book = XlsBook(path)

    def is_ours(name: str) -> bool:
        return may_be_ours(name) is not None and _is_marked(name, book.sheet(name).rows())

    name, others = _choose(path, book.names, [n for n in book.visible if not is_ours(n)], asked)
    sheet = book.sheet(name)
    rows = without_covered(sheet.rows, sheet.merged, 0)
    return Worksheet(name, others, TypedSheet(0, rows, sheet.marks, locale))


def open_columns(path: Path, asked: str | None, locale: Locale) -> Worksheet:
    """An xlsx worksheet as the fast reader gives it; NotPlain for one that it does not know well enough.  FileError."""
    with told_as_not_plain(), zipfile.ZipFile(path) as archive:
        book = ColumnBook(archive, locale)

        def is_ours(name: str) -> bool:
            return may_be_ours(name) is not None and is_mark(name, book.sheet(name).first_cell)

        name, others = _chosen(path, book.worksheets, is_ours, asked)
        sheet = book.sheet(name)
    check_archive(path, unpacked=book.unpacked)
    return Worksheet(name, others, sheet)


def open_typed(path: Path, kind: SheetKind, asked: str | None, locale: Locale) -> Worksheet:
    """An xlsx or ods worksheet as the general reader gives it.  Raises FileError."""
    check_archive(path)
    book = _calamine(path, lambda: CalamineWorkbook.from_path(path))
    try:
        name, others = _chosen(
            path, book.sheets_metadata, lambda name: _is_our_sheet(path, book, name), asked
        )
        marks = _marks(path, kind, name)
        sheet = _calamine(path, lambda: book.get_sheet_by_name(name))
    finally:
        book.close()
    if sheet.height and not marks.rows:  # written in a way the scan does not know: hidden rows would be sent
        raise FileError("sheet_broken", file=str(path), sheet=name)
    left = sheet.start[1] if sheet.start else 0
    rows = without_covered(_whole_rows(path, name, sheet), sheet.merged_cell_ranges or (), left)
    return Worksheet(name, others, TypedSheet(left, rows, marks, locale))


def _whole_rows(path: Path, name: str, sheet: CalamineSheet) -> Rows:
    def rows() -> Iterator[list[object]]:
        try:
            yield from cast(Rows, sheet.iter_rows)()
        except (
            OverflowError
        ) as error:  # a number that is far too large for the date or the time it is shown as
            raise FileError("sheet_broken", file=str(path), sheet=name) from error

    return rows


def _is_our_sheet(path: Path, book: CalamineWorkbook, name: str) -> bool:
    """Whether a report of ours added the sheet: nobody wrote it, and nobody is on it."""
    if may_be_ours(name) is None:
        return False
    sheet = _calamine(path, lambda: book.get_sheet_by_name(name))
    return sheet.start == (0, 0) and _is_marked(name, cast(Rows, sheet.iter_rows)())


def _is_marked(name: str, rows: Iterator[list[object]]) -> bool:
    first = next(rows, None) or [None]
    return is_mark(name, first[0])


def _chosen(
    path: Path, metadata: Iterable[SheetMetadata], is_ours: Callable[[str], bool], asked: str | None
) -> tuple[str, tuple[str, ...]]:
    sheets = [sheet for sheet in metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    visible = [sheet.name for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible]
    return _choose(path, [sheet.name for sheet in sheets], [n for n in visible if not is_ours(n)], asked)


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
