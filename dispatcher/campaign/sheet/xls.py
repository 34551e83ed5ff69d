"""Old .xls workbooks, through xlrd alone.

Calamine tells neither their error cells nor their hidden rows, and a damaged .xls can make it ask for 500 GB and
abort the whole process, which nobody can catch.
"""

from __future__ import annotations

import datetime as dt
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xlrd
from xlrd.biffh import error_text_from_code

from dispatcher.campaign.sheet.marks import Marks
from dispatcher.errors import FileError

# xlrd has no error of its own for many kinds of damage; these are what its parsing code runs into
_DAMAGE = (
    xlrd.XLRDError,
    xlrd.compdoc.CompDocError,
    struct.error,
    AssertionError,
    LookupError,  # also an encoding that does not exist
    TypeError,
    ValueError,
    OverflowError,
    AttributeError,
    EOFError,
    OSError,
)


class XlsBook:
    """An .xls file: the names of its worksheets, and each as an :class:`XlsSheet`."""

    def __init__(self, path: Path) -> None:
        """Raises FileError: ``sheet_password``, ``sheet_broken``."""
        self._path = path
        with told_as_broken(path):
            self._book = xlrd.open_workbook(
                path, formatting_info=True, on_demand=True, ragged_rows=True, logfile=io.StringIO()
            )
            names: list[str] = self._book.sheet_names()
            # the sheet objects tell it too, but only after reading all their cells
            hidden: list[int] = self._book._sheet_visibility
        self.names = names
        self.visible = [name for name, how in zip(names, hidden, strict=True) if how == 0]

    def sheet(self, name: str) -> XlsSheet:
        """Raises FileError ``sheet_broken``."""
        with told_as_broken(self._path):
            return XlsSheet(self._path, self._book, self._book.sheet_by_name(name))


class XlsSheet:
    """One worksheet of an .xls file: typed rows from row 1 on, and its marks."""

    def __init__(self, path: Path, book: xlrd.Book, sheet: xlrd.sheet.Sheet) -> None:
        self._path = path
        self._book = book
        self._sheet = sheet
        self.marks = self._marks()

    @property
    def merged(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Merged areas as ((top, left), (bottom, right)), from 0, inclusive."""
        return [((top, left), (below - 1, right - 1)) for top, below, left, right in self._sheet.merged_cells]

    def rows(self) -> Iterator[list[object]]:
        """Typed rows, all of the same width.

        Raises FileError ``sheet_broken``.
        """
        width = self._sheet.ncols
        for number in range(self._sheet.nrows):
            with told_as_broken(self._path):
                row = [self._value(cell) for cell in self._sheet.row(number)]
            yield row + [""] * (width - len(row))

    def _value(self, cell: xlrd.sheet.Cell) -> object:
        if cell.ctype == xlrd.XL_CELL_BOOLEAN:
            return bool(cell.value)
        if cell.ctype == xlrd.XL_CELL_ERROR:
            return error_text_from_code.get(cell.value, "#ERR!")
        if cell.ctype == xlrd.XL_CELL_DATE:
            return self._moment(cell)
        return cell.value

    def _moment(self, cell: xlrd.sheet.Cell) -> object:
        form = self._book.format_map[self._book.xf_list[cell.xf_index].format_key].format_str.lower()
        if "[h" in form or "[m" in form or "[s" in form:
            return dt.timedelta(days=cell.value)
        try:
            moment: dt.datetime = xlrd.xldate.xldate_as_datetime(cell.value, self._book.datemode)
        except (OverflowError, ValueError):
            return cell.value
        return moment.time() if 0 <= cell.value < 1 else moment

    def _marks(self) -> Marks:
        sheet = self._sheet
        hidden = {row + 1: 1 for row, info in sheet.rowinfo_map.items() if info.hidden}
        marks = Marks(hidden=hidden, rows=True, last_row=sheet.nrows, last_column=max(sheet.ncols - 1, 0))
        marks.filter_rows(self._filters())
        return marks

    def _filters(self) -> Iterator[tuple[int, int]]:
        """Rows under the sheet's filters: Excel keeps them as a hidden built-in name."""
        for name in self._book.name_obj_list:
            here = name.builtin and name.name == "_FilterDatabase" and name.scope == self._sheet.number
            if here and name.result is not None and isinstance(name.result.value, list):
                for reference in name.result.value:
                    yield reference.coords[2] + 1, reference.coords[3]


@contextmanager
def told_as_broken(path: Path) -> Iterator[None]:
    """What xlrd raises on damage, as one FileError."""
    try:
        yield
    except _DAMAGE as error:
        code = "sheet_password" if "encrypted" in str(error).lower() else "sheet_broken"
        raise FileError(code, file=str(path)) from error
