"""Cells of digits and plain separators, a chunk at a time: the same reading as ``cleaning``, on bytes.

A cell is *plain* here when it holds digits, ``( ) . - /``, blanks and at most one ``+``, before its digits, and
nothing in it could be more than a separator to ``cleaning``.  That is a narrow choice on purpose: what is left
out costs time, what is let in wrongly would be a wrong number.

Nearly every byte is a digit.  So the digits of all cells are put in one row, and only the few other characters
(*signs*) are looked at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dispatcher.campaign.characters import flags
from dispatcher.campaign.phones.automaton import END

MOST_DIGITS = 17  # after 00 is gone; what phonenumbers takes at most
_MOST_WRITTEN = MOST_DIGITS + 2
_LONGEST_CELL = 40
_SHORTEST = 3
# A date has eight digits at most, 3331234567.0 and 3331234567.89 six or more before the point.
_DATE_DIGITS = 8
_BEFORE_POINT = 6
# After so many digits a bracket or a slash may begin a second number.
_BEFORE_BRACKET = 5
_BEFORE_SLASH = 4

_ZERO = np.uint8(ord("0"))
_PLAIN_SIGNS = np.zeros(256, dtype=np.bool_)
_PLAIN_SIGNS[list(b" ().-/+")] = True

Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Digits:
    """The digits of some cells: ``count`` of each, in ``row`` (0 to 9, of many cells) from ``begin`` on."""

    row: NDArray[np.uint8]
    begin: Integers
    count: Integers

    def __getitem__(self, chosen: Flags | Integers) -> Digits:
        return Digits(self.row, self.begin[chosen], self.count[chosen])

    def at(self, position: int) -> NDArray[np.uint8]:
        """Each cell's digit at a position, END behind its last one."""
        digit = self.row[self.begin + position]
        digit[self.count <= position] = END
        return digit

    def without(self, length: int) -> Digits:
        """Without the first ``length`` digits."""
        return Digits(self.row, self.begin + length, self.count - length)


@dataclass(frozen=True)
class PlainCells:
    """A chunk of cells; every array has one entry a cell, and means nothing where ``plain`` is false.

    ``digits``: ``00`` in front is already gone.  ``value`` is all of them as one integer.
    ``slash``: how many digits stand before the slash inside the number; 0 for no slash.
    """

    plain: Flags
    digits: Digits
    value: Integers
    plus: Flags
    double_zero: Flags
    separators: Flags
    slash: Integers


@dataclass(frozen=True)
class _Signs:
    """All characters that are no digits, in order: its cell and its byte, how many digits of the cell stand before it,
    and where it stands in the ``text`` of all cells."""

    cells: int
    cell: Integers
    byte: NDArray[np.uint8]
    before: Integers
    place: Integers
    text: NDArray[np.uint8]

    def are(self, character: str) -> Flags:
        flags: Flags = self.byte == ord(character)
        return flags

    def following(self, distance: int) -> NDArray[np.uint8]:
        """The byte so far behind each; past the end of its cell it is another cell's, past all of them a digit."""
        text = np.concatenate([self.text, np.full(distance, _ZERO)])
        return text[self.place + distance]

    def some(self, chosen: Flags) -> _Signs:
        """The ``chosen`` signs alone."""
        return _Signs(
            self.cells,
            self.cell[chosen],
            self.byte[chosen],
            self.before[chosen],
            self.place[chosen],
            self.text,
        )

    def cells_with(self, chosen: Flags) -> Flags:
        """The cells that have one of the ``chosen`` signs."""
        found = np.zeros(self.cells, dtype=np.bool_)
        found[self.cell[chosen]] = True
        return found

    def cells_with_two(self, chosen: Flags) -> Flags:
        """The cells that have several of them."""
        cells = self.cell[chosen]
        found = np.zeros(self.cells, dtype=np.bool_)
        found[cells[1:][cells[1:] == cells[:-1]]] = True
        return found


