"""A new workbook: the user's values and our columns, for what cannot be extended (``.xls``, ``.ods``,
protected …).

Written as a stream of its own: a workbook of one or two plain sheets needs six small parts.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import quoteattr

from python_calamine import CalamineError, CalamineWorkbook

from dispatcher.errors import FileError
from dispatcher.report.rows import COLUMNS, RowCells, our_column
from dispatcher.report.sheets.model import ExtraSheet
from dispatcher.report.sheets.parts import SheetPackage, sheet_package
from dispatcher.report.xmlcells import LAST_COLUMN, CellWriter, column_letters, text_xml

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - day 0 of a spreadsheet, which knows no zones
_FIRST_SAFE_DAY = date(1900, 3, 1)  # before it, Excel's calendar has a day that never was
_DATE, _MOMENT, _TIME, _DURATION = "1", "2", "3", "4"  # indexes of _STYLES
_FORMATS = (14, 22, 21, 46)
_BAD_IN_SHEET_NAME = str.maketrans("[]:*?/\\", "_______")
_OURS = "dispatcher"

Value = Any  # what calamine gives: str, float, int, bool, date, datetime, time, timedelta


def write_rebuilt(
    source: Path,
    sheet_name: str | None,
    heading_row: int,
    rows: Iterable[RowCells],
    target: BinaryIO,
    *,
    macros: bool,
    sheets: Sequence[ExtraSheet] = (),
) -> None:
    """A new workbook of the sheet's values, row numbers and columns as they were, and ours to their right.

    Where the right has no room left, ours stand on a sheet of their own, in the same rows.  ``macros``: the
    target is called ``.xlsm``, and Excel wants to be told so.  ``sheets`` of ours follow at the end.
    Raises FileError ``report_source_unreadable``.
    """
    with _opened(source, sheet_name) as (name, width, values):
        beside = width + len(COLUMNS) <= LAST_COLUMN
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as package:
            titles = [_sheet_title(name)] if beside else [_sheet_title(name), _OURS]
            extras = _extra_packages(sheets, titles)
            _write_frame(package, titles, extras, macros=macros)
            ours = chain([(heading_row, COLUMNS)], rows)
            nothing: Iterator[RowCells] = iter(())
            _write_sheet(package, 1, _sheet_rows(values, width, heading_row, ours if beside else nothing))
            if not beside:
                _write_sheet(package, 2, _sheet_rows(iter(()), 0, heading_row, ours))
            for extra in extras.values():
                for part_name, write in extra.writers.items():
                    with package.open(part_name, "w") as part:
                        write(part)


def _extra_packages(sheets: Sequence[ExtraSheet], titles: Sequence[str]) -> dict[str, SheetPackage]:
    """By name, the parts of our sheets; a name that the user's sheet has gets a number."""
    used = {title.casefold() for title in titles}
    packages: dict[str, SheetPackage] = {}
    for sheet in sheets:
        name = sheet.name if sheet.name.casefold() not in used else f"{sheet.name} 2"
        worksheet = f"xl/worksheets/{sheet.mark}.xml"
        packages[name] = sheet_package(sheet, name, worksheet, lambda part: part, None)
    return packages


@contextmanager
def _opened(source: Path, sheet_name: str | None) -> Iterator[tuple[str, int, Iterator[list[Value]]]]:
    with source.open("rb") as file:
        try:
            with CalamineWorkbook.from_filelike(file) as workbook:
                name = workbook.sheet_names[0] if sheet_name is None else sheet_name
                sheet = workbook.get_sheet_by_name(name)
                # iter_rows begins at row 1 but at the first used column.
                left = [""] * (sheet.start[1] if sheet.start else 0)
                yield name, len(left) + sheet.width, (left + row for row in sheet.iter_rows())
        except (CalamineError, IndexError) as error:
            raise FileError("report_source_unreadable", file=source.name, found=str(error)) from error


def _sheet_title(name: str) -> str:
    title = name.translate(_BAD_IN_SHEET_NAME).strip("'")[:31] or "Sheet1"
    return f"{title[:30]}_" if title.casefold() in (_OURS, "history") else title


def _sheet_rows(
    values: Iterator[list[Value]], width: int, heading_row: int, ours: Iterator[RowCells]
) -> Iterator[str]:
    """The sheet's ``<row>`` elements.  Columns of an earlier report hold ours again; the user's stay put."""
    writer = CellWriter()
    letters = [column_letters(n) for n in range(1, width + len(COLUMNS) + 1)]
    places = list(range(width, width + len(COLUMNS)))
    replaced: frozenset[int] = frozenset()
    pending = next(ours, None)
    for number, row in enumerate(values, 1):
        if number == heading_row:
            places, replaced = _places(row, width)
        cells = {n: value for n, value in enumerate(row) if value != "" and n not in replaced}
        if pending is not None and pending[0] == number:
            cells.update(zip(places, pending[1], strict=True))
            pending = next(ours, None)
        yield _row(writer, letters, number, cells)
    while pending is not None:
        yield _row(writer, letters, pending[0], dict(zip(places, pending[1], strict=True)))
        pending = next(ours, None)


