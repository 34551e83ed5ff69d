"""A worksheet's XML, cut into head, rows and tail without taking it apart further.

Only the marks of rows and cells are looked for, so a sheet of any size passes in bounded memory and
everything we do not touch keeps its bytes.  What this tokenizer does not understand raises CannotExtend
before anything is written.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

from dispatcher.report.cannot import CannotExtend
from dispatcher.report.plainrows import NotPlain, PlainRows
from dispatcher.report.xmlcells import column_number

_BLOCK = 1 << 18
_ROW_END = b"</row>"
_LONGEST_HEAD = 1 << 24
_LONGEST_ROW = 1 << 26
_ATTRIBUTES = rb"(?:[^<>\"']|\"[^\"]*\"|'[^']*')*"
_DECLARATION = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"'][^>]*\?>")
_ROOT = re.compile(rb"<(?![?!])([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_CELL_NAME = re.compile(rb"\sr\s*=\s*[\"']([A-Z]{1,3})[0-9]+[\"']")
_ROW_NUMBER = re.compile(rb"\sr\s*=\s*[\"']([0-9]+)[\"']")
_STYLE = re.compile(rb"\ss\s*=\s*[\"']([0-9]+)[\"']")
_TYPE = re.compile(rb"\st\s*=\s*[\"'](\w+)[\"']")


class Cell(NamedTuple):
    """One cell of a row: its column, where it lies in the row's body, its attributes and what it holds."""

    column: int
    start: int
    end: int
    attributes: bytes
    content: bytes

    @property
    def style(self) -> str | None:
        match = _STYLE.search(self.attributes)
        return match[1].decode() if match else None

    @property
    def type(self) -> str:
        match = _TYPE.search(self.attributes)
        return match[1].decode() if match else "n"


@dataclass(frozen=True, slots=True)
class Row:
    """One ``<row>``: ``tag`` without its ``>`` or ``/>``, ``body`` between the tags, ``gap`` before it."""

    number: int
    gap: bytes
    tag: bytes
    body: bytes


