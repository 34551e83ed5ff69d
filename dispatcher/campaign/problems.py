"""What was wrong with a row: for the screen and for scripts, the row, the column and what stands there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dispatcher.campaign.reasons import PlanStatus, Reason
from dispatcher.campaign.segments import MAX_PARTS, Encoding, measure
from dispatcher.campaign.template.leftovers import nothing_word, placeholder

if TYPE_CHECKING:
    from dispatcher.campaign.plan import PlanChunk

LONGEST_FOUND = 80
_AROUND = 15
_SENDER = frozenset(
    {Reason.SENDER_LENGTH, Reason.SENDER_CHARACTERS, Reason.SENDER_NUMERIC, Reason.SENDER_REQUIRED}
)
_ONE_PART = {Encoding.GSM7: (160, 153), Encoding.UCS2: (70, 67)}


@dataclass(frozen=True)
class Problem:
    """One row that is not sent although somebody probably wanted it to be.

    ``found`` is what stands in ``column``, cut short; for a text that is too long its length and the limit.
    """

    row: int
    column: str | None
    reason: Reason
    found: str


def problems(chunk: PlanChunk, cells: pa.RecordBatch, most: int) -> Iterator[Problem]:
    """The first ``most`` invalid rows of a chunk; ``cells`` are its rows as they stand in the file."""
    headings = set(cells.schema.names)
    for i in np.flatnonzero(chunk.status.equals(PlanStatus.INVALID))[:most].tolist():
        column: str | None = chunk.detail[i]
        cell = cells[column][i].as_py() if column in headings else ""
        found = _found(chunk.reason[i], cell, chunk.sender[i], chunk.text[i].as_py())
        yield Problem(int(chunk.rows[i]), column, chunk.reason[i], found)


def _found(reason: Reason, cell: str, sender: str | None, text: str | None) -> str:
    if reason in _SENDER:
        return _cut(sender or cell)
    if reason is Reason.TEXT_LEFTOVER:
        return _around(cell, placeholder(cell) or nothing_word(cell) or "")
    if reason in (Reason.TEXT_TOO_LONG, Reason.TEXT_MULTIPART) and text is not None:
        return _length(text, 1 if reason is Reason.TEXT_MULTIPART else MAX_PARTS)
    return _cut(cell)


def _length(text: str, parts: int) -> str:
    """``UCS-2 71/70``: one over the edge."""
    measured = measure(text)
    alone, joined = _ONE_PART[measured.encoding]
    return f"{measured.encoding} {measured.units}/{alone if parts == 1 else parts * joined}"


def _around(text: str, leftover: str) -> str:
    start = max(0, text.find(leftover) - _AROUND)
    end = start + LONGEST_FOUND - 2
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_FOUND else text[: LONGEST_FOUND - 1] + "…"
