"""A column of cells with each different cell once: towns, names and dates repeat, and a rule need see each once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dispatcher.campaign.characters import (
    Flags,
    Numbers,
    Unusual,
    composed,
    may_not_be_composed,
    unusual_characters,
)

Rows = npt.NDArray[np.intp]


class Distinct:
    """Row ``i`` is ``texts[places[i]]``; ``texts`` is Arrow text without nulls."""

    def __init__(self, texts: pa.Array, places: Rows) -> None:
        self.texts = texts
        self.places = places

    @classmethod
    def of(cls, cells: pa.Array) -> Distinct:
        """From a column without nulls."""
        encoded = cells.dictionary_encode()
        distinct = cls(encoded.dictionary, encoded.indices.to_numpy().astype(np.intp))
        distinct.column = cells
        return distinct

    @cached_property
    def column(self) -> pa.Array:
        """One text a row."""
        # a long text that nearly every row has is more bytes than 32-bit offsets can count
        return self.texts.cast(pa.large_string()).take(pa.array(self.places))

    @cached_property
    def unusual(self) -> Unusual:
        """The unusual characters of ``texts``, with signs."""
        return unusual_characters(self.texts, signs=True)

    def at(self, rows: Rows | slice) -> Distinct:
        """Some of the rows, by their positions; of the texts not many more than they have."""
        places = self.places[rows]
        if len(self.texts) <= len(places):
            some = Distinct(self.texts, places)
            some.unusual = self.unusual
            return some
        used = np.flatnonzero(np.bincount(places, minlength=len(self.texts)))
        place_of = np.zeros(len(self.texts), np.intp)
        place_of[used] = np.arange(len(used))
        some = Distinct(self.texts.take(pa.array(used)), place_of[places])
        some.unusual = self.unusual.at(used)
        return some

    def table(self, codes: Numbers) -> Flags:
        """Which of ``codes`` (ascending; one a line) stand in which row."""
        return self.unusual.table(codes).take(self.places, axis=1)

    def replaced(self, rows: Rows, text: str) -> Distinct:
        """With another text in some rows."""
        places = self.places.copy()
        places[rows] = len(self.texts)
        return Distinct(pa.concat_arrays([self.texts, pa.array([text], self.texts.type)]), places)

    def mapped(self, rule: Callable[[pa.Array], pa.Array]) -> Distinct:
        """What ``rule`` makes of the texts; some of them may then be the same."""
        texts = rule(self.texts)
        if texts.equals(self.texts):
            return self
        return Distinct(texts, self.places)

    def where(self, rule: Callable[[pa.Array], Flags]) -> Flags:
        """Which rows have a text of which ``rule`` is true; its answer has one entry a text."""
        flags = rule(self.texts)
        return flags[self.places] if flags.any() else np.zeros(len(self.places), np.bool_)

    def composed(self) -> Distinct:
        """The texts in their composed form (NFC)."""
        return self.mapped(composed) if may_not_be_composed(self.unusual).any() else self
