"""A column of few different values (statuses, reasons, countries, prices), kept as small numbers.

Of a million rows such a column is a few megabytes of numbers and a handful of objects.  What is asked of a value is
asked once for each different one, and the work on the rows is numpy's, which lets other threads run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]

# Where there are so few possible pairs, to count them is faster than to sort the rows.
_COUNTED = 100_000


@dataclass(frozen=True, eq=False)
class Coded:
    """Row ``i`` has the value ``names[codes[i]]``; the names differ, and None may be one of them."""

    codes: Codes
    names: tuple[Any, ...]

    @classmethod
    def of(cls, values: Collection[Any]) -> Coded:
        """From one value a row."""
        places: dict[Any, int] = {}
        codes = (places.setdefault(value, len(places)) for value in values)
        return cls(np.fromiter(codes, np.intp, len(values)), tuple(places))

    @classmethod
    def same(cls, value: Any, rows: int) -> Coded:
        """The same value in every row."""
        return cls(np.zeros(rows, np.intp), (value,))

    @classmethod
    def renamed(cls, codes: npt.NDArray[np.integer[Any]], names: Iterable[Any]) -> Coded:
        """From names of which several may be the same."""
        places: dict[Any, int] = {}
        place_of = [places.setdefault(name, len(places)) for name in names]
        return cls(np.array(place_of, np.intp)[codes], tuple(places))

    @classmethod
    def joined(cls, columns: Sequence[Coded]) -> Coded:
        """The rows of all the columns, one after the other."""
        starts = np.cumsum([0, *(len(column.names) for column in columns)])
        codes = [column.codes + start for column, start in zip(columns, starts.tolist(), strict=False)]
        names = (name for column in columns for name in column.names)
        return cls.renamed(np.concatenate([np.zeros(0, np.intp), *codes]), names)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> Any:
        return self.names[self.codes[row]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def tolist(self) -> list[Any]:
        """One value a row."""
        return list(self.objects().tolist())

    def objects(self) -> npt.NDArray[Any]:
        """The same as an array."""
        names = np.empty(len(self.names), dtype=object)
        names[:] = self.names
        values: npt.NDArray[Any] = names[self.codes]
        return values

    def at(self, rows: npt.NDArray[Any]) -> Coded:
        """Some of the rows, by their positions or by a mask."""
        return Coded(self.codes[rows], self.names)

    def replaced(self, rows: npt.NDArray[Any], by: Coded) -> Coded:
        """The column with other values in some rows (positions or a mask)."""
        both = self.codes.copy()
        both[rows] = by.codes + len(self.names)
        return Coded.renamed(both, (*self.names, *by.names))

    def mapped(self, function: Callable[[Any], Any]) -> Coded:
        """What ``function`` makes of each value; it is asked once for each name."""
        return Coded.renamed(self.codes, map(function, self.names))

    def where(self, test: Callable[[Any], bool]) -> Flags:
        """Which rows have a value that passes; ``test`` is asked once for each name."""
        return np.array([test(name) for name in self.names], np.bool_)[self.codes]

    def equals(self, value: Any) -> Flags:
        """Which rows have this value."""
        return self.where(lambda name: name == value)

    def paired(self, other: Coded) -> Coded:
        """The values of both columns as pairs; only those that are there are names."""
        width = len(other.names)
        pairs = self.codes * width + other.codes
        if len(self.names) * width <= _COUNTED:
            used = np.flatnonzero(np.bincount(pairs))
            place = np.zeros(len(self.names) * width, np.intp)
            place[used] = np.arange(len(used))
            codes = place[pairs]
        else:
            used, codes = np.unique(pairs, return_inverse=True)
        places = (divmod(pair, width) for pair in used.tolist())
        return Coded(codes, tuple((self.names[one], other.names[two]) for one, two in places))

    def known(self) -> Flags:
        """Which rows have a value at all."""
        return self.where(lambda name: name is not None)

    def tally(self, rows: Flags | None = None) -> dict[Any, int]:
        """How often each value is there, None left out; only in ``rows`` if they are given."""
        codes = self.codes if rows is None else self.codes[rows]
        counts = np.bincount(codes, minlength=len(self.names)).tolist()
        return {name: n for name, n in zip(self.names, counts, strict=True) if n and name is not None}
