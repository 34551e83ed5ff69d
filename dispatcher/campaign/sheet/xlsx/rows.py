"""Rows of a worksheet's XML as arrays: which row and column each cell is in, and where what it holds stands.

What must be so is demanded (:class:`NotPlain` else): names of rows and cells, their order, their nesting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from dispatcher.campaign.sheet.xlsx.bytes import (
    WORD,
    Mask,
    Positions,
    Tags,
    Words,
    all_digits,
    byte_of,
    cut,
    numbers,
    require,
    starts_with,
)

ATTRIBUTES = r"(?:\s+[\w:.-]+=\"[^\"<>&]*\")*\s*"
_REST_OF_ROW_TAG = re.compile(rf"({ATTRIBUTES})(/?)>\s*")
_HIDDEN = re.compile(r"\shidden=\"(?:1|true)\"")
_AFTER_NAME = np.frombuffer(b" \t\r\n/>", np.uint8)
_MOST_DIGITS = 7  # of a row number

Small = npt.NDArray[np.int8]


class _Tag(IntEnum):
    """Tags that begin something, and EMPTY, a row that ends where it begins."""

    ROW = 0
    CELL = 1
    END = 2
    EMPTY = 3


@dataclass(frozen=True)
class Rows:
    """Whole rows and their cells.

    number, hidden  of each row: its number, ascending, and whether it is hidden by hand
    row, column     of each cell: index of its row, and position (0 is column A)
    inside, end     where what follows a cell's reference begins, and where what follows the cell begins
    tag, tags       index of a cell's tag among all, and how many there are before what follows the cell
    closing         index of the tag that ends a row, of those that have one
    """

    number: Positions
    hidden: Mask
    row: Positions
    column: Positions
    inside: Positions
    end: Positions
    tag: Positions
    tags: Positions
    closing: Positions


def read_rows(tags: Tags) -> Rows:
    """Take apart whole rows, the first ``<row`` first.  Raises NotPlain."""
    what, starts, sizes = _beginnings(tags)
    is_row, is_cell = np.flatnonzero(what == _Tag.ROW), np.flatnonzero(what == _Tag.CELL)
    named = tags.at[starts[is_row]] + WORD
    names, digits = _row_names(tags.words(named))
    hidden, empty = _row_attributes(tags, named + digits + 1, tags.at[starts[is_row] + 1])
    _require_nesting(what, is_row[empty])
    number = numbers(names, digits)
    require((np.diff(number) > 0).all())

    row, tag, size = np.searchsorted(is_row, is_cell) - 1, starts[is_cell], sizes[is_cell]
    referred = tags.at[tag] + len(b'<c r="')
    column, letters = _columns(tags.words(referred))
    require((cut(tags.words(referred + letters), digits[row] + 1) == names[row]).all())
    require((np.diff(column)[np.diff(row) == 0] > 0).all())
    inside = referred + letters + digits[row] + 1
    return Rows(number, hidden, row, column, inside, tags.at[tag + size], tag, size, starts[what == _Tag.END])


def _beginnings(tags: Tags) -> tuple[Small, Positions, Positions]:
    """Of each tag that begins something: what, its index, and how many tags there are up to the next."""
    words = tags.words(tags.at)[:-1]
    second, third = (words.view(np.uint8)[place::WORD] for place in (1, 2))  # of every eight bytes
    require(not ((second == ord("!")) | (second == ord("?"))).any())
    cells = np.flatnonzero(second == ord("c"))
    cells = cells[np.isin(third[cells], _AFTER_NAME)]
    rows = np.flatnonzero(second == ord("r"))
    rows = rows[starts_with(words[rows], b"<row")]
    ends = np.flatnonzero((second == ord("/")) & (third == ord("r")))
    ends = ends[starts_with(words[ends], b"</row")]
    what = np.full(len(words), -1, np.int8)
    for kind, found, form in (
        (_Tag.CELL, cells, b'<c r="'),
        (_Tag.ROW, rows, b'<row r="'),
        (_Tag.END, ends, b"</row>"),
    ):
        # one that begins in another way must not pass for what is in the one before it
        require(starts_with(words[found], form).all())
        what[found] = kind
    starts = np.flatnonzero(what >= 0)
    require(len(starts) and starts[0] == 0)
    sizes, what = np.diff(np.append(starts, len(words))), what[starts]
    require((sizes[what != _Tag.CELL] == 1).all())
    return what, starts, sizes


def _row_names(words: Words) -> tuple[Words, Positions]:
    """The digits of each row's number with the quote after them, and how many they are."""
    digits = np.zeros(len(words), np.int64)
    for count in range(_MOST_DIGITS, 0, -1):
        digits[byte_of(words, count) == ord('"')] = count
    require((digits > 0).all() and all_digits(words, digits).all())
    return cut(words, digits + 1), digits


def _row_attributes(tags: Tags, starts: Positions, ends: Positions) -> tuple[Mask, Mask]:
    """Which rows are hidden, and which have no cells, by what follows their numbers."""
    texts, which = tags.alike(starts, ends)
    read = [_REST_OF_ROW_TAG.fullmatch(text) for text in texts]
    require(all(read))
    hidden = np.array([_HIDDEN.search(found[1]) is not None for found in read if found], np.bool_)
    empty = np.array([found[2] == "/" for found in read if found], np.bool_)
    return hidden[which], empty[which]


def _require_nesting(what: Small, empty: Positions) -> None:
    """Cells and ends of rows come within a row that is open, rows elsewhere."""
    what = what.copy()
    what[empty] = _Tag.EMPTY
    opens = (what == _Tag.ROW) | (what == _Tag.CELL)
    within = (what == _Tag.CELL) | (what == _Tag.END)
    require(not within[0] and (opens[:-1] == within[1:]).all() and not opens[-1])


def _columns(words: Words) -> tuple[Positions, Positions]:
    """Positions of the columns that references begin with, and how many letters these have."""
    codes = [byte_of(words, place).astype(np.int64) - ord("A") + 1 for place in range(3)]
    require(((codes[0] >= 1) & (codes[0] <= 26)).all())
    column, letters, going = codes[0], np.ones(len(words), np.int64), np.ones(len(words), np.bool_)
    for code in codes[1:]:
        going = going & (code >= 1)  # digits are below the letters
        if not going.any():
            break
        require((code[going] <= 26).all())
        column, letters = np.where(going, column * 26 + code, column), letters + going
    return column - 1, letters
