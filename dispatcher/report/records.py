"""The records of a CSV file, split and numbered exactly as the reader does, the unreadable ones too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dispatcher.campaign.sheet.delimiter import sep_line
from dispatcher.campaign.sheet.encoding import text_blocks
from dispatcher.campaign.sheet.records import RecordParser


def read_records(path: Path, delimiter: str, encoding: str, heading_row: int) -> Iterator[list[str]]:
    """The fields of each record; a blank line is a record without fields, a leading ``sep=`` line is none.

    The fields of an unreadable line are what a plain split gives.
    """
    parser = RecordParser(delimiter)
    number, rest = 0, ""
    for text, at_end in _blocks(path, encoding):
        rest += text
        while rest:
            before_rows = (
                max(heading_row - number, 0) or None
            )  # the heading's width helps to read what is below it
            records, consumed = parser.parse(rest, at_end, before_rows)
            if not consumed:
                break
            yield from (record.fields if record.fields != [""] else [] for record in records)
            number, rest = number + len(records), rest[consumed:]
            if number == heading_row:
                parser = RecordParser(delimiter, len(records[-1].fields))


def _blocks(path: Path, encoding: str) -> Iterator[tuple[str, bool]]:
    """Pieces of the text without the ``sep=`` line, the last one marked."""
    previous: str | None = None
    for text in text_blocks(path, encoding):
        if previous is None:
            separator = sep_line(text)
            text = text[separator[1] :] if separator else text
        else:
            yield previous, False
        previous = text
    yield previous or "", True