def read_plain_cells(cells: pa.LargeStringArray) -> PlainCells:
    """What the plain ones of ``cells`` hold; missing cells are not plain."""
    text, starts = _buffers(cells)
    is_digit = (text - _ZERO) < 10  # below "0" it wraps around to a large number
    seen = np.zeros(len(text) + 1, dtype=np.int32)  # digits before a byte, from the first cell on
    np.cumsum(is_digit, out=seen[1:])
    first = seen[starts].astype(
        np.int64
    )  # by cell, and the end: the place of its first digit among all digits
    written = np.diff(first)
    signs = _signs(text, starts, is_digit, seen, first)

    all_digits = np.concatenate([text[is_digit], np.full(_MOST_WRITTEN, _ZERO)])
    begin = first[:-1]
    double_zero = (written >= 2) & (all_digits[begin] == _ZERO) & (all_digits[begin + 1] == _ZERO)
    count = written - 2 * double_zero
    slash, slashed_otherwise = _slash(signs, double_zero)
    odd = _odd(signs, written) | (np.diff(starts) > _LONGEST_CELL) | slashed_otherwise
    odd |= (written < _SHORTEST) | (written > _MOST_WRITTEN) | (count > MOST_DIGITS)
    if cells.null_count:
        odd |= flags(cells.is_null())
    pluses = signs.are("+")
    return PlainCells(
        plain=~odd,
        digits=Digits(all_digits - _ZERO, begin + 2 * double_zero, count),
        value=_values(all_digits, first, ~odd),
        plus=signs.cells_with(pluses) | double_zero,
        double_zero=double_zero,
        separators=signs.cells_with(~pluses),
        slash=slash,
    )


def _buffers(cells: pa.LargeStringArray) -> tuple[NDArray[np.uint8], Integers]:
    """The bytes of all cells together, and where each begins and the last one ends."""
    _, offsets, data = cells.buffers()
    places = np.frombuffer(offsets, dtype=np.int64, count=len(cells) + 1 + cells.offset)[cells.offset :]
    if data is None or places[-1] == places[0]:
        return np.zeros(0, dtype=np.uint8), places - places[0]
    text = np.frombuffer(data, dtype=np.uint8)[places[0] : places[-1]]
    return text, places - places[0]


def _signs(
    text: NDArray[np.uint8], starts: Integers, is_digit: Flags, seen: NDArray[np.int32], first: Integers
) -> _Signs:
    cells = len(starts) - 1
    place = np.flatnonzero(~is_digit)
    cell = np.repeat(np.arange(cells), np.diff(starts) - np.diff(first))
    return _Signs(cells, cell, text[place], seen[place] - first[cell], place, text)


def _values(all_digits: NDArray[np.uint8], first: Integers, plain: Flags) -> Integers:
    """The digits of each plain cell as an integer; leading zeros do not count."""
    valid = pa.py_buffer(np.packbits(plain, bitorder="little"))
    buffers = [valid, pa.py_buffer(first), pa.py_buffer(all_digits)]
    texts = pa.Array.from_buffers(pa.large_string(), len(plain), buffers)
    values: Integers = pc.fill_null(texts.cast(pa.int64()), 0).to_numpy()
    return values


def _odd(signs: _Signs, written: Integers) -> Flags:
    """Cells with signs that are not plain, or that could make them a date, a decimal, a negative number, a ``(0)``
    or two numbers.  ``written``: how many digits a cell has."""
    odd = signs.cells_with_two(signs.are("+"))
    leading = signs.are("+") & (signs.before == 0)
    signs = signs.some(~(leading | signs.are(" ")))  # most signs are these two, which may stand there
    pluses, points, dashes, brackets = map(signs.are, "+.-(")
    wrong = ~_PLAIN_SIGNS[signs.byte] | pluses
    wrong |= dashes & (signs.before == 0)
    wrong |= brackets & ((signs.before > _BEFORE_BRACKET) | _open_trunk(signs))

    late = points & (signs.before >= _BEFORE_POINT)
    decimal = signs.cells_with(late) & ~signs.cells_with(points & ~late)  # no decimal has an earlier point
    dated = signs.cells_with(points | dashes | signs.are("/")) & (written <= _DATE_DIGITS)
    return odd | signs.cells_with(wrong) | decimal | dated


def _open_trunk(signs: _Signs) -> Flags:
    """Which signs may open a ``(0)``, ``(0 )`` or ``( 0)``, if they are brackets."""
    first, second = signs.following(1), signs.following(2)
    closed = (second == ord(" ")) | (second == ord(")"))
    trunk: Flags = (first == ord(" ")) | ((first == _ZERO) & closed)
    return trunk


def _slash(signs: _Signs, double_zero: Flags) -> tuple[Integers, Flags]:
    """The digits before the slash that follows a few of them, and the cells with more than that."""
    inside = signs.are("/") & (signs.before > 0)
    cell = signs.cell[inside]
    before = signs.before[inside] - 2 * double_zero[cell]
    slash, odd = np.zeros(signs.cells, dtype=np.int64), signs.cells_with_two(inside)
    slash[cell] = before
    odd[cell[(before <= 0) | (before > _BEFORE_SLASH)]] = True
    return slash, odd
