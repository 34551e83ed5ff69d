"""A sheet of ours: lines of cells, and charts over some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from dispatcher.report.rows import CellValue

LAST_ROW = 1_048_576


@dataclass(frozen=True, slots=True)
class Line:
    """One row of cells; a heading looks like the user's own headings."""

    cells: Sequence[CellValue] = ()
    heading: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers of a chart: the cells of ``column`` below its heading, their values, and a colour (RRGGBB)."""

    name: str
    column: int
    values: Sequence[int | Decimal | None]
    colour: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over rows ``first`` to ``first + len(categories) - 1`` of its own sheet.

    ``category_column`` holds the categories, ``heading`` is the row with the names of the series.  ``at`` is its
    upper left corner (column and row, from 0), ``size`` its width in columns and height in rows.
    """

    title: str
    stacked: bool
    heading: int
    first: int
    category_column: int
    categories: Sequence[str]
    series: Sequence[Series]
    number_format: str
    at: tuple[int, int]
    size: tuple[int, int]


@dataclass(frozen=True)
class ExtraSheet:
    """``mark`` is what its first cell holds, ``name`` what it is called where that name is free.

    ``lines`` gives its rows from the first on and may be asked again; ``widths`` are in characters.
    """

    mark: str
    name: str
    widths: Sequence[int]
    lines: Callable[[], Iterator[Line]]
    charts: Sequence[Chart] = ()
