"""The texts of a template that is only words and plain fields, by joining columns: equal to rendering row by row.

What can be said of a cell is said once of each different cell.  Rows for which that is not certain are named, so
that the rule renders them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.characters import text_bytes
from dispatcher.campaign.distinct import Distinct
from dispatcher.campaign.template.columns import (
    Flags,
    Rows,
    needs_tidying,
    rows_with_nothing_word,
    rows_with_placeholder,
    tidy_column,
)
from dispatcher.campaign.template.filters import MAX_CHARACTERS
from dispatcher.campaign.template.language import Field
from dispatcher.campaign.template.leftovers import tidy

#: A template of many long fields is joined row by row, where its length is watched.
_MAX_JOINED = 50_000
_WIDE = pa.large_string()  # a chunk of long cells has more bytes than 32-bit offsets can count


@dataclass(frozen=True)
class Joined:
    """``texts`` of a chunk; those of the rows ``odd`` may not be what the rule gives."""

    texts: pa.Array
    odd: Rows


class Joining:
    """``pieces`` are the template's words and fields in order; ``places`` says which value a field's position is."""

    def __init__(self, pieces: Sequence[str | Field], places: Mapping[int, int]) -> None:
        self._pieces = pieces
        self._places = places

    def join(self, values: Sequence[Distinct], rows: int) -> Joined | None:
        """The texts of ``rows`` rows; None when cells are so long that each row has to be watched.

        ``values``: the clean cells of the columns that the template uses.
        """
        pieces = [self._filled(piece, values) for piece in self._pieces]
        if sum(map(_longest, pieces)) > _MAX_JOINED:
            return None
        untidy = self._untidy(pieces, rows)
        if all(isinstance(piece, str) for piece in pieces):
            texts = pa.repeat(tidy("".join(map(str, pieces))), rows)
        else:
            columns = (pa.scalar(p, _WIDE) if isinstance(p, str) else p.column.cast(_WIDE) for p in pieces)
            texts = tidy_column(pc.binary_join_element_wise(*columns, pa.scalar("", _WIDE)), untidy)
        made_of = None if untidy.any() else [pa.array([p]) if isinstance(p, str) else p.texts for p in pieces]
        return Joined(texts, self._odd(texts, values, made_of))

    def _filled(self, piece: str | Field, values: Sequence[Distinct]) -> str | Distinct:
        if isinstance(piece, str):
            return piece
        value, default = values[self._places[piece.position]], piece.default
        if default is None:
            return value
        return value.mapped(lambda texts: pc.if_else(pc.equal(texts, ""), default, texts))

    def _untidy(self, pieces: Sequence[str | Distinct], rows: int) -> Flags:
        """Which texts may change when they are tidied, beyond the blanks around them."""
        untidy = np.zeros(rows, np.bool_)
        for piece in pieces:
            untidy |= (
                needs_tidying(pa.array([piece])) if isinstance(piece, str) else piece.where(needs_tidying)
            )
        return untidy

    def _odd(self, texts: pa.Array, values: Sequence[Distinct], made_of: Sequence[pa.Array] | None) -> Rows:
        """The rows whose joined text may not be what the rule gives; all others are plain and clean."""
        length = np.diff(text_bytes(texts)[1])
        # Half, since blanks around the text count while it is made but are gone from it now.
        odd = (length == 0) | (length > MAX_CHARACTERS // 2)
        for piece in self._pieces:
            if isinstance(piece, Field) and piece.default is None:
                odd |= values[self._places[piece.position]].where(_empty)
        for value in values:
            odd |= value.where(_nothing)
        odd[rows_with_placeholder(texts, made_of)] = True
        return np.flatnonzero(odd)


def _longest(piece: str | Distinct) -> int:
    if isinstance(piece, str):
        return len(piece)
    return pc.max(pc.utf8_length(piece.texts)).as_py() or 0


def _empty(texts: pa.Array) -> Flags:
    empty: Flags = np.diff(text_bytes(texts)[1]) == 0
    return empty


def _nothing(texts: pa.Array) -> Flags:
    found = np.zeros(len(texts), np.bool_)
    found[rows_with_nothing_word(texts)] = True
    return found
