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
from dispatcher.campaign.template.leftovers import BLANKS

#: A template of many long fields is joined row by row, where its length is watched.
_MAX_JOINED = 50_000
_WIDE = pa.large_string()  # a chunk of long cells has more bytes than 32-bit offsets can count


@dataclass(frozen=True)
class Joined:
    """``texts`` of a chunk; those of the rows ``odd`` may not be what the rule gives.

    ``made_of``: pieces that each text has all the characters of, where that is certain, and no others.
    """

    texts: pa.Array
    odd: Rows
    made_of: Sequence[Distinct] | None = None


class Joining:
    """``pieces`` are the template's words and fields in order; ``places`` says which value a field's position is."""

    def __init__(self, pieces: Sequence[str | Field], places: Mapping[int, int]) -> None:
        self._pieces = pieces
        self._places = places
        self._words = "".join(piece for piece in pieces if isinstance(piece, str))
        self._untidy_words = bool(needs_tidying(pa.array([self._words])).any())

    def join(self, values: Sequence[Distinct], rows: int) -> Joined | None:
        """The texts of ``rows`` rows; None when cells are so long that each row has to be watched.

        ``values``: the clean cells of the columns that the template uses.
        """
        pieces = [piece if isinstance(piece, str) else self._filled(piece, values) for piece in self._pieces]
        written = [pa.array([piece]) if isinstance(piece, str) else piece.texts for piece in pieces]
        if sum(map(_longest, written)) > _MAX_JOINED:
            return None
        fields = [piece for piece in pieces if isinstance(piece, Distinct)]
        untidy = np.full(rows, self._untidy_words)
        for cells in fields:
            untidy |= cells.where(needs_tidying)
        texts = self._joined(pieces, rows)
        if untidy.any() or not self._keeps_its_ends(written):
            texts = tidy_column(texts, untidy)
            return Joined(texts, self._odd(texts, values, None))
        words = Distinct(pa.array([self._words]), np.zeros(rows, np.intp))
        return Joined(texts, self._odd(texts, values, written), [words, *fields])

    def _joined(self, pieces: Sequence[str | Distinct], rows: int) -> pa.Array:
        if not any(isinstance(piece, Distinct) for piece in pieces):
            return pa.repeat(pa.scalar(self._words, _WIDE), rows)
        columns = (pa.scalar(p, _WIDE) if isinstance(p, str) else p.column.cast(_WIDE) for p in pieces)
        return pc.binary_join_element_wise(*columns, pa.scalar("", _WIDE))

    def _filled(self, field: Field, values: Sequence[Distinct]) -> Distinct:
        value, default = values[self._places[field.position]], field.default
        if default is None:
            return value
        return value.mapped(lambda texts: pc.if_else(pc.equal(texts, ""), default, texts))

    def _keeps_its_ends(self, written: Sequence[pa.Array]) -> bool:
        """Whether there are no blanks around any text, but perhaps where a cell without a default is blank."""
        for place, trim in ((0, pc.utf8_ltrim), (-1, pc.utf8_rtrim))[: 2 * len(written)]:
            piece, texts = self._pieces[place], written[place]
            if isinstance(piece, Field) and piece.default is None:
                continue
            if _empty(texts).any() or not trim(texts, BLANKS).equals(texts):
                return False
        return True

    def _odd(self, texts: pa.Array, values: Sequence[Distinct], written: Sequence[pa.Array] | None) -> Rows:
        """The rows whose joined text may not be what the rule gives; all others are plain and clean."""
        length = np.diff(text_bytes(texts)[1])
        # Half, since blanks around the text count while it is made but are gone from it now.
        odd = (length == 0) | (length > MAX_CHARACTERS // 2)
        for piece in self._pieces:
            if isinstance(piece, Field) and piece.default is None:
                odd |= values[self._places[piece.position]].where(_empty)
        for value in values:
            odd |= value.where(_nothing)
        odd[rows_with_placeholder(texts, written)] = True
        return np.flatnonzero(odd)


def _longest(texts: pa.Array) -> int:
    return pc.max(pc.utf8_length(texts)).as_py() or 0


def _empty(texts: pa.Array) -> Flags:
    empty: Flags = np.diff(text_bytes(texts)[1]) == 0
    return empty


def _nothing(texts: pa.Array) -> Flags:
    found = np.zeros(len(texts), np.bool_)
    found[rows_with_nothing_word(texts)] = True
    return found
