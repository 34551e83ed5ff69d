"""From a path to an opened sheet: what the file is, how it is read, its headings, and at least one row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from dispatcher.campaign.locale import Locale
from dispatcher.campaign.sheet.chunks import ChunkBuilder
from dispatcher.campaign.sheet.csv_source import CsvLayout, CsvSource, csv_text
from dispatcher.campaign.sheet.delimiter import detect_delimiter, sep_line, usual_width
from dispatcher.campaign.sheet.encoding import text_encoding
from dispatcher.campaign.sheet.filetype import Stamp, file_kind
from dispatcher.campaign.sheet.headings import Headings, read_headings
from dispatcher.campaign.sheet.model import ChunkSource, Sheet, SheetKind
from dispatcher.campaign.sheet.records import Record, RecordParser, is_blank
from dispatcher.errors import FileError

if TYPE_CHECKING:
    from dispatcher.campaign.sheet.workbook import Worksheet

_SAMPLE_CHARACTERS = 256 << 10
_SAMPLE_RECORDS = 1000
_CONTENT = re.compile(r"[^\s\0;,|\"]")


def open_sheet(
    path: Path,
    *,
    sheet: str | None = None,
    encoding: str | None = None,
    locale: Locale = Locale.IT,
    chunk_rows: int = 65_536,
) -> Sheet:
    """Open a CSV file or a worksheet (xlsx, xlsm, xls, ods); what it is is decided by its content.

    ``sheet`` names a worksheet (default: the first visible one), ``encoding`` a CSV's encoding (default:
    found out; a byte order mark always wins), ``locale`` how numbers and dates of a workbook become text,
    ``chunk_rows`` the most rows of a chunk.

    Raises FileError with a code ``sheet_...`` and the facts when the file cannot become a campaign.
    """
    if chunk_rows < 1:
        raise ValueError("chunk_rows must be positive")
    kind = file_kind(path)
    stamp = Stamp.of(path)
    if kind is SheetKind.CSV:
        return _open_csv(path, stamp, sheet, encoding, chunk_rows)
    return _open_workbook(path, stamp, kind, sheet, locale, chunk_rows)


def _open_csv(path: Path, stamp: Stamp, sheet: str | None, encoding: str | None, chunk_rows: int) -> Sheet:
    if sheet is not None:
        raise FileError("sheet_csv_has_no_sheets", file=str(path), found=sheet)
    name = text_encoding(path, encoding)
    layout, headings = _csv_layout(path, name)
    builder = ChunkBuilder(headings, chunk_rows, str(path), None)
    source = CsvSource(path, layout, headings, builder, stamp)
    return _sheet(path, SheetKind.CSV, None, headings, layout.heading_row, source, layout=layout)


def _csv_layout(path: Path, encoding: str) -> tuple[CsvLayout, Headings]:
    sample, at_end = _sample(path, encoding)
    if _CONTENT.search(sample) is None:
        raise FileError("sheet_blank", file=str(path))
    announced = sep_line(sample)
    delimiter, skipped = announced if announced is not None else (detect_delimiter(sample, at_end), 0)
    records, _ = RecordParser(delimiter).parse(sample[skipped:], at_end)
    heading_row = next(
        (number for number, record in enumerate(records, 1) if not is_blank(record.fields)), None
    )
    if heading_row is None and not at_end:
        raise FileError("sheet_line_too_long", file=str(path), row=len(records) + 1)
    if heading_row is None:
        raise FileError("sheet_blank", file=str(path))
    heading = records[heading_row - 1]
    if not heading.readable and not _only_nul(heading):
        raise FileError("sheet_heading_unreadable", file=str(path), row=heading_row)
    headings = read_headings(heading.fields, file=str(path), sheet=None, row=heading_row)
    width = usual_width(records[heading_row : heading_row + _SAMPLE_RECORDS], headings.width)
    if width < headings.needed:
        width = headings.width
    return CsvLayout(encoding, delimiter, skipped, heading_row, width), headings


def _sample(path: Path, encoding: str) -> tuple[str, bool]:
    """The beginning of the text, long enough to hold the heading row; True when it is all there is."""
    sample = ""
    for text, last in csv_text(path, encoding):
        sample += text
        content = _CONTENT.search(sample)
        if content is not None or last:
            wanted = _SAMPLE_CHARACTERS + (0 if content is None else content.start())
            return sample[:wanted], last and len(sample) <= wanted
    return sample, True


def _only_nul(record: Record) -> bool:
    return any("\0" in field for field in record.fields) and not any('"' in field for field in record.fields)


def _open_workbook(
    path: Path, stamp: Stamp, kind: SheetKind, sheet: str | None, locale: Locale, chunk_rows: int
) -> Sheet:
    # a CSV file needs none of the readers of workbooks
    from dispatcher.campaign.sheet.workbook import WorkbookSource, open_worksheet

    worksheet = open_worksheet(path, kind, sheet, locale)
    headings, heading_row = _workbook_headings(path, worksheet)
    builder = ChunkBuilder(headings, chunk_rows, str(path), worksheet.name)
    source = WorkbookSource(path, worksheet.rows, heading_row, builder, stamp)
    return _sheet(path, kind, worksheet, headings, heading_row, source)


def _workbook_headings(path: Path, worksheet: Worksheet) -> tuple[Headings, int]:
    for number, cells in worksheet.rows.heads():
        if not is_blank(cells):
            return read_headings(cells, file=str(path), sheet=worksheet.name, row=number), number
    raise FileError("sheet_blank", file=str(path), sheet=worksheet.name)


def _sheet(
    path: Path,
    kind: SheetKind,
    worksheet: Worksheet | None,
    headings: Headings,
    heading_row: int,
    source: ChunkSource,
    layout: CsvLayout | None = None,
) -> Sheet:
    return Sheet(
        path=path,
        kind=kind,
        name=worksheet.name if worksheet else None,
        headings=headings.names,
        heading_row=heading_row,
        delimiter=layout.delimiter if layout else None,
        encoding=layout.encoding if layout else None,
        other_sheets=worksheet.others if worksheet else (),
        source=source,
    )
