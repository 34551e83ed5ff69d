"""Many rows of a worksheet at once, where they are written as the programs that make workbooks write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dispatcher.campaign.sheet.xlsx.bytes import NotPlain, Tags, require
from dispatcher.campaign.sheet.xlsx.rows import read_rows

_SPANS = re.compile(rb'(<row r="([0-9]+)"[^<>]*?)\sspans="[^"]*"')
_ROW_END = re.compile(rb"</row>")
_NO_CONTENT = 2  # tags of a cell that holds nothing: its own, and perhaps one that closes it

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PlainRows:
    """Whole rows as bytes, nothing before the first and nothing after the last.

    numbers  of the rows, ascending           ends    where each row's ``</row>`` begins
    last     column of each row's last cell (from 1; 0: no cells)
    filled   the last column that holds anything
    """

    data: bytes
    numbers: Numbers
    ends: Numbers
    last: Numbers
    filled: int

    @classmethod
    def of(cls, data: bytes) -> PlainRows:
        """Raises NotPlain for rows that have to be looked at one by one."""
        tags = Tags(data)
        rows = read_rows(tags)
        require(len(rows.closing) == len(rows.number))
        before = tags.any_of(rows.closing - 1, (b"</c>", b"<c r=", b"<row r="))
        require(before.all())  # nothing else is behind the cells
        cells = np.bincount(rows.row, minlength=len(rows.number))
        last = np.where(cells > 0, np.append(rows.column, -1)[np.cumsum(cells) - 1] + 1, 0)
        filled = rows.column[rows.tags > _NO_CONTENT]
        return cls(data, rows.number, tags.at[rows.closing], last, int(filled.max(initial=-1)) + 1)

    def has(self, numbers: Sequence[int]) -> bool:
        """Whether all rows with these numbers, ascending, are here."""
        if len(numbers) > len(self.numbers):
            return False
        places = np.searchsorted(self.numbers[:-1], numbers)
        return bool((self.numbers[places] == numbers).all())

    def without_spans(self, numbers: Sequence[int]) -> PlainRows:
        """The same rows, those with these numbers without the hint at how wide they are."""
        if b"spans" not in self.data:
            return self
        if len(numbers) == len(self.numbers):
            data = _SPANS.sub(rb"\1", self.data)
        else:
            chosen = set(numbers)
            data = _SPANS.sub(lambda row: row[1] if int(row[2]) in chosen else row[0], self.data)
        return replace(self, data=data, ends=np.array([found.start() for found in _ROW_END.finditer(data)]))

    def with_cells(self, numbers: Sequence[int], cells: Sequence[bytes]) -> bytes:
        """The bytes with more cells at the end of the rows with these numbers, ascending."""
        pieces: list[bytes] = []
        position = 0
        for end, cell in zip(self.ends[np.searchsorted(self.numbers, numbers)].tolist(), cells, strict=True):
            pieces += (self.data[position:end], cell)
            position = end
        pieces.append(self.data[position:])
        return b"".join(pieces)


__all__ = ["NotPlain", "PlainRows"]
