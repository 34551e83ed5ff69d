"""Which characters outside GSM-7 stand in which text, as a table with a line for each character.

There are few such characters and many texts, so a line is a long one, and what is asked of a character is asked of
all texts at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dispatcher.campaign.alphabet import OUTSIDE, kinds_of
from dispatcher.campaign.characters import Flags, Numbers
from dispatcher.campaign.composition import Composition

#: Texts times characters that are looked at together.
_MOST_CELLS = 4_000_000


@dataclass(frozen=True)
class Piece:
    """The texts from ``first`` to before ``last``: which of the characters ``codes`` are ``there``."""

    first: int
    last: int
    codes: Numbers
    there: Flags


@dataclass(frozen=True)
class Outside:
    """The characters outside GSM-7 of some texts; ``codes`` (ascending) has all of them, and perhaps more."""

    codes: Numbers
    characters: Composition

    @classmethod
    def of(cls, characters: Composition) -> Outside:
        """From all unusual characters of the texts."""
        codes = characters.codes
        return cls(codes[kinds_of(codes) == OUTSIDE], characters)

    @property
    def texts(self) -> int:
        """How many texts there are."""
        return self.characters.rows

    def pieces(self) -> Iterator[Piece]:
        """All texts, so many at a time that a table stays small."""
        step = max(1, _MOST_CELLS // max(1, len(self.codes)))
        for first in range(0, self.texts, step):
            last = min(first + step, self.texts)
            yield Piece(first, last, self.codes, self.characters.table(self.codes, first, last))
