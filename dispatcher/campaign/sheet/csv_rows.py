"""Records become rows of a table: fields that fit their headings, and a reason for those that do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.sheet.chunks import Batch, text_column
from dispatcher.campaign.sheet.formulas import GUARDED_PATTERN, unguard_formula
from dispatcher.campaign.sheet.headings import Headings
from dispatcher.campaign.sheet.records import Record, is_blank


def fit(record: Record, headings: Headings) -> tuple[list[str], Reason | None]:
    """The cells of one record, one per column of the heading row, or all blank and the reason.

    Surplus fields that are blank (a trailing delimiter) are nothing; missing ones are, unless no kept
    heading is missing.  Which field belongs to which heading is never guessed.
    """
    fields, width = record.fields, headings.width
    if is_blank(fields):
        return [""] * width, None
    if not record.readable:
        return [""] * width, Reason.ROW_UNREADABLE
    if len(fields) > width and not is_blank(fields[width:]):
        return [""] * width, Reason.ROW_TOO_LONG
    if len(fields) < headings.needed:
        return [""] * width, Reason.ROW_TOO_SHORT
    return [*fields[:width], *[""] * (width - len(fields))], None


def batch_of_records(records: Sequence[Record], numbers: Sequence[int], headings: Headings) -> Batch:
    """The batch of records read one by one."""
    problems: dict[int, Reason] = {}
    rows: list[list[str]] = []
    for number, record in zip(numbers, records, strict=True):
        cells, reason = fit(record, headings)
        rows.append(cells)
        if reason is not None:
            problems[number] = reason
    columns = {position: text_column([row[position] for row in rows]) for position in range(headings.width)}
    return Batch(np.array(numbers, np.int64), columns, problems=problems)


def merged(first: Batch, second: Batch) -> Batch:
    """The rows of both batches in the order of their numbers."""
    numbers = np.concatenate([first.numbers, second.numbers])
    order = np.argsort(numbers, kind="stable")
    columns = {
        position: pa.concat_arrays([column, second.columns[position]]).take(pa.array(order))
        for position, column in first.columns.items()
    }
    return Batch(numbers[order], columns, problems={**first.problems, **second.problems})


def without_guards(column: pa.Array) -> pa.Array:
    """The column with the report's apostrophes before formulas taken off again."""
    if not pc.any(pc.starts_with(column, "'")).as_py():
        return column
    guarded = pc.match_substring_regex(column, GUARDED_PATTERN)
    if not pc.any(guarded).as_py():
        return column
    plain = text_column([unguard_formula(text) for text in column.filter(guarded).to_pylist()])
    return pc.replace_with_mask(column, guarded, plain)
