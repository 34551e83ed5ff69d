"""Which characters outside GSM-7 stand in which text, as a table with a line for each character.

There are few such characters and many texts, so a line is a long one, and what is asked of a character is asked of
all texts at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dispatcher.campaign.alphabet import OUTSIDE, kinds_of
from dispatcher.campaign.characters import Flags, Numbers, Unusual, unusual_characters
from dispatcher.campaign.distinct import Distinct

#: Texts times characters that are looked at together.
_MOST_CELLS = 4_000_000


@dataclass(frozen=True)
class Piece:
    """The texts from ``first`` to before ``last``: which of the characters ``codes`` are ``there``."""

    first: int
    last: int
    codes: Numbers
    there: Flags

    def among(self, cells: Distinct) -> Flags:
        """The same table for cells of these texts."""
        return _table(unusual_characters(cells.texts, signs=True), self.codes)[:, cells.places]


@dataclass(frozen=True)
class Outside:
    """The characters outside GSM-7 of some texts: ``codes`` are all that there are, in ascending order."""

    codes: Numbers
    unusual: Unusual

    @classmethod
    def of(cls, unusual: Unusual) -> Outside:
        """``unusual``: all characters of the texts that are not plain, with signs."""
        return cls(np.unique(unusual.codes[kinds_of(unusual.codes) == OUTSIDE]), unusual)

    @property
    def texts(self) -> int:
        """How many texts there are."""
        return len(self.unusual.lengths)

    def pieces(self) -> Iterator[Piece]:
        """All texts, so many at a time that a table stays small."""
        step = max(1, _MOST_CELLS // max(1, len(self.codes)))
        for first in range(0, self.texts, step):
            last = min(first + step, self.texts)
            yield Piece(first, last, self.codes, _table(self.unusual.of_texts(first, last), self.codes))


def _table(unusual: Unusual, codes: Numbers) -> Flags:
    there = np.zeros((len(codes), len(unusual.lengths)), np.bool_)
    if len(codes):
        place = np.minimum(np.searchsorted(codes, unusual.codes), len(codes) - 1)
        known = codes[place] == unusual.codes
        there[place[known], unusual.rows[known]] = True
    return there
