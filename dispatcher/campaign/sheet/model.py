"""What reading a spreadsheet gives: the sheet and its chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dispatcher.campaign.reasons import Reason
from dispatcher.errors import FileError

if TYPE_CHECKING:
    import pandas as pd


class SheetKind(StrEnum):
    """What the file is, by its content."""

    CSV = "csv"
    XLSX = "xlsx"
    XLSM = "xlsm"
    XLS = "xls"
    ODS = "ods"


class Hidden(IntEnum):
    """How a row is hidden; the values of :attr:`SheetChunk.hidden`."""

    VISIBLE = 0
    BY_HAND = 1
    BY_FILTER = 2


@dataclass(frozen=True)
class ReportCells:
    """What an earlier report of ours says of each row of a chunk, as text; "" is an empty cell, or no such column."""

    status: npt.NDArray[Any]
    message_id: npt.NDArray[Any]
    recipient: npt.NDArray[Any]


@dataclass(frozen=True)
class SheetChunk:
    """Consecutive non-blank rows.

    rows      int64, the row numbers a spreadsheet program shows
    table     one Arrow string column per heading, no nulls: "" is an empty cell
    hidden    int8, see :class:`Hidden`
    problems  row number -> why its cells could not be attributed; such a row is in ``rows``, its cells are ""
    valueless (row number, heading) of every formula that has no stored value
    report    None unless the sheet has the columns of an earlier report
    dated     heading -> which cells were dates in the workbook (bool), of headings that have any
    """

    rows: npt.NDArray[np.int64]
    table: pa.RecordBatch
    hidden: npt.NDArray[np.int8]
    problems: Mapping[int, Reason]
    valueless: frozenset[tuple[int, str]]
    report: ReportCells | None = None
    dated: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The table as pandas has it, still Arrow's strings; whoever does not ask does not wait for pandas."""
        import pandas as pd

        frame: pd.DataFrame = self.table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame


class ChunkSource(Protocol):
    """Reads the rows below the heading, from the beginning each time it is asked."""

    def chunks(self) -> Iterator[SheetChunk]: ...


@dataclass(frozen=True)
class Sheet:
    """An opened spreadsheet: its headings are known, its rows are read by :meth:`chunks`.

    ``headings`` are trimmed and in the file's order, without the ``sms_*`` columns of our own report and
    without blank columns.  ``name`` and ``other_sheets`` (visible worksheets not read) are for workbooks,
    ``delimiter`` and ``encoding`` for CSV.
    """

    path: Path
    kind: SheetKind
    name: str | None
    headings: tuple[str, ...]
    heading_row: int
    delimiter: str | None
    encoding: str | None
    other_sheets: tuple[str, ...]
    source: ChunkSource = field(repr=False, compare=False)

    def chunks(self) -> Iterator[SheetChunk]:
        """The rows below the heading, blank ones left out; may be called again.

        Raises FileError ``sheet_no_rows`` where there are none, and for what only shows further down (a column with
        data but no heading, bytes that are no text, a file that changed since it was opened).
        """
        empty = True
        for chunk in self.source.chunks():
            empty = False
            yield chunk
        if empty:
            raise FileError("sheet_no_rows", file=str(self.path), sheet=self.name, row=self.heading_row)