def _places(headings: list[Value], width: int) -> tuple[list[int], frozenset[int]]:
    """Where each of COLUMNS goes, and which columns hold an earlier report."""
    earlier = {
        n: name for n, text in enumerate(headings) if isinstance(text, str) and (name := our_column(text))
    }
    first = {name: n for n, name in reversed(earlier.items())}
    free = iter(range(width, width + len(COLUMNS)))
    return [first[name] if name in first else next(free) for name in COLUMNS], frozenset(earlier)


def _row(writer: CellWriter, letters: list[str], number: int, cells: dict[int, Value]) -> str:
    inside = "".join([_value_cell(writer, letters[n], number, cells[n]) for n in sorted(cells)])
    return f'<row r="{number}">{inside}</row>' if inside else ""


def _value_cell(writer: CellWriter, column: str, row: int, value: Value) -> str:
    if isinstance(value, bool):
        return f'<c r="{column}{row}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return writer.cell(column, row, int(value))
    if value is None or isinstance(value, str | int | float | Decimal):
        return writer.cell(column, row, value)
    if isinstance(value, timedelta):
        return writer.cell(column, row, value / timedelta(days=1), _DURATION)
    if isinstance(value, time):
        return writer.cell(column, row, _days(datetime.combine(_EPOCH, value)), _TIME)
    if isinstance(value, datetime):
        return _dated(writer, column, row, value, _MOMENT)
    if isinstance(value, date):
        return _dated(writer, column, row, datetime.combine(value, time()), _DATE)
    return writer.cell(column, row, str(value))


def _dated(writer: CellWriter, column: str, row: int, moment: datetime, style: str) -> str:
    if moment.date() < _FIRST_SAFE_DAY:
        return writer.cell(column, row, moment.isoformat(sep=" "))
    return writer.cell(column, row, _days(moment), style)


def _days(moment: datetime) -> float:
    return (moment.replace(tzinfo=None) - _EPOCH) / timedelta(days=1)


def _write_sheet(package: zipfile.ZipFile, number: int, rows: Iterator[str]) -> None:
    with package.open(f"xl/worksheets/sheet{number}.xml", "w", force_zip64=False) as part:
        part.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
        block: list[str] = []
        for row in rows:
            block.append(row)
            if len(block) >= 512:
                part.write("".join(block).encode())
                block.clear()
        part.write(("".join(block) + "</sheetData></worksheet>").encode())


def _write_frame(
    package: zipfile.ZipFile, titles: list[str], extras: Mapping[str, SheetPackage], *, macros: bool
) -> None:
    names = [*titles, *extras]
    numbers = range(1, len(names) + 1)
    worksheets = [f"xl/worksheets/sheet{n}.xml" for n in range(1, len(titles) + 1)]
    worksheets += [extra.worksheet for extra in extras.values()]
    types = dict.fromkeys(worksheets, f"{_TYPE}.worksheet+xml")
    for extra in extras.values():
        types.update(extra.types)
    main = "application/vnd.ms-excel.sheet.macroEnabled.main+xml" if macros else f"{_TYPE}.sheet.main+xml"
    sheet_types = "".join(
        f'<Override PartName="/{part}" ContentType="{kind}"/>' for part, kind in types.items()
    )
    sheets = "".join(
        f'<sheet name={quoteattr(text_xml(title))} sheetId="{n}" r:id="rId{n}"/>'
        for n, title in zip(numbers, names, strict=True)
    )
    links = "".join(
        _relation(f"rId{n}", "worksheet", f"/{part}") for n, part in zip(numbers, worksheets, strict=True)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{main}"/>{sheet_types}'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f"{_relation('rId1', 'officeDocument', 'xl/workbook.xml')}</Relationships>",
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        f"<sheets>{sheets}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{links}'
        f"{_relation('rIdS', 'styles', 'styles.xml')}</Relationships>",
        "xl/styles.xml": _styles(),
    }
    for name, text in parts.items():
        package.writestr(name, _HEAD + text)


def _relation(name: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"/>'


def _styles() -> str:
    plain = '<xf numFmtId="0" fontId="0" fillId="0" borderId="0"'
    formats = "".join(
        f'<xf numFmtId="{n}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        for n in _FORMATS
    )
    fill = '<fill><patternFill patternType="{}"/></fill>'
    return (
        f'<styleSheet xmlns="{_MAIN}">'
        '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
        f'<fills count="2">{fill.format("none")}{fill.format("gray125")}</fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        f'<cellStyleXfs count="1">{plain}/></cellStyleXfs>'
        f'<cellXfs count="{1 + len(_FORMATS)}">{plain} xfId="0"/>{formats}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )
