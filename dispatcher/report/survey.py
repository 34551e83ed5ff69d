"""The first pass over a worksheet: where our columns go, and whether adding them is safe."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.sax.saxutils import unescape

from dispatcher.report.cannot import CannotExtend
from dispatcher.report.package import SheetParts, shared_strings, table_ranges
from dispatcher.report.rows import COLUMNS, our_column
from dispatcher.report.sheetxml import Cell, Row, SheetXml
from dispatcher.report.xmlcells import LAST_COLUMN, column_letters, column_number

_RANGE = re.compile(r"^\$?([A-Z]{1,3})\$?\d+(?::\$?([A-Z]{1,3})\$?(\d+))?$")
_VALUE = re.compile(rb"<(?:[\w.-]+:)?(?:v|t)(?:\s[^>]*)?>([^<]*)</")
_FORMULA = re.compile(rb"<(?:[\w.-]+:)?f[\s/>]")
_PROTECTED = re.compile(rb"\ssheet\s*=\s*[\"'](?:1|true)[\"']")
_CARRY = 1 << 12  # a protection or merge mark is shorter than this


@dataclass(frozen=True, slots=True)
class Layout:
    """Where our columns go in a sheet.

    ``columns``: the sheet column of each of COLUMNS.  ``replaced``: columns of an earlier report; all their
    cells below the heading are ours.  ``headed``: those of them whose heading stays.  ``heading_style``: the
    cell format of the user's last heading, for ours.
    """

    columns: tuple[int, ...]
    replaced: frozenset[int]
    headed: frozenset[int]
    heading_style: str | None

    @property
    def first(self) -> int:
        """The leftmost column that holds, or held, something of ours."""
        return min(self.replaced.union(self.columns))


@dataclass(slots=True)
class _Seen:
    last_column: int = 0
    last_row: int = 0
    heading_style: str | None = None
    ours: dict[str, int] = field(default_factory=dict)
    replaced: set[int] = field(default_factory=set)

    def widen(self, column: int) -> None:
        self.last_column = max(self.last_column, column)


def survey(package: zipfile.ZipFile, parts: SheetParts, heading_row: int) -> Layout:
    """Read the whole sheet once.  Raises CannotExtend where our columns cannot be added safely."""
    seen = _Seen()
    with package.open(parts.sheet) as stream:
        sheet = SheetXml(stream)
        for row in sheet.rows():
            seen.last_row = row.number
            if row.number == heading_row:
                _read_heading(sheet, row, seen, package, parts)
            else:
                _read_row(sheet, row, seen, heading_row)
            if row.number >= heading_row:
                _read_plain_rows(sheet, seen)
        _read_tail(sheet, seen, heading_row)
    for reference in table_ranges(package, parts):
        _widen_by_range(reference, seen, 1)
    return _place(seen)


def _read_heading(
    sheet: SheetXml, row: Row, seen: _Seen, package: zipfile.ZipFile, parts: SheetParts
) -> None:
    cells = [cell for cell in sheet.cells(row.body) if cell.content]
    wanted = {int(text) for cell in cells if cell.type == "s" and (text := cell_text(cell)).isdigit()}
    strings = shared_strings(package, parts, wanted)
    for cell in cells:
        text = cell_text(cell)
        name = our_column(strings.get(int(text), "") if cell.type == "s" and text.isdigit() else text)
        seen.widen(cell.column)
        if name is None:
            seen.heading_style = cell.style
            continue
        if has_formula(cell):
            raise CannotExtend("formula_in_report_columns")
        seen.replaced.add(cell.column)
        seen.ours.setdefault(name, cell.column)


def cell_text(cell: Cell) -> str:
    """What a cell holds as written: its text, its number, or the number of its shared string."""
    return "".join(unescape(text.decode()) for text in _VALUE.findall(cell.content))


def has_formula(cell: Cell) -> bool:
    """Whether the cell is computed."""
    return _FORMULA.search(cell.content) is not None


def _read_row(sheet: SheetXml, row: Row, seen: _Seen, heading_row: int) -> None:
    last = sheet.last_cell(row.body)
    below = row.number > heading_row and bool(seen.replaced)
    if last is not None and last.content and not (below and _FORMULA.search(row.body)):
        seen.widen(last.column)
        return
    for cell in sheet.cells_from(row, column_letters(min(seen.replaced))) if below else sheet.cells(row.body):
        if cell.content:
            seen.widen(cell.column)
            if below and cell.column in seen.replaced and has_formula(cell):
                raise CannotExtend("formula_in_report_columns")


def _read_plain_rows(sheet: SheetXml, seen: _Seen) -> None:
    for block in sheet.plain_rows():
        if seen.replaced and b"<f" in block.data:  # perhaps in a column of ours
            sheet.put_back()
            continue
        seen.last_row = int(block.numbers[-1])
        seen.widen(block.filled)


def _read_tail(sheet: SheetXml, seen: _Seen, heading_row: int) -> None:
    p = re.escape(sheet.prefix)
    marks = re.compile(
        rb"<(?:%ssheetProtection(\s[^>]*)>|%smergeCell\s[^>]*?ref\s*=\s*[\"']([^\"']+)[\"'])" % (p, p)
    )
    for block in _overlapping(sheet.tail()):
        for mark in marks.finditer(block):
            if mark[1] is None:
                _widen_by_range(mark[2].decode(), seen, heading_row)
            elif _PROTECTED.search(mark[1]):
                raise CannotExtend("sheet_protected")


def _overlapping(blocks: Iterable[bytes]) -> Iterable[bytes]:
    carried = b""
    for block in blocks:
        yield carried + block
        carried = block[-_CARRY:]


def _widen_by_range(reference: str, seen: _Seen, from_row: int) -> None:
    match = _RANGE.match(reference)
    if match is None:
        raise CannotExtend("sheet_unusual")
    if match[2] and int(match[3]) >= from_row:
        seen.widen(column_number(match[2].encode()))


def _place(seen: _Seen) -> Layout:
    columns: list[int] = []
    after = seen.last_column
    for name in COLUMNS:
        if name in seen.ours:
            columns.append(seen.ours[name])
        else:
            after += 1
            columns.append(after)
    if after > LAST_COLUMN:
        raise CannotExtend("too_many_columns")
    return Layout(tuple(columns), frozenset(seen.replaced), frozenset(seen.ours.values()), seen.heading_style)
