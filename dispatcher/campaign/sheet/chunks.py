"""Columns of text become a chunk: blank rows out, stray data refused, row numbers kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.characters import flags
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.sheet.headings import Headings, column_letter
from dispatcher.campaign.sheet.model import ReportCells, SheetChunk
from dispatcher.errors import FileError

STATUS, MESSAGE_ID, RECIPIENT = "sms_status", "sms_message_id", "sms_recipient"

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """Rows as read, blank ones included.

    numbers   int64 row numbers, ascending
    columns   position -> text column of the same length, no nulls
    hidden    int8 per row, None when the format has no hidden rows
    problems  row number -> reason; the cells of these rows are ""
    valueless (row number, position) of formulas without a stored value
    dated     position -> which cells were dates, of columns that have any
    """

    numbers: Numbers
    columns: Mapping[int, pa.Array]
    hidden: npt.NDArray[np.int8] | None = None
    problems: Mapping[int, Reason] = field(default_factory=dict)
    valueless: frozenset[tuple[int, int]] = frozenset()
    dated: Mapping[int, Mask] = field(default_factory=dict)


@dataclass(frozen=True)
class ChunkBuilder:
    """Turns batches into chunks of at most ``chunk_rows`` rows for the kept headings."""

    headings: Headings
    chunk_rows: int
    file: str
    sheet: str | None

    def build(self, batch: Batch) -> Iterator[SheetChunk]:
        """The non-blank rows of ``batch``.

        Raises FileError ``sheet_column_without_heading`` when a cell of an unnamed column is not blank.
        """
        self._refuse_data_without_heading(batch)
        columns = [batch.columns[position] for position in self.headings.kept]
        keep = np.flatnonzero(~self._blank(batch, columns))
        hidden = np.zeros(len(batch.numbers), np.int8) if batch.hidden is None else batch.hidden
        for start in range(0, len(keep), self.chunk_rows):
            picked = keep[start : start + self.chunk_rows]
            numbers = batch.numbers[picked]
            first, last = int(numbers[0]), int(numbers[-1])
            yield SheetChunk(
                rows=numbers,
                table=self._table(columns, picked, len(batch.numbers)),
                hidden=hidden[picked],
                problems={row: why for row, why in batch.problems.items() if first <= row <= last},
                valueless=self._valueless(batch, first, last),
                report=self._report(batch, picked),
                dated=self._dated(batch, picked),
            )

    def _table(self, columns: Sequence[pa.Array], picked: npt.NDArray[np.intp], total: int) -> pa.RecordBatch:
        if len(picked) != total:
            columns = [column.take(pa.array(picked)) for column in columns]
        return pa.RecordBatch.from_arrays(list(columns), names=list(self.headings.names))

    def _report(self, batch: Batch, picked: npt.NDArray[np.intp]) -> ReportCells | None:
        ours = self.headings.ours
        if not {STATUS, MESSAGE_ID} <= ours.keys():
            return None

        def cells(name: str) -> npt.NDArray[Any]:
            if name not in ours:
                return np.full(len(picked), "", dtype=object)
            taken = batch.columns[ours[name]].take(pa.array(picked))
            return np.asarray(taken.to_numpy(zero_copy_only=False), dtype=object)

        return ReportCells(cells(STATUS), cells(MESSAGE_ID), cells(RECIPIENT))

    def _valueless(self, batch: Batch, first: int, last: int) -> frozenset[tuple[int, str]]:
        names = dict(zip(self.headings.kept, self.headings.names, strict=True))
        return frozenset(
            (row, names[position])
            for row, position in batch.valueless
            if position in names and first <= row <= last
        )

    def _dated(self, batch: Batch, picked: npt.NDArray[np.intp]) -> dict[str, Mask]:
        names = dict(zip(self.headings.kept, self.headings.names, strict=True))
        return {names[place]: mask[picked] for place, mask in batch.dated.items() if place in names}

    def _blank(self, batch: Batch, columns: Sequence[pa.Array]) -> Mask:
        blank = np.ones(len(batch.numbers), np.bool_)
        for column in columns:
            blank &= blank_cells(column)
            if not blank.any():
                return blank
        named = set(self.headings.kept)
        told = set(batch.problems) | {row for row, position in batch.valueless if position in named}
        if told:
            blank &= ~np.isin(batch.numbers, np.fromiter(told, np.int64, len(told)))
        return blank

    def _refuse_data_without_heading(self, batch: Batch) -> None:
        kept, named = set(self.headings.kept), set(range(self.headings.width)) - set(self.headings.unnamed)
        for position, column in batch.columns.items():
            if position in kept or position in named:
                continue
            filled = np.flatnonzero(~blank_cells(column))
            if len(filled):
                raise FileError(
                    "sheet_column_without_heading",
                    file=self.file,
                    sheet=self.sheet,
                    row=int(batch.numbers[filled[0]]),
                    column=column_letter(position),
                )


def blank_cells(column: pa.Array) -> Mask:
    """Which cells hold nothing but white space."""
    return flags(pc.equal(pc.utf8_trim_whitespace(column), ""))


def text_column(values: Sequence[str]) -> pa.Array:
    """A text column, 64-bit offsets only where the text needs them."""
    column = pa.array(values, pa.string())
    # pa.array splits into chunks when 32-bit offsets overflow; one array keeps everything downstream simple
    return column if isinstance(column, pa.Array) else pa.array(values, pa.large_string())
