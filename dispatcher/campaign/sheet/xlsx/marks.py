"""Marks of an xlsx worksheet, from its XML as a stream.

Regular expressions over bytes instead of an XML parser: a million rows are 300 MB of XML, and rows and cells
of the format have no attribute or text that could hold a ``<``.  Whoever writes other XML (UTF-16, say)
yields no rows here, and the reader refuses the file rather than send hidden rows.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape

from dispatcher.campaign.sheet.archive import member_blocks
from dispatcher.campaign.sheet.marks import Marks
from dispatcher.campaign.sheet.xlsx.package import NotAWorkbook, WorkbookXml, rows_of, table_filters

_ROOT = re.compile(rb"<(?:(\w+):)?worksheet\b")
_ATTRIBUTE = re.compile(rb'\s(r|t|hidden)\s*=\s*["\']([^"\']*)["\']')
# beyond column Z or row 999,999: within, the grid is small whatever the references say
_FAR_OUT = re.compile(rb'r=["\'](?:[A-Z]{2}|[A-Z][0-9]{7})')
_FILLED = re.compile(rb'\sr=["\']([A-Z]+)([0-9]+)["\'][^>/]*><[^/]')
_LAST_OF_ONE_LETTER = 25
_LONGEST_CELL_TAG = 200
_LONGEST_PIECE = 256 << 20  # one row, or all that follows the rows (hyperlinks, formats)


def xlsx_marks(archive: zipfile.ZipFile, sheet: str) -> Marks:
    """Marks of the worksheet named ``sheet``.

    Raises NotAWorkbook.
    """
    workbook = WorkbookXml(archive)
    part = workbook.part_of(sheet)
    scan = _Scan(workbook.untrusted_zeros)
    for block in member_blocks(archive, part):
        scan.feed(block)
    scan.finish()
    if scan.far_out:
        _measure(scan.marks, member_blocks(archive, part))
    scan.marks.filter_rows([*scan.filters, *table_filters(archive, part)])
    return scan.marks


class _Scan:
    """Reads worksheet XML block by block, whole rows at a time."""

    def __init__(self, untrusted_zeros: bool) -> None:
        self.marks = Marks(last_column=_LAST_OF_ONE_LETTER)
        self.far_out = False
        self.filters: list[tuple[int, int]] = []
        self._untrusted_zeros = untrusted_zeros
        self._rest = b""
        self._row = 0
        self._patterns: Patterns | None = None

    def feed(self, block: bytes) -> None:
        data = self._rest + block
        if len(data) > _LONGEST_PIECE:
            raise NotAWorkbook("a row without end")
        if self._patterns is None:
            root = _ROOT.search(data)
            if root is None:
                self._rest = data
                return
            self._patterns = Patterns(root.group(1))
        cut = data.rfind(self._patterns.row_start)
        if cut <= 0:
            self._rest = data
            return
        self._rest = data[cut:]
        self._rows(data[:cut], self._patterns)

    def finish(self) -> None:
        if self._patterns is None:
            return
        self._rows(self._rest, self._patterns)
        self.filters.extend(self._patterns.filters(self._rest))

    def _rows(self, data: bytes, patterns: Patterns) -> None:
        marks = self.marks
        careful = b't="e"' in data or patterns.formula in data or b"t='e'" in data
        self.far_out = self.far_out or _FAR_OUT.search(data) is not None
        if not careful and b"hidden" not in data and self._plain_rows(data, patterns):
            return
        starts = list(patterns.row.finditer(data))
        for index, found in enumerate(starts):
            attributes = attributes_of(found.group(1))
            number = attributes.get("r", "")
            self._row = int(number) if number.isdecimal() else self._row + 1
            if attributes.get("hidden") in ("1", "true"):
                marks.hidden[self._row] = 1
            end = starts[index + 1].start() if index + 1 < len(starts) else len(data)
            if any(data.find(content, found.end(), end) >= 0 for content in patterns.content):
                marks.last_row = max(marks.last_row, self._row)
                if careful:
                    self._cells(data[found.end() : end], patterns)
        marks.rows = marks.rows or bool(starts)

    def _plain_rows(self, data: bytes, patterns: Patterns) -> bool:
        """Take in rows of which only the last number counts; False for rows that have to be read one by one."""
        numbers = [int(number) for number in patterns.numbered_row.findall(data)]
        if len(numbers) != data.count(patterns.row_start) or numbers != sorted(numbers) or not numbers:
            return False
        end = len(data)
        for number in reversed(numbers):
            start = data.rfind(patterns.row_start, 0, end)
            if any(data.find(content, start, end) >= 0 for content in patterns.content):
                self.marks.last_row = max(self.marks.last_row, number)
                break
            end = start
        self._row = numbers[-1]
        self.marks.rows = True
        return True

    def _cells(self, row: bytes, patterns: Patterns) -> None:
        column, marks_of = -1, CellMarks(patterns, self._untrusted_zeros)
        for found in patterns.cell.finditer(row):
            attributes = attributes_of(found.group(1))
            letters = attributes.get("r", "").rstrip("0123456789")
            column = _column(letters.encode()) if letters else column + 1
            content = found.group(2)
            if content is None:
                continue
            error, valueless = marks_of.read(attributes.get("t"), content)
            if error is not None:
                self.marks.override(self._row, column, error)
            elif valueless:
                self.marks.valueless.setdefault(self._row, []).append(column)


class Patterns:
    """The elements of a worksheet under the document's namespace prefix."""

    def __init__(self, prefix: bytes | None = None) -> None:
        p = re.escape(prefix) + b":" if prefix else b""
        self.row_start = b"<" + p + b"row"
        self.content = (b"<" + p + b"v", b"<" + p + b"is", b"<" + p + b"f")
        self.formula = b"<" + p + b"f"
        self.row = re.compile(b"<" + p + rb"row\b([^>]*)>")
        self.numbered_row = re.compile(b"<" + p + rb'row r="([0-9]+)"')
        self.cell = re.compile(b"<" + p + rb"c\b([^>]*?)(?:/>|>(.*?)</" + p + rb"c\s*>)", re.DOTALL)
        self.value = re.compile(b"<" + p + rb"v\b[^>]*>([^<]*)<")
        self.auto_filter = re.compile(b"<" + p + rb'autoFilter\b[^>]*\sref="([^"]*)"')

    def filters(self, tail: bytes) -> list[tuple[int, int]]:
        """(first, last) rows of the filter in what follows the rows."""
        found = (match.group(1).decode("ascii", "replace") for match in self.auto_filter.finditer(tail))
        return [rows for reference in found for rows in rows_of(reference)]


