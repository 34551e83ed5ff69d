"""A column of cells with each different cell once: towns, names and dates repeat, and a rule need see each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class Distinct:
    """Row ``i`` of ``column`` is ``texts[places[i]]``; Arrow text without nulls."""

    column: pa.Array
    texts: pa.Array
    places: npt.NDArray[np.integer[Any]]

    @classmethod
    def of(cls, cells: pa.Array) -> Distinct:
        """From a column without nulls."""
        encoded = cells.dictionary_encode()
        return cls(cells, encoded.dictionary, encoded.indices.to_numpy())

    def mapped(self, rule: Callable[[pa.Array], pa.Array]) -> Distinct:
        """What ``rule`` makes of the texts; some of them may then be the same."""
        texts = rule(self.texts)
        if texts.equals(self.texts):
            return self
        return Distinct(texts.take(pa.array(self.places)), texts, self.places)

    def where(self, rule: Callable[[pa.Array], npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
        """Which rows have a text of which ``rule`` is true; its answer has one entry a text."""
        flags: npt.NDArray[np.bool_] = rule(self.texts)[self.places]
        return flags
