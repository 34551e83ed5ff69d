"""The numbers of a column as integers: what is compared a million times is text only where somebody reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Recipients:
    """E.164 numbers, a row each: the digits after the plus as an integer (they begin with none), 0 for no number.

    As a sequence it holds str or None, made when they are asked for.
    """

    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str | None]) -> Recipients:
        """From numbers as text, ``+`` and digits."""
        return cls(np.array([0 if text is None else int(text) for text in texts], np.int64))

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, row: int) -> str | None:
        number = int(self.numbers[row])
        return f"+{number}" if number else None

    def __iter__(self) -> Iterator[str | None]:
        yield from self.tolist()  # only when the first one is taken

    def tolist(self) -> list[str | None]:
        """One str or None a row."""
        return list(self.objects().tolist())

    def objects(self) -> NDArray[np.object_]:
        """The same as an array."""
        return np.asarray(self.texts().to_numpy(zero_copy_only=False), dtype=object)

    def texts(self) -> pa.StringArray:
        """As Arrow text, null where there is no number."""
        digits = pa.array(self.numbers, mask=self.numbers == 0).cast(pa.string())
        return pc.binary_join_element_wise(pa.scalar("+"), digits, pa.scalar(""))

    def at(self, rows: NDArray[Any]) -> Recipients:
        """Some of the rows, by their positions or by a mask."""
        return Recipients(self.numbers[rows])

    def known(self) -> NDArray[np.bool_]:
        """Which rows have a number."""
        known: NDArray[np.bool_] = self.numbers != 0
        return known
