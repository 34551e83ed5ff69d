"""Cells of digits and plain separators, a chunk at a time: the same reading as ``cleaning``, on bytes.

A cell is *plain* here when it holds digits, ``( ) . - /``, blanks and at most one ``+``, before its digits, and
nothing in it could be more than a separator to ``cleaning``.  That is a narrow choice on purpose: what is left
out costs time, what is let in wrongly would be a wrong number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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

_DIGIT, _SEPARATOR, _PLUS, _OTHER = range(4)
_CLASSES = np.full(256, _OTHER, dtype=np.uint8)
_CLASSES[list(b"0123456789")] = _DIGIT
_CLASSES[list(b" ().-/")] = _SEPARATOR
_CLASSES[ord("+")] = _PLUS


@dataclass(frozen=True)
class PlainCells:
    """A chunk of cells; every array has one entry a cell, and means nothing where ``plain`` is false.

    ``digits[position, cell]``: 0 to 9, after the last digit END; ``00`` in front is already gone.
    ``slash``: how many digits stand before the slash inside the number; 0 for no slash.
    """

    plain: NDArray[np.bool_]
    digits: NDArray[np.uint8]
    count: NDArray[np.int64]
    plus: NDArray[np.bool_]
    double_zero: NDArray[np.bool_]
    separators: NDArray[np.bool_]
    slash: NDArray[np.int64]


def read_plain_cells(cells: pa.LargeStringArray) -> PlainCells:
    """What the plain ones of ``cells`` hold; missing cells are not plain."""
    text, starts = _buffers(cells)
    ends = starts[1:]
    starts = starts[:-1]
    lengths = ends - starts
    number = len(lengths)
    row = np.repeat(np.arange(number), lengths)
    classes = _CLASSES[text]
    is_digit = classes == _DIGIT
    seen = np.zeros(len(text) + 1, dtype=np.int64)  # digits before a byte, from the first cell on
    np.cumsum(is_digit, out=seen[1:])
    before_row = seen[starts]
    count = seen[ends] - before_row

    pluses = np.flatnonzero(classes == _PLUS)
    plus = np.bincount(row[pluses], minlength=number)
    odd = _rows(number, row[classes == _OTHER]) | (plus > 1) | (lengths > _LONGEST_CELL)
    odd |= _rows(number, row[pluses[seen[pluses] > before_row[row[pluses]]]])
    odd |= (count < _SHORTEST) | (count > _MOST_WRITTEN)
    odd |= _odd_separators(text, row, seen, before_row, count)
    if cells.null_count:
        odd |= np.asarray(cells.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)

    digits = np.full((_MOST_WRITTEN, number), END, dtype=np.uint8)
    taken = np.flatnonzero(is_digit)
    place = seen[taken] - before_row[row[taken]]
    fits = place < _MOST_WRITTEN
    digits[place[fits], row[taken[fits]]] = text[taken[fits]] - ord("0")

    double_zero = (digits[0] == 0) & (digits[1] == 0)
    digits[:-2, double_zero] = digits[2:, double_zero]
    digits[-2:, double_zero] = END
    count = count - 2 * double_zero
    slash, more_slashes = _slash(text, row, seen, before_row, double_zero)
    return PlainCells(
        plain=~(odd | more_slashes | (count > MOST_DIGITS)),
        digits=digits[:MOST_DIGITS],
        count=count,
        plus=(plus > 0) | double_zero,
        double_zero=double_zero,
        separators=_rows(number, row[classes == _SEPARATOR]),
        slash=slash,
    )


def _buffers(cells: pa.LargeStringArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of all cells together, and where each begins and the last one ends."""
    _, offsets, data = cells.buffers()
    places = np.frombuffer(offsets, dtype=np.int64, count=len(cells) + 1 + cells.offset)[cells.offset :]
    if data is None or places[-1] == places[0]:
        return np.zeros(0, dtype=np.uint8), places - places[0]
    text = np.frombuffer(data, dtype=np.uint8)[places[0] : places[-1]]
    return text, places - places[0]


def _rows(number: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    found = np.zeros(number, dtype=np.bool_)
    found[rows] = True
    return found


def _odd_separators(
    text: NDArray[np.uint8],
    row: NDArray[np.int64],
    seen: NDArray[np.int64],
    before_row: NDArray[np.int64],
    count: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Cells whose separators could make them a date, a decimal, a negative number, a ``(0)`` or two numbers."""

    def at(character: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        places = np.flatnonzero(text == ord(character))
        return row[places], seen[places] - before_row[row[places]]

    number = len(count)
    (points, before_point), (dashes, before_dash) = at("."), at("-")
    (brackets, before_bracket), (slashes, _) = at("("), at("/")
    late = before_point >= _BEFORE_POINT
    odd = _rows(number, points[late]) & ~_rows(number, points[~late])  # no decimal has an earlier point
    odd |= _rows(number, dashes[before_dash == 0])
    odd |= _rows(number, brackets[before_bracket > _BEFORE_BRACKET])
    dated = _rows(number, points) | _rows(number, dashes) | _rows(number, slashes)
    odd |= dated & (count <= _DATE_DIGITS)

    # "(0)", "(0 )", "( 0)": looked for past the end of a cell too, which only makes more of them odd.
    opened = np.flatnonzero(text == ord("("))
    after = np.concatenate([text, np.zeros(2, dtype=np.uint8)])
    first, second = after[opened + 1], after[opened + 2]
    trunk = (first == ord(" ")) | ((first == ord("0")) & ((second == ord(" ")) | (second == ord(")"))))
    return odd | _rows(number, row[opened[trunk]])


def _slash(
    text: NDArray[np.uint8],
    row: NDArray[np.int64],
    seen: NDArray[np.int64],
    before_row: NDArray[np.int64],
    double_zero: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The digits before the slash that follows a few of them, and the cells with more than that."""
    number = len(double_zero)
    places = np.flatnonzero(text == ord("/"))
    before = seen[places] - before_row[row[places]]
    places, before = places[before > 0], before[before > 0]
    before = before - 2 * double_zero[row[places]]
    odd = _rows(number, row[places[(before <= 0) | (before > _BEFORE_SLASH)]])
    odd |= np.bincount(row[places], minlength=number) > 1
    slash = np.zeros(number, dtype=np.int64)
    slash[row[places]] = before
    return slash, odd