class SheetXml:
    """The pieces of one worksheet, in the order they must be taken: ``head``, ``rows()``, ``tail()``.

    ``stream`` is the part's bytes; other encodings than UTF-8 are turned into it on the way.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._blocks = _utf8_blocks(stream)
        self._buffer = b""
        self.prefix, self.head, self._empty = self._read_head()
        p = re.escape(self.prefix)
        self._row = re.compile(rb"<(?:%srow(?=[\s/>])|/%ssheetData\s*>|[!?])" % (p, p))
        self._row_tag = re.compile(rb"<%srow%s>" % (p, _ATTRIBUTES))
        self._row_end = re.compile(rb"</%srow\s*>" % p)
        self._cell = re.compile(
            rb"<%sc(?=[\s/>])(?:\s+r=\"([A-Z]{1,3})[0-9]+\")?((?:[^<>\"'/]|\"[^\"]*\"|'[^']*')*)"
            rb"(?:/|>([^<]*(?:<(?!/%sc[\s>])[^<]*)*)</%sc\s*)>" % (p, p, p)
        )
        self._any_cell = re.compile(rb"<%sc[\s/>]" % p)
        self._cell_start = b"<" + self.prefix + b"c "
        self._number, self._position = 0, 0  # of the last row, and where it ended
        self._put_back = False
        self._one_by_one = 0  # so many rows are to be taken one by one before a block of them is tried again

    def _read_head(self) -> tuple[bytes, bytes, bool]:
        """Everything through ``<sheetData>``.  An empty ``<sheetData/>`` is opened; the tail closes it."""
        while True:
            plain = _COMMENT.sub(lambda comment: b" " * len(comment[0]), self._buffer)
            if b"<!--" not in plain and (root := _ROOT.search(plain)):
                if b"<!DOCTYPE" in plain[: root.start()] or root[2] != b"worksheet":
                    raise CannotExtend("sheet_unusual")
                prefix = root[1] or b""
                data = re.compile(rb"<%ssheetData(?=[\s/>])%s>" % (re.escape(prefix), _ATTRIBUTES)).search(
                    plain
                )
                if data:
                    return prefix, *self._cut_head(data)
            if len(self._buffer) > _LONGEST_HEAD or not self._more():
                raise CannotExtend("sheet_unusual")

    def _cut_head(self, data: re.Match[bytes]) -> tuple[bytes, bool]:
        head, self._buffer = self._buffer[: data.end()], self._buffer[data.end() :]
        if head.endswith(b"/>"):
            return head[:-2].rstrip() + b">", True
        return head, False

    def _more(self) -> bool:
        block = next(self._blocks, None)
        if block is None:
            return False
        self._buffer += block
        return True

    def rows(self) -> Iterator[Row]:
        """The rows, ascending.  A row without a number has the number after the one before."""
        while not self._empty:
            mark = self._row.search(self._buffer, self._position)
            if mark is None or not (row := self._complete_row(mark)):
                self._forget_taken()
                if len(self._buffer) > _LONGEST_ROW or not self._more():
                    raise CannotExtend("sheet_unusual")
                continue
            if isinstance(row, int):
                self._forget_taken()
                return
            tag, body, end = row
            numbered = _ROW_NUMBER.search(tag)
            number = int(numbered[1]) if numbered else self._number + 1
            if number <= self._number:
                raise CannotExtend("sheet_unusual")
            gap = self._buffer[self._position : mark.start()]
            self._number, self._position = number, end
            self._one_by_one = max(self._one_by_one - 1, 0)
            yield Row(number, gap, tag, body)

    def plain_rows(self) -> Iterator[PlainRows]:
        """Rows that come next and can be taken many at a time; what is left of them comes from :meth:`rows`."""
        while not self._one_by_one:
            self._forget_taken()
            end = self._buffer.rfind(_ROW_END) + len(_ROW_END)
            if end < len(_ROW_END):
                return
            try:
                block = PlainRows.of(self._buffer[:end])
            except NotPlain:
                self._one_by_one = self._buffer.count(_ROW_END)
                return
            if block.numbers[0] <= self._number:
                raise CannotExtend("sheet_unusual")
            before, self._number, self._position = self._number, int(block.numbers[-1]), end
            yield block
            if self._put_back:
                self._put_back, self._number, self._position = False, before, 0
                self._one_by_one = len(block.numbers)
            elif not self._more():
                return

    def put_back(self) -> None:
        """The rows that :meth:`plain_rows` just gave will come one by one."""
        self._put_back = True

    def _forget_taken(self) -> None:
        self._buffer, self._position = self._buffer[self._position :], 0

    def _complete_row(self, mark: re.Match[bytes]) -> tuple[bytes, bytes, int] | int | None:
        """(tag, body, end) of the row at ``mark``; 1 after the last row; None when more bytes are needed."""
        if mark[0].startswith(b"</"):
            return 1
        if mark[0] in (b"<!", b"<?"):
            raise CannotExtend("sheet_unusual")
        tag = self._row_tag.match(self._buffer, mark.start())
        if tag is None:
            return None
        if tag[0].endswith(b"/>"):
            return tag[0][:-2].rstrip(), b"", tag.end()
        end = self._row_end.search(self._buffer, tag.end())
        if end is None:
            return None
        body = self._buffer[tag.end() : end.start()]
        if b"<!" in body or b"<?" in body:  # a comment or CDATA could hold what looks like a cell
            raise CannotExtend("sheet_unusual")
        return tag[0][:-1], body, end.end()

    def tail(self) -> Iterator[bytes]:
        """Everything from ``</sheetData>`` on."""
        if self._empty:
            yield b"</" + self.prefix + b"sheetData>"
        if self._buffer:
            yield self._buffer
        yield from self._blocks

    def last_cell(self, body: bytes) -> Cell | None:
        """The last cell of a row when it says where it is; None when only :meth:`cells` can tell."""
        found = self._cell.match(body, max(body.rfind(self._cell_start), 0))
        if found is None or found[1] is None or self._any_cell.search(body, found.end()):
            return None
        return Cell(column_number(found[1]), found.start(), found.end(), found[2], found[3] or b"")

    def cells(self, body: bytes, position: int = 0) -> list[Cell]:
        """The cells of a row from ``position`` on.  A cell without a name follows the one before."""
        cells: list[Cell] = []
        column = 0
        for found in self._cell.finditer(body, position):
            start, end = found.span()
            letters = found[1] or _named(found[2])
            previous, column = column, column_number(letters) if letters else column + 1
            if column <= previous or (start > position and body[position:start].strip()):
                raise CannotExtend("sheet_unusual")
            cells.append(Cell(column, start, end, found[2], found[3] or b""))
            position = end
        if self._any_cell.search(body, position):
            raise CannotExtend("sheet_unusual")
        return cells

    def cells_from(self, row: Row, letters: str) -> list[Cell]:
        """The row's cells from column ``letters`` on where that cell names itself, else all of them."""
        return self.cells(row.body, max(self.cell_start(row, letters), 0))

    def cell_start(self, row: Row, letters: str) -> int:
        """Where the row's cell of column ``letters`` begins, if it names itself plainly; else -1."""
        return row.body.find(b'%sr="%s%d"' % (self._cell_start, letters.encode(), row.number))


def _named(attributes: bytes) -> bytes | None:
    name = _CELL_NAME.search(attributes)
    return name[1] if name else None


def _utf8_blocks(stream: IO[bytes]) -> Iterator[bytes]:
    first = stream.read(_BLOCK)
    declared = _DECLARATION.match(first.removeprefix(codecs.BOM_UTF8))
    name = declared[1].decode().lower() if declared else ""
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    if name in ("", "utf-8", "utf8"):
        while first:
            yield first
            first = stream.read(_BLOCK)
        return
    try:
        decoder = codecs.getincrementaldecoder(name)()
        text = decoder.decode(first)
        text = re.sub(r"^(<\?xml[^>]*?encoding\s*=\s*[\"'])[A-Za-z0-9._-]+", r"\g<1>UTF-8", text)
        while first:
            yield text.encode()
            first = stream.read(_BLOCK)
            text = decoder.decode(first, final=not first)
    except (LookupError, UnicodeError) as error:
        raise CannotExtend("sheet_unusual") from error
