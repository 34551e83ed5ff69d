"""Marks of an xlsx worksheet, from its XML as a stream.

Regular expressions over bytes instead of an XML parser: a million rows are 300 MB of XML, and rows and cells
of the format have no attribute or text that could hold a ``<``.  Whoever writes other XML (UTF-16, say)
yields no rows here, and the reader refuses the file rather than send hidden rows.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator
from html import unescape
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from dispatcher.campaign.sheet.archive import member_blocks
from dispatcher.campaign.sheet.marks import Marks

_ROOT = re.compile(rb"<(?:(\w+):)?worksheet\b")
_ATTRIBUTE = re.compile(rb'\s(r|t|hidden)\s*=\s*["\']([^"\']*)["\']')
# beyond column Z or row 999,999: within, the grid is small whatever the references say
_FAR_OUT = re.compile(rb'r=["\'](?:[A-Z]{2}|[A-Z][0-9]{7})')
_FILLED = re.compile(rb'\sr=["\']([A-Z]+)([0-9]+)["\'][^>/]*><[^/]')
_REFERENCE = re.compile(r"\$?[A-Z]+\$?(\d+):\$?[A-Z]+\$?(\d+)")
_LAST_OF_ONE_LETTER = 25
_LONGEST_CELL_TAG = 200
_LONGEST_PIECE = 256 << 20  # one row, or all that follows the rows (hyperlinks, formats)


class NotAWorkbook(Exception):
    """The package lacks a part it needs or a part is no XML."""


def xlsx_marks(archive: zipfile.ZipFile, sheet: str) -> Marks:
    """Marks of the worksheet named ``sheet``.

    Raises NotAWorkbook.
    """
    workbook = _xml(archive, "xl/workbook.xml")
    part = _part_of(archive, workbook, sheet)
    # libraries that write formulas without computing them store 0 and ask for recalculation on opening
    untrusted = any(
        _local(e) == "calcPr" and e.get("fullCalcOnLoad") in ("1", "true") for e in workbook.iter()
    )
    scan = _Scan(untrusted)
    for block in member_blocks(archive, part):
        scan.feed(block)
    scan.finish()
    if scan.far_out:
        _measure(scan.marks, member_blocks(archive, part))
    scan.marks.filter_rows([*scan.filters, *_table_filters(archive, part)])
    return scan.marks


class _Scan:
    """Reads worksheet XML block by block, whole rows at a time."""

    def __init__(self, untrusted_zeros: bool) -> None:
        self.marks = Marks(last_column=_LAST_OF_ONE_LETTER)
        self.far_out = False
        self.filters: list[tuple[int, int]] = []
        self._no_values = ("", "0") if untrusted_zeros else ("",)
        self._rest = b""
        self._row = 0
        self._patterns: _Patterns | None = None

    def feed(self, block: bytes) -> None:
        data = self._rest + block
        if len(data) > _LONGEST_PIECE:
            raise NotAWorkbook("a row without end")
        if self._patterns is None:
            root = _ROOT.search(data)
            if root is None:
                self._rest = data
                return
            self._patterns = _Patterns(root.group(1))
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
        for found in self._patterns.auto_filter.finditer(self._rest):
            self.filters.extend(_rows_of(found.group(1).decode("ascii", "replace")))

    def _rows(self, data: bytes, patterns: _Patterns) -> None:
        marks = self.marks
        careful = b't="e"' in data or patterns.formula in data or b"t='e'" in data
        self.far_out = self.far_out or _FAR_OUT.search(data) is not None
        if not careful and b"hidden" not in data and self._plain_rows(data, patterns):
            return
        starts = list(patterns.row.finditer(data))
        for index, found in enumerate(starts):
            attributes = _attributes(found.group(1))
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

    def _plain_rows(self, data: bytes, patterns: _Patterns) -> bool:
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

    def _cells(self, row: bytes, patterns: _Patterns) -> None:
        column = -1
        for found in patterns.cell.finditer(row):
            attributes = _attributes(found.group(1))
            letters = attributes.get("r", "").rstrip("0123456789")
            column = _column(letters.encode()) if letters else column + 1
            content = found.group(2)
            if content is None:
                continue
            value = patterns.value.search(content)
            text = "" if value is None else unescape(value.group(1).decode("utf-8", "replace"))
            kind = attributes.get("t")
            if kind == "e":
                self.marks.override(self._row, column, text)
            elif patterns.formula in content and kind != "str" and text in self._no_values:
                # a text result (t="str") may be empty on purpose: =IF(B2="","",...)
                self.marks.valueless.setdefault(self._row, []).append(column)


class _Patterns:
    """The elements of a worksheet under the document's namespace prefix."""

    def __init__(self, prefix: bytes | None) -> None:
        p = re.escape(prefix) + b":" if prefix else b""
        self.row_start = b"<" + p + b"row"
        self.content = (b"<" + p + b"v", b"<" + p + b"is", b"<" + p + b"f")
        self.formula = b"<" + p + b"f"
        self.row = re.compile(b"<" + p + rb"row\b([^>]*)>")
        self.numbered_row = re.compile(b"<" + p + rb'row r="([0-9]+)"')
        self.cell = re.compile(b"<" + p + rb"c\b([^>]*?)(?:/>|>(.*?)</" + p + rb"c\s*>)", re.DOTALL)
        self.value = re.compile(b"<" + p + rb"v\b[^>]*>([^<]*)<")
        self.auto_filter = re.compile(b"<" + p + rb'autoFilter\b[^>]*\sref="([^"]*)"')


