"""A worksheet's typed cells, as the general readers give them, as text columns."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dispatcher.campaign.locale import Locale, render
from dispatcher.campaign.sheet.chunks import Batch, text_column
from dispatcher.campaign.sheet.marks import Marks

Rows = Callable[[], Iterator[list[object]]]
Merged = Iterable[tuple[tuple[int, int], tuple[int, int]]]
_FEW_ROWS = 64  # the heading is among the first


@dataclass(frozen=True)
class TypedSheet:
    """The rows of a worksheet.

    rows    its typed rows from row 1 on, all of one width; may be asked for again
    left    position of the first of their cells (0 is column A)
    marks   what the cells do not tell
    """

    left: int
    rows: Rows
    marks: Marks
    locale: Locale

    def heads(self) -> Iterator[tuple[int, list[str]]]:
        """See :class:`~dispatcher.campaign.sheet.workbook.WorksheetRows`."""
        for first, block in self._blocks(_FEW_ROWS):
            for number, row in enumerate(block, first):
                yield number, [""] * self.left + [render(value, self.locale) for value in row]

    def batches(self, size: int, below: int) -> Iterator[Batch]:
        """See :class:`~dispatcher.campaign.sheet.workbook.WorksheetRows`."""
        for first, block in self._blocks(size, below=below):
            yield self._batch(first, block)

    def _blocks(self, size: int, *, below: int = 0) -> Iterator[tuple[int, list[list[object]]]]:
        """(number of the first row, rows), error texts in place, also of rows with nothing but valueless formulas."""
        rows, overrides = self.rows(), self.marks.overrides
        above = list(itertools.islice(rows, below))
        number, width = len(above), len(above[-1]) if above else 0
        while block := list(itertools.islice(rows, size)):
            first, number, width = number + 1, number + len(block), len(block[-1])
            for marked in overrides.keys() & set(range(first, number + 1)) if overrides else ():
                self._replace(block[marked - first], overrides[marked])
            yield first, block
        for first in range(number + 1, self.marks.last_marked + 1, size):
            last = min(first + size - 1, self.marks.last_marked)
            yield first, [[""] * width for _ in range(first, last + 1)]

    def _replace(self, row: list[object], texts: dict[int, str]) -> None:
        for column, text in texts.items():
            if self.left <= column < self.left + len(row):
                row[column - self.left] = text

    def _batch(self, first: int, block: Sequence[list[object]]) -> Batch:
        numbers = np.arange(first, first + len(block), dtype=np.int64)
        cells = dict(enumerate(zip(*block, strict=True), self.left))
        kinds = {position: set(map(type, values)) for position, values in cells.items()}
        columns = {
            position: text_column(values if kinds[position] == {str} else _rendered(values, self.locale))
            for position, values in cells.items()
        }
        dated = {position: _dates(cells[position]) for position in cells if _has_dates(kinds[position])}
        marks = self.marks
        hidden = np.zeros(len(block), np.int8)
        if marks.hidden:
            hidden[:] = [marks.hidden.get(number, 0) for number in numbers.tolist()]
        valueless = (
            frozenset(
                (number, column) for number in numbers.tolist() for column in marks.valueless.get(number, ())
            )
            if marks.valueless
            else frozenset()
        )
        return Batch(numbers, columns, hidden, valueless=valueless, dated=dated)


def without_covered(rows: Rows, merged: Merged, left: int) -> Rows:
    """The rows with everything under a merged cell blank: only the anchor is seen."""
    areas = sorted(area for area in merged if area[0] != area[1])
    if not areas:
        return rows

    def uncovered() -> Iterator[list[object]]:
        coming = iter(areas)
        following = next(coming, None)
        current: list[tuple[tuple[int, int], tuple[int, int]]] = []
        for number, row in enumerate(rows()):
            while following is not None and following[0][0] <= number:
                current.append(following)
                following = next(coming, None)
            if current:
                current = [area for area in current if area[1][0] >= number]
            for (top, first), (_, last) in current:
                start = max(first + (number == top) - left, 0)
                end = min(last - left + 1, len(row))
                row[start:end] = [""] * max(end - start, 0)
            yield row

    return uncovered


def _has_dates(kinds: Iterable[type]) -> bool:
    return any(issubclass(kind, dt.date) for kind in kinds)


def _dates(values: Sequence[object]) -> npt.NDArray[np.bool_]:
    return np.array([isinstance(value, dt.date) for value in values], np.bool_)


def _rendered(values: Sequence[object], locale: Locale) -> list[str]:
    return [value if type(value) is str else render(value, locale) for value in values]
