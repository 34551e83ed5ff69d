"""The rows of a CSV file: Arrow reads what is beyond doubt, the careful parser the rest.

The file comes in blocks.  A block whose quotes all stand where quotes belong goes through Arrow; one with a
stray quote, a NUL or a swallowed row is read record by record.  Both give the same rows, which a property
test holds them to.  The number of a row is the number of its record, as a spreadsheet program shows it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.sheet.chunks import Batch, ChunkBuilder, blank_cells, text_column
from dispatcher.campaign.sheet.csv_rows import batch_of_records, merged, without_guards
from dispatcher.campaign.sheet.encoding import require_text, text_blocks, utf8_blocks
from dispatcher.campaign.sheet.fast_csv import FastBlock, clean_cut, numbers_without, read_block
from dispatcher.campaign.sheet.filetype import Stamp
from dispatcher.campaign.sheet.headings import Headings
from dispatcher.campaign.sheet.model import SheetChunk
from dispatcher.campaign.sheet.records import LONGEST_FIELD, RecordParser
from dispatcher.errors import FileError

_LONGEST_RECORD = 16 << 20


@dataclass(frozen=True)
class CsvLayout:
    """How the bytes of a CSV file are to be read.

    skipped  characters of a leading ``sep=`` line
    width    fields most rows have (all may end in a delimiter that the heading row lacks)
    """

    encoding: str
    delimiter: str
    skipped: int
    heading_row: int
    width: int


@dataclass(frozen=True)
class CsvSource:
    """Chunks of a CSV file.  Without ``fast`` the careful parser reads everything: the same rows, slower."""

    path: Path
    layout: CsvLayout
    headings: Headings
    builder: ChunkBuilder
    stamp: Stamp
    fast: bool = True

    def chunks(self) -> Iterator[SheetChunk]:
        """See :meth:`Sheet.chunks`."""
        self.stamp.check(self.path)
        for batch in self._batches():
            yield from self.builder.build(self._below_heading(batch))
        self.stamp.check(self.path)

    def _batches(self) -> Iterator[Batch]:
        """All records of the file, heading row and blank ones included."""
        parser = RecordParser(self.layout.delimiter, self.headings.width)
        number, rest = 0, b""
        for data, at_end in self._bytes():
            rest += data
            while rest:
                batch, records, consumed = self._read(parser, rest, at_end, number)
                if not consumed:
                    break
                yield batch
                number, rest = number + records, rest[consumed:]
            if len(rest) > _LONGEST_RECORD:
                raise FileError("sheet_line_too_long", file=str(self.path), row=number + 1)

    def _bytes(self) -> Iterator[tuple[bytes, bool]]:
        """The file as UTF-8 in pieces, from behind what is skipped; True marks the last piece."""
        blocks = utf8_blocks(self.path, self.layout.encoding)
        previous = next(blocks, b"")
        if self.layout.skipped:
            skipped = previous.decode(errors="replace")[: self.layout.skipped]
            previous = previous[len(skipped.encode()) :]
        for data in blocks:
            yield previous, False
            previous = data
        yield previous, True

    def _read(self, parser: RecordParser, data: bytes, at_end: bool, before: int) -> tuple[Batch, int, int]:
        """(rows, records, bytes) read from the beginning of ``data``, after ``before`` records."""
        if self.fast:
            cut = clean_cut(data, self.layout.delimiter, at_end)
            block = read_block(data[:cut], self.layout.delimiter, self.layout.width) if cut else None
            if block is not None and not self._doubtful(parser, block, b'"' in data):
                return self._of_block(parser, block, before), block.records, cut
        text = self._decoded(data, at_end)
        records, consumed = parser.parse(text, at_end)
        numbers = range(before + 1, before + len(records) + 1)
        batch = batch_of_records(records, numbers, self.headings)
        return batch, len(records), len(text[:consumed].encode())

    def _decoded(self, data: bytes, at_end: bool) -> str:
        try:
            return codecs.utf_8_decode(data, "strict", at_end)[0]
        except UnicodeDecodeError as error:
            require_text(self.path, self.layout.encoding)  # tells the line
            raise FileError("sheet_changed", file=str(self.path)) from error

    def _doubtful(self, parser: RecordParser, block: FastBlock, quoted: bool) -> bool:
        """Whether only the careful parser can say what these rows are."""
        if not all(blank_cells(column).all() for column in block.columns[self.headings.width :]):
            return True  # more fields than headings
        if not quoted:
            return False
        for column in block.columns:
            if (pc.max(pc.binary_length(column)).as_py() or 0) > LONGEST_FIELD:
                return True
            with_lines = pc.match_substring_regex(column, "[\r\n]")
            if pc.any(with_lines).as_py() and any(
                map(parser.swallows_rows, column.filter(with_lines).to_pylist())
            ):
                return True
        return False

    def _of_block(self, parser: RecordParser, block: FastBlock, before: int) -> Batch:
        numbers = numbers_without(block.odd, block.records) + before
        columns = dict(enumerate(block.columns[: self.headings.width]))
        for position in range(len(columns), self.headings.width):  # columns that nearly every row leaves away
            columns[position] = text_column([""] * len(numbers))
        batch = Batch(numbers, columns)
        if not block.odd:
            return batch
        records = [parser.parse(text, at_end=True, limit=1)[0][0] for text in block.odd.values()]
        return merged(
            batch, batch_of_records(records, [before + number for number in block.odd], self.headings)
        )

    def _below_heading(self, batch: Batch) -> Batch:
        start = int(np.searchsorted(batch.numbers, self.layout.heading_row, side="right"))
        columns: dict[int, pa.Array] = {
            position: without_guards(column.slice(start)) for position, column in batch.columns.items()
        }
        problems = {row: why for row, why in batch.problems.items() if row > self.layout.heading_row}
        return Batch(batch.numbers[start:], columns, problems=problems)


def csv_text(path: Path, encoding: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces; True marks the last piece."""
    blocks = text_blocks(path, encoding)
    previous = next(blocks, "")
    for text in blocks:
        yield previous, False
        previous = text
    yield previous, True