def _measure(marks: Marks, blocks: Iterable[bytes]) -> None:
    """How far out filled cells are by their own references, which is what the cell reader goes by."""
    rest = b""
    for block in blocks:
        data = rest + block
        for letters, row in _FILLED.findall(data):
            marks.last_column = max(marks.last_column, _column(letters))
            marks.last_row = max(marks.last_row, int(row))
        rest = data[-_LONGEST_CELL_TAG:]


def _attributes(raw: bytes) -> dict[str, str]:
    return {name.decode(): value.decode("ascii", "replace") for name, value in _ATTRIBUTE.findall(raw)}


def _column(letters: bytes) -> int:
    position = 0
    for code in letters:
        position = position * 26 + code - ord("A") + 1
    return position - 1


def _rows_of(reference: str) -> Iterator[tuple[int, int]]:
    found = _REFERENCE.fullmatch(reference)
    if found is not None:
        yield int(found.group(1)), int(found.group(2))


def _part_of(archive: zipfile.ZipFile, workbook: Element, sheet: str) -> str:
    entry = next((e for e in workbook.iter() if _local(e) == "sheet" and e.get("name") == sheet), None)
    if entry is None:
        raise NotAWorkbook(sheet)
    relation = next((value for name, value in entry.attrib.items() if name.endswith("}id")), None)
    for target_id, _, target in _relations(archive, "xl/workbook.xml"):
        if target_id == relation:
            return target
    raise NotAWorkbook(sheet)


def _table_filters(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[int, int]]:
    for _, kind, target in _relations(archive, part):
        if kind.endswith("/table"):
            for element in _xml(archive, target).iter():
                if _local(element) == "autoFilter":
                    yield from _rows_of(element.get("ref", ""))


def _relations(archive: zipfile.ZipFile, part: str) -> Iterable[tuple[str, str, str]]:
    """(id, type, part) of what ``part`` refers to."""
    folder, name = posixpath.split(part)
    try:
        root = _xml(archive, f"{folder}/_rels/{name}.rels")
    except KeyError:
        return
    for element in root:
        target = element.get("Target", "")
        target = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        yield element.get("Id", ""), element.get("Type", ""), target


def _xml(archive: zipfile.ZipFile, part: str) -> Element:
    content = archive.read(part)  # KeyError when there is no such part
    try:
        root: Element = fromstring(content)
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise NotAWorkbook(part) from error
    return root


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