@dataclass(frozen=True)
class CellMarks:
    """What the general reader does not tell of a cell."""

    patterns: Patterns
    untrusted_zeros: bool

    def read(self, kind: str | None, content: bytes) -> tuple[str | None, bool]:
        """(text of an error, whether it is a formula without a stored value), by a cell's type and what is in it."""
        value = self.patterns.value.search(content)
        text = "" if value is None else unescape(value.group(1).decode("utf-8", "replace"))
        if kind == "e":
            return text, False
        no_value = text == "" or (text == "0" and self.untrusted_zeros)
        # a text result (t="str") may be empty on purpose: =IF(B2="","",...)
        return None, no_value and kind != "str" and self.patterns.formula in content


def _measure(marks: Marks, blocks: Iterable[bytes]) -> None:
    """How far out filled cells are by their own references, which is what the cell reader goes by."""
    rest = b""
    for block in blocks:
        data = rest + block
        for letters, row in _FILLED.findall(data):
            marks.last_column = max(marks.last_column, _column(letters))
            marks.last_row = max(marks.last_row, int(row))
        rest = data[-_LONGEST_CELL_TAG:]


def attributes_of(raw: bytes) -> dict[str, str]:
    return {name.decode(): value.decode("ascii", "replace") for name, value in _ATTRIBUTE.findall(raw)}


def _column(letters: bytes) -> int:
    position = 0
    for code in letters:
        position = position * 26 + code - ord("A") + 1
    return position - 1
