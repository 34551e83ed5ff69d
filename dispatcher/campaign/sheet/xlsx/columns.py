"""An xlsx worksheet read into columns in one pass over its XML, as the programs that make workbooks write it.

Each cell becomes the number of its text: the texts are kept once, and a chunk of rows is a look-up.  A worksheet that
is not plain (:class:`NotPlain`) is for the general reader; what is read here is what that reader says.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from python_calamine import SheetMetadata

from dispatcher.campaign.ahead import ahead
from dispatcher.campaign.locale import Locale
from dispatcher.campaign.sheet.archive import DAMAGE, member_blocks
from dispatcher.campaign.sheet.chunks import Batch
from dispatcher.campaign.sheet.marks import MOST_CELLS
from dispatcher.campaign.sheet.model import Hidden
from dispatcher.campaign.sheet.xlsx.bytes import NotPlain, Positions, after_root, require, require_well_formed
from dispatcher.campaign.sheet.xlsx.cells import CellReader, Codes, Piece
from dispatcher.campaign.sheet.xlsx.marks import CellMarks, Patterns
from dispatcher.campaign.sheet.xlsx.odd import OddCells
from dispatcher.campaign.sheet.xlsx.package import NotAWorkbook, WorkbookXml, relations, table_filters
from dispatcher.campaign.sheet.xlsx.sample import STRINGS, Sample
from dispatcher.campaign.sheet.xlsx.strings import shared_strings

_ROWS, _ROWS_END, _ROW = b"<sheetData>", b"</sheetData>", b"<row "
_ROW_TAG = re.compile(rb"<row[\s/>]")
_LONGEST_PIECE = 64 << 20  # one row, or all that follows the rows
_LONGEST_TEXTS = (1 << 31) - 1  # bytes that a column of Arrow's holds


@dataclass(frozen=True)
class ColumnSheet:
    """The rows of a worksheet.

    number, hidden  of each row: its number, ascending, and how it is hidden (int8)
    codes           of each cell, row by row: the number of its text in ``texts``, of which 0 is ""
    valueless       (row number, position) of formulas without a stored value
    dated           numbers of texts that are dates
    """

    number: Positions
    hidden: npt.NDArray[np.int8]
    codes: Codes
    texts: pa.Array
    valueless: tuple[tuple[int, int], ...]
    dated: npt.NDArray[np.int32]

    @property
    def first_cell(self) -> str:
        """The text of A1."""
        return str(self.texts[int(self.codes[0, 0])]) if self.number[0] == 1 else ""

    def heads(self) -> Iterator[tuple[int, list[str]]]:
        """See :class:`~dispatcher.campaign.sheet.workbook.WorksheetRows`."""
        for number, codes in zip(self.number.tolist(), self.codes, strict=True):
            yield number, self.texts.take(pa.array(codes)).to_pylist()

    def batches(self, size: int, below: int) -> Iterator[Batch]:
        """See :class:`~dispatcher.campaign.sheet.workbook.WorksheetRows`."""
        last = int(self.number[-1])
        for first in range(below + 1, last + 1, size):
            start, end = np.searchsorted(self.number, (first, first + size))
            yield self._batch(int(start), int(end))

    def _batch(self, start: int, end: int) -> Batch:
        numbers, codes = self.number[start:end], self.codes[start:end]
        columns = {
            place: self.texts.take(pa.array(np.ascontiguousarray(codes[:, place])))
            for place in range(codes.shape[1])
        }
        dated = {}
        if len(self.dated):
            masks = {place: np.isin(codes[:, place], self.dated) for place in columns}
            dated = {place: mask for place, mask in masks.items() if mask.any()}
        within = set(numbers.tolist()) if self.valueless else set()
        valueless = frozenset(cell for cell in self.valueless if cell[0] in within)
        return Batch(numbers, columns, self.hidden[start:end], valueless=valueless, dated=dated)


class ColumnBook:
    """A workbook whose worksheets are read into columns, texts as in ``locale``.  All of it raises NotPlain.

    unpacked  the parts that were read to their end
    """

    def __init__(self, archive: zipfile.ZipFile, locale: Locale) -> None:
        self.unpacked: set[str] = set()
        self._archive, self._locale = archive, locale
        self._workbook, self._sample = WorkbookXml(archive), Sample(archive)
        self._shared: pa.Array | None = None

    @property
    def worksheets(self) -> list[SheetMetadata]:
        """What the general reader says of the worksheets."""
        return self._sample.worksheets()

    def sheet(self, name: str) -> ColumnSheet:
        """The worksheet of this name."""
        part = self._workbook.part_of(name)
        require(part.startswith("xl/worksheets/") and part in self._archive.NameToInfo)
        shared = self._shared_strings(name, part)
        marks = CellMarks(Patterns(), self._workbook.untrusted_zeros)
        reader = CellReader(len(shared), OddCells(self._sample, name, part, marks, self._locale))
        pieces, filters = _pieces(self._archive, part, reader)
        self.unpacked.add(part)
        texts = [pa.array([""], pa.string()), shared, *reader.texts]
        require(pieces and sum(text.nbytes for text in texts) < _LONGEST_TEXTS)
        number = np.concatenate([piece.number for piece in pieces])
        hidden = np.concatenate([piece.hidden for piece in pieces]).astype(np.int8)
        for first, last in (*filters, *table_filters(self._archive, part)):
            hidden[(number >= first) & (number <= last) & (hidden == Hidden.BY_HAND)] = Hidden.BY_FILTER
        return ColumnSheet(
            number,
            hidden,
            _joined(pieces),
            pa.concat_arrays(texts),
            tuple(reader.valueless),
            np.array(reader.dated, np.int32),
        )

    def _shared_strings(self, sheet: str, part: str) -> pa.Array:
        if self._shared is None:
            self._shared = self._read_shared_strings(sheet, part)
        return self._shared

    def _read_shared_strings(self, sheet: str, part: str) -> pa.Array:
        relations_ = relations(self._archive, "xl/workbook.xml")
        named = {target for _, kind, target in relations_ if kind.endswith("/sharedStrings")}
        present = {name for name in self._archive.namelist() if name.lower() == STRINGS.lower()}
        require(named == present and present <= {STRINGS})
        if not present:
            return pa.array([], pa.string())
        self.unpacked.add(STRINGS)
        blocks = ahead(member_blocks(self._archive, STRINGS))
        return shared_strings(blocks, lambda items: self._sample.strings(sheet, part, items))


@contextmanager
def told_as_not_plain() -> Iterator[None]:
    """Damage is for the general reader to tell."""
    try:
        yield
    except (NotAWorkbook, KeyError, *DAMAGE) as error:
        raise NotPlain from error


def _pieces(
    archive: zipfile.ZipFile, part: str, reader: CellReader
) -> tuple[list[Piece], list[tuple[int, int]]]:
    """The rows, a block of the XML at a time, and (first, last) rows of the filter in what follows them."""
    pieces: list[Piece] = []
    rest, head, ended, width, rows = b"", b"", False, 0, 0
    for block in ahead(member_blocks(archive, part)):
        data = rest + block
        require(len(data) <= _LONGEST_PIECE)
        if not head:
            head = _head(data)
            data = data[len(head) :].lstrip()
        if ended:
            rest = data
            continue
        end = data.find(_ROWS_END)
        ended = end >= 0
        end = end if ended else max(data.rfind(_ROW), 0)
        if end:
            piece = reader.read(data[:end])
            pieces.append(piece)
            width, rows = max(width, piece.codes.shape[1]), rows + len(piece.number)
            require(width * max(rows, int(piece.number[-1])) <= MOST_CELLS)
        rest = data[end:]
    require(ended and b"mergeCell" not in rest and b"<!" not in rest and _ROW_TAG.search(rest) is None)
    require_well_formed(head, rest)
    return pieces, Patterns().filters(rest)


def _head(data: bytes) -> bytes:
    """Everything up to the rows."""
    after_root(data, b"worksheet")
    start = data.find(_ROWS)
    require(start >= 0 and start == data.find(_ROWS[:-1]) and b"<!" not in data[:start])
    return data[: start + len(_ROWS)]


def _joined(pieces: list[Piece]) -> Codes:
    codes = np.zeros(
        (sum(len(piece.number) for piece in pieces), max(p.codes.shape[1] for p in pieces)), np.int32
    )
    start = 0
    for piece in pieces:
        rows, width = piece.codes.shape
        codes[start : start + rows, :width] = piece.codes
        start += rows
    return codes
