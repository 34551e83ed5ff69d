"""Marks of an OpenDocument worksheet, from content.xml as a stream of SAX events."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from defusedxml.common import DefusedXmlException
from defusedxml.sax import make_parser

from dispatcher.campaign.sheet.archive import member_blocks
from dispatcher.campaign.sheet.marks import MOST_CELLS, Marks
from dispatcher.campaign.sheet.xlsx.package import NotAWorkbook

_MOST_MARKS = 4_000_000
_HIDDEN = {"collapse": 1, "filter": 2}
_CELLS = ("table:table-cell", "table:covered-table-cell")


def ods_marks(archive: zipfile.ZipFile, sheet: str) -> Marks:
    """Marks of the worksheet named ``sheet``.

    Raises NotAWorkbook.
    """
    handler = _Handler(sheet)
    parser = make_parser()
    parser.setContentHandler(handler)
    try:
        for block in member_blocks(archive, "content.xml"):
            parser.feed(block)
            if handler.marks.cells > MOST_CELLS:
                break
        else:
            parser.close()
    except (SAXParseException, DefusedXmlException, LookupError, ValueError) as error:
        raise NotAWorkbook(sheet) from error
    return handler.marks


class _Handler(ContentHandler):
    """Counts rows and columns the way the document repeats them."""

    def __init__(self, sheet: str) -> None:
        super().__init__()
        self.marks = Marks()
        self._sheet = sheet
        self._depth = 0  # tables inside the wanted table are counted, not read
        self._row = self._row_repeat = self._row_hidden = 0
        self._column = self._column_repeat = 0
        self._marked = 0
        self._filled = False
        self._error: list[str] | None = None

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - the name SAX gives
        if name == "table:table":
            if self._depth or attrs.get("table:name") == self._sheet:
                self._depth += 1
        elif self._depth != 1:
            return
        elif name == "table:table-row":
            self._start_row(attrs)
        elif name in _CELLS:
            self._start_cell(name, attrs)

    def endElement(self, name: str) -> None:  # noqa: N802 - the name SAX gives
        if name == "table:table" and self._depth:
            self._depth -= 1
        elif self._depth != 1:
            return
        elif name == "table:table-row":
            self._end_row()
        elif name in _CELLS:
            self._end_cell()

    def characters(self, content: str) -> None:
        if self._error is not None:
            self._error.append(content)

    def _start_row(self, attrs: AttributesImpl) -> None:
        self._row_repeat = _count(attrs.get("table:number-rows-repeated"))
        self._row_hidden = _HIDDEN.get(attrs.get("table:visibility", ""), 0)
        self._column = self._column_repeat = 0
        self._filled = False
        self.marks.rows = True

    def _start_cell(self, name: str, attrs: AttributesImpl) -> None:
        self._column_repeat = _count(attrs.get("table:number-columns-repeated"))
        typed = "office:value-type" in attrs
        formula = "table:formula" in attrs
        if typed or formula:
            self._filled = True
            last_column = self._column + self._column_repeat - 1
            self.marks.last_column = max(self.marks.last_column, last_column)
        if name == "table:covered-table-cell" and typed:
            self._each(lambda row, column: self.marks.override(row, column, ""))
        elif formula and not typed:
            self._each(lambda row, column: self.marks.valueless.setdefault(row, []).append(column))
        elif attrs.get("calcext:value-type") == "error":
            self._error = []

    def _end_cell(self) -> None:
        if self._error is not None:
            text = "".join(self._error).strip()
            self._error = None
            self._each(lambda row, column: self.marks.override(row, column, text))
        self._column += self._column_repeat

    def _end_row(self) -> None:
        if self._filled:
            self.marks.last_row = self._row + self._row_repeat
            if self._row_hidden and self.marks.cells <= MOST_CELLS:
                for row in range(self._row + 1, self._row + self._row_repeat + 1):
                    self.marks.hidden[row] = self._row_hidden
        self._row += self._row_repeat

    def _each(self, mark: Callable[[int, int], object]) -> None:
        """Apply ``mark`` to every cell this one stands for."""
        self._marked += self._row_repeat * self._column_repeat
        if self._marked > _MOST_MARKS:
            raise NotAWorkbook(self._sheet)
        for row in range(self._row + 1, self._row + self._row_repeat + 1):
            for column in range(self._column, self._column + self._column_repeat):
                mark(row, column)


def _count(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 1
