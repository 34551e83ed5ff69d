"""Which character separates the fields of a CSV file: the one that gives rows of equal width."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dispatcher.campaign.sheet.records import Record, RecordParser, is_blank

DELIMITERS = (";", ",", "\t", "|")
_SAMPLE_RECORDS = 200

# Excel's own way to say it; Excel does not show the line, so it is no row
_SEP_LINE = re.compile(r'"?sep=([^"\r\n])"?[;,\t|]*(?:\r\n|\n|\r|$)', re.IGNORECASE)


def sep_line(text: str) -> tuple[str, int] | None:
    """The delimiter of a leading ``sep=;`` line and the line's length, None without one."""
    found = _SEP_LINE.match(text)
    return None if found is None else (found.group(1), found.end())


def detect_delimiter(sample: str, at_end: bool) -> str:
    """The delimiter whose records have the width of the heading row most often; ties go to more columns.

    A single column has no delimiter: then the one that splits the fewest rows is as good as any.
    """
    best, best_score = DELIMITERS[0], (False, 0.0, 0)
    for delimiter in DELIMITERS:
        records, _ = RecordParser(delimiter).parse(sample, at_end, limit=_SAMPLE_RECORDS)
        rows = [record for record in records if not is_blank(record.fields)]
        if rows:
            score = _score(rows, delimiter)
            if score > best_score:
                best, best_score = delimiter, score
    return best


def _score(rows: Sequence[Record], delimiter: str) -> tuple[bool, float, int]:
    """(whether this separates columns, share of rows as wide as the heading row, its width)."""
    width = len(rows[0].fields)
    share = sum(record.readable and _fits(record.fields, width) for record in rows) / len(rows)
    separates = width > 1
    if delimiter == ",":  # also a decimal and a mark in sentences: a comma in the heading alone says nothing
        separates = separates and sum(len(record.fields) > 1 for record in rows) * 2 >= len(rows)
    return separates, share, width


def usual_width(records: Sequence[Record], heading_width: int) -> int:
    """How many fields most rows have (rows may all end in a delimiter that the heading row lacks)."""
    widths = [len(record.fields) for record in records if record.readable and not is_blank(record.fields)]
    return max(set(widths), key=widths.count) if widths else heading_width


def _fits(fields: Sequence[str], width: int) -> bool:
    return len(fields) == width or (len(fields) > width and is_blank(fields[width:]))
