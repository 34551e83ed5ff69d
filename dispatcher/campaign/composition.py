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

from dispatcher.campaign.characters import Flags, Numbers, Unusual, unusual_characters
from dispatcher.campaign.distinct import Distinct

Rows = npt.NDArray[np.intp]
Entry = TypeVar("Entry", bound=np.generic)


@dataclass(frozen=True)
class _Part:
    """Row ``i`` has the ``unusual`` characters of text ``places[i]``; where there are no places, of text ``i``."""

    unusual: Unusual
    places: Rows | None

    def of_rows(self, of_texts: npt.NDArray[Entry]) -> npt.NDArray[Entry]:
        return of_texts if self.places is None else of_texts[self.places]

    def at(self, rows: Rows) -> _Part:
        if self.places is None:
            return _Part(self.unusual.at(rows), None)
        return _Part(self.unusual, self.places[rows])

    def table(self, codes: Numbers, first: int, last: int) -> Flags:
        if self.places is None:
            return self.unusual.of_texts(first, last).table(codes)
        unusual, places = self.unusual, self.places[first:last]
        # a table of all the texts may be larger than what is asked for
        if len(unusual.lengths) > len(places):
            used, places = np.unique(places, return_inverse=True)
            unusual = unusual.at(used)
        return unusual.table(codes).take(places, axis=1)


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
        return cls(rows, [_Part(piece.unusual, piece.places) for piece in pieces])

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
        place = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[place] == codes, np.array(self.numbers, np.int64)[place], 0)
