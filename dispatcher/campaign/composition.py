"""The unusual characters of a column of texts, found once in each different piece that the texts are joined of.

A message is the words of its template and a few cells, and names, towns and days repeat.  What is asked of the
characters of all texts is a sum over their pieces, so it is asked of each different piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dispatcher.campaign.characters import Flags, Numbers, Unusual, looked_up, unusual_characters
from dispatcher.campaign.distinct import Distinct

Rows = npt.NDArray[np.intp]
Entry = TypeVar("Entry", bound=np.generic)


@dataclass(frozen=True)
class _Part:
    """The ``unusual`` characters of ``pieces``; without pieces row ``i`` has those of text ``i``."""

    unusual: Unusual
    pieces: Distinct | None

    @classmethod
    def of(cls, pieces: Distinct) -> _Part:
        return cls(pieces.unusual, pieces)

    def of_rows(self, of_texts: npt.NDArray[Entry]) -> npt.NDArray[Entry]:
        return of_texts if self.pieces is None else of_texts[self.pieces.places]

    def at(self, rows: Rows) -> _Part:
        return _Part(self.unusual.at(rows), None) if self.pieces is None else _Part.of(self.pieces.at(rows))

    def table(self, codes: Numbers, first: int, last: int) -> Flags:
        if self.pieces is None:
            return self.unusual.of_texts(first, last).table(codes)
        return self.pieces.at(slice(first, last)).table(codes)


@dataclass(frozen=True)
class Composition:
    """Of ``rows`` texts; a text has the characters of all its ``parts`` together."""

    rows: int
    parts: Sequence[_Part]

    @classmethod
    def of(cls, texts: pa.Array) -> Composition:
        """Of texts (no nulls) of which no more is known."""
        return cls(len(texts), [_Part(unusual_characters(texts, signs=True), None)])

    @classmethod
    def joined(cls, rows: int, pieces: Sequence[Distinct]) -> Composition:
        """Of texts that are made of these pieces, in whatever order."""
        return cls(rows, list(map(_Part.of, pieces)))

    @property
    def lengths(self) -> Numbers:
        """How many characters each text has."""
        lengths = np.zeros(self.rows, np.int64)
        for part in self.parts:
            lengths += part.of_rows(part.unusual.lengths)
        return lengths

    @property
    def codes(self) -> Numbers:
        """All different unusual characters that the texts may have, in ascending order."""
        return np.unique(
            np.concatenate([np.zeros(0, np.int64), *(part.unusual.codes for part in self.parts)])
        )

    def sums(self, weigh: Callable[[Numbers], Numbers | Flags]) -> Numbers:
        """For each text the sum of what its unusual characters weigh."""
        sums = np.zeros(self.rows, np.int64)
        for part in self.parts:
            weights = weigh(part.unusual.codes)
            if weights.any():
                sums += part.of_rows(part.unusual.sums(weights))
        return sums

    def having(self, test: Callable[[Numbers], Flags]) -> Flags:
        """Which texts have an unusual character that passes."""
        found = np.zeros(self.rows, np.bool_)
        for part in self.parts:
            passing = test(part.unusual.codes)
            if passing.any():
                found |= part.of_rows(part.unusual.rows_with(passing))
        return found

    def at(self, rows: Rows) -> Composition:
        """Of some of the texts, by their positions in ascending order."""
        return Composition(len(rows), [part.at(rows) for part in self.parts])

    def table(self, codes: Numbers, first: int, last: int) -> Flags:
        """Which of ``codes`` (ascending; one a line) stand in which of the texts from ``first`` to before ``last``."""
        there = np.zeros((len(codes), last - first), np.bool_)
        for part in self.parts:
            there |= part.table(codes, first, last)
        return there


@dataclass(frozen=True)
class ByCode:
    """A number for some characters, by their ``codes`` in ascending order; every other one has 0."""

    codes: Numbers
    numbers: Sequence[int]

    def __call__(self, codes: Numbers) -> Numbers:
        """The numbers of any characters."""
        if not any(self.numbers):
            return np.zeros(len(codes), np.int64)
        place, known = looked_up(codes, self.codes)
        return np.where(known, np.array(self.numbers, np.int64)[place], 0)
