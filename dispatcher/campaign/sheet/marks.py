"""What the cell readers do not tell about a worksheet: hidden rows, formulas without a value, error cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

# A dense grid of more cells than this (a million rows of 32 columns) is a stray cell far out, or an attack.
MOST_CELLS = 33_000_000


@dataclass
class Marks:
    """Row numbers as the person sees them, columns from 0.

    hidden     row -> 1 (by hand) or 2 (by a filter)
    valueless  row -> columns whose formula has no stored value
    overrides  row -> column -> text that replaces the reader's cell (``#N/A``; "" under a merged cell)
    rows       whether any row was seen;  last_row, last_column: how far out cells with content are
    """

    hidden: dict[int, int] = field(default_factory=dict)
    valueless: dict[int, list[int]] = field(default_factory=dict)
    overrides: dict[int, dict[int, str]] = field(default_factory=dict)
    rows: bool = False
    last_row: int = 0
    last_column: int = 0

    @property
    def cells(self) -> int:
        """Cells of the grid a reader has to lay out."""
        return self.last_row * (self.last_column + 1)

    def override(self, row: int, column: int, text: str) -> None:
        self.overrides.setdefault(row, {})[column] = text

    @property
    def last_marked(self) -> int:
        """The last row that has to be reported even if the reader saw no cell in it."""
        return max(max(self.valueless, default=0), max(self.overrides, default=0))

    def filter_rows(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Rows hidden within the (first, last) rows of a filter are hidden by it."""
        for first, last in ranges:
            for row in self.hidden:
                if first <= row <= last:
                    self.hidden[row] = 2
