"""The cells of a worksheet as numbers of texts: what each is, found for whole columns of the XML at once.

Shared strings, whole numbers and plain inline texts are read here.  All other cells (dates, formulas, errors, decimals,
rich text, escapes) are odd ones: of those that are alike one is read, by the general reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dispatcher.campaign.sheet.marks import MOST_CELLS
from dispatcher.campaign.sheet.xlsx.bytes import (
    WORD,
    Mask,
    Positions,
    Tags,
    all_digits,
    numbers,
    require,
)
from dispatcher.campaign.sheet.xlsx.kinds import Kind, Kinds, kinds_of
from dispatcher.campaign.sheet.xlsx.odd import OddCells
from dispatcher.campaign.sheet.xlsx.rows import Rows, read_rows

Codes = npt.NDArray[np.int32]
BLANK = 0  # the number of the empty text

_STYLE_AND_TYPE = re.compile(r'(?: s="(\d+)")?(?: t="(s|n|inlineStr)")?')
_TYPES = {None: Kind.NUMBER, "n": Kind.NUMBER, "s": Kind.SHARED, "inlineStr": Kind.INLINE}
_BLANK_CELL = re.compile(r"(?: s=\"\d+\")? ?/")
_VALUE_END, _TEXT, _TEXT_END = b"</v></c>", b"<is><t>", b"</t></is></c>"
_KEPT_TEXT = b'<is><t xml:space="preserve">'
_MOST_DIGITS = 15  # of a number that a spreadsheet keeps whole


@dataclass(frozen=True)
class Piece:
    """Rows in a row: their numbers, whether they are hidden, and the number of each cell's text, row by row."""

    number: Positions
    hidden: Mask
    codes: Codes


class CellReader:
    """Reads pieces of one worksheet's rows, in their order.

    Texts are numbered: first the empty one, then the shared ones (``shared`` of them), then :attr:`texts`.

    valueless  (row number, position) of formulas without a stored value
    dated      numbers of texts that are dates
    """

    def __init__(self, shared: int, odd: OddCells) -> None:
        self.texts: list[pa.Array] = []
        self.valueless: list[tuple[int, int]] = []
        self.dated: list[int] = []
        self._shared = shared
        self._next = 1 + shared
        self._odd = odd
        self._last_row = 0
        self._kinds: dict[str, Kind] = {}

    def read(self, data: bytes) -> Piece:
        """Whole rows.  Raises NotPlain."""
        tags = Tags(data)
        rows = read_rows(tags)
        require(rows.number[0] > self._last_row)
        self._last_row = int(rows.number[-1])
        kinds = kinds_of(tags, rows, self._kind)
        codes = np.full(len(kinds), -1, np.int64)
        codes[(kinds == Kind.BLANK) & (rows.tags == 1)] = BLANK
        self._read_shared(tags, rows, kinds, codes)
        self._read_numbers(tags, rows, kinds, codes)
        self._read_inline(tags, rows, kinds, codes)
        self._read_odd(tags, rows, codes)
        width = int(rows.column.max(initial=0)) + 1
        require(width * len(rows.number) <= MOST_CELLS)  # before memory is taken for all of them
        laid = np.zeros((len(rows.number), width), np.int32)
        laid[rows.row, rows.column] = codes
        return Piece(rows.number, rows.hidden, laid)

    def _kind(self, attributes: str) -> Kind:
        kind = self._kinds.get(attributes)
        if kind is None:
            kind = self._kinds[attributes] = self._judged(attributes)
        return kind

    def _judged(self, attributes: str) -> Kind:
        if _BLANK_CELL.fullmatch(attributes):
            return Kind.BLANK
        found = _STYLE_AND_TYPE.fullmatch(attributes)
        if found is None:
            return Kind.ODD
        kind = _TYPES[found[2]]
        if kind is Kind.NUMBER and found[1] is not None and not self._odd.is_number(found[1]):
            return Kind.ODD  # a date
        return kind

    def _read_shared(self, tags: Tags, rows: Rows, kinds: Kinds, codes: Positions) -> None:
        which, start, length = _values(tags, rows, kinds == Kind.SHARED, WORD)
        words = tags.words(start)
        digits = all_digits(words, length)
        which, words, length = which[digits], words[digits], length[digits]
        index = numbers(words, length)
        require((index < self._shared).all())
        codes[which] = index + 1

    def _read_numbers(self, tags: Tags, rows: Rows, kinds: Kinds, codes: Positions) -> None:
        which, start, length = _values(tags, rows, kinds == Kind.NUMBER, _MOST_DIGITS)
        whole = all_digits(tags.words(start), np.minimum(length, WORD))
        whole &= all_digits(tags.words(start + WORD), np.maximum(length - WORD, 0))
        whole &= (tags.codes[start] != ord("0")) | (length == 1)
        self._number(codes, which[whole], tags.texts(start[whole], (start + length)[whole]))

    def _read_inline(self, tags: Tags, rows: Rows, kinds: Kinds, codes: Positions) -> None:
        which = np.flatnonzero((kinds == Kind.INLINE) & (rows.tags == 6))
        at, end = tags.at[rows.tag[which] + 1], tags.at[rows.tag[which] + 3]
        kept = tags.begin(at, _KEPT_TEXT)
        start = at + np.where(kept, len(_KEPT_TEXT), len(_TEXT))
        plain = (kept | tags.begin(at, _TEXT)) & tags.begin(end, _TEXT_END)
        plain &= tags.literal(start, np.maximum(start, end), kept=kept)
        self._number(codes, which[plain], tags.texts(start[plain], end[plain]))

    def _read_odd(self, tags: Tags, rows: Rows, codes: Positions) -> None:
        which = np.flatnonzero(codes < 0)
        if not len(which):
            return
        encoded = tags.texts(rows.inside[which], rows.end[which]).dictionary_encode()
        alike = encoded.indices.to_numpy()
        found = self._odd.read(encoded.dictionary.to_pylist())
        self.dated += [self._next + place for place, cell in enumerate(found) if cell.dated]
        valueless = np.array([cell.valueless for cell in found], np.bool_)[alike]
        where = rows.number[rows.row[which]], rows.column[which]
        self.valueless += zip(*(places[valueless].tolist() for places in where), strict=True)
        codes[which] = self._next + alike
        self._keep(pa.array([cell.text for cell in found], pa.string()))

    def _number(self, codes: Positions, which: Positions, texts: pa.Array) -> None:
        """Give the texts numbers, and each cell that of its own."""
        codes[which] = self._next + np.arange(len(which))
        self._keep(texts)

    def _keep(self, texts: pa.Array) -> None:
        self._next += len(texts)
        self.texts.append(texts)


def _values(tags: Tags, rows: Rows, wanted: Mask, longest: int) -> tuple[Positions, Positions, Positions]:
    """Wanted cells with a value and nothing else: which, where it begins, and its length (1 to ``longest``)."""
    which = np.flatnonzero(wanted & (rows.tags == 4))
    at, end = tags.at[rows.tag[which] + 1], tags.at[rows.tag[which] + 2]
    length = end - at - len(b"<v>")
    plain = tags.begin(at, b"<v>") & tags.begin(end, _VALUE_END)
    plain &= (length >= 1) & (length <= longest)
    return which[plain], at[plain] + len(b"<v>"), length[plain]
