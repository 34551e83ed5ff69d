"""What a sheet of ours is in a package: its worksheet, and the drawing and charts on it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO

from dispatcher.report.sheets.charts import HEAD, OFFICE, chart_xml, drawing_xml
from dispatcher.report.sheets.model import LAST_ROW, ExtraSheet, Line
from dispatcher.report.xmlcells import CellWriter, column_letters

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_DRAWING = "application/vnd.openxmlformats-officedocument.drawing+xml"
_CHART = "application/vnd.openxmlformats-officedocument.drawingml.chart+xml"
_BLOCK = 512

Write = Callable[[IO[bytes]], None]


@dataclass(frozen=True)
class SheetPackage:
    """The parts of one sheet: ``writers`` by part name, ``types`` the content type of each that needs one."""

    worksheet: str
    writers: Mapping[str, Write]
    types: Mapping[str, str]


def sheet_package(
    sheet: ExtraSheet, name: str, worksheet: str, free: Callable[[str], str], heading_style: str | None
) -> SheetPackage:
    """``sheet`` as the parts of the sheet called ``name`` whose worksheet part is ``worksheet``.

    ``free`` gives a part name that nobody has, made from the one it is given.
    """
    has_charts = bool(sheet.charts)
    writers: dict[str, Write] = {worksheet: _worksheet(sheet, heading_style)}
    types = {worksheet: f"{_SPREADSHEET}.worksheet+xml"}
    if has_charts:
        drawing = free(f"xl/drawings/{sheet.mark}.xml")
        charts = [free(f"xl/charts/{sheet.mark}_{n}.xml") for n in range(1, len(sheet.charts) + 1)]
        writers[relations_of(worksheet)] = plain(_relations([("drawing", drawing)]))
        writers[drawing] = plain(drawing_xml(sheet.charts))
        writers[relations_of(drawing)] = plain(_relations([("chart", chart) for chart in charts]))
        types[drawing] = _DRAWING
        for part, chart in zip(charts, sheet.charts, strict=True):
            writers[part] = plain(chart_xml(chart, name))
            types[part] = _CHART
    return SheetPackage(worksheet, writers, types)


def relations_of(part: str) -> str:
    """The part that holds the relations of ``part``."""
    folder, base = posixpath.split(part)
    return posixpath.join(folder, "_rels", f"{base}.rels")


def _relations(targets: Iterable[tuple[str, str]]) -> bytes:
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{OFFICE}/{kind}" Target="/{part}"/>'
        for n, (kind, part) in enumerate(targets, 1)
    )
    return f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>'.encode()


def plain(content: bytes) -> Write:
    """Writes a part whose content is known."""

    def write(part: IO[bytes]) -> None:
        part.write(content)

    return write


def _worksheet(sheet: ExtraSheet, heading_style: str | None) -> Write:
    def write(part: IO[bytes]) -> None:
        widths = "".join(
            f'<col min="{n}" max="{n}" width="{width}" customWidth="1"/>'
            for n, width in enumerate(sheet.widths, 1)
        )
        columns = f"<cols>{widths}</cols>" if widths else ""
        fit = '<sheetPr><pageSetUpPr fitToPage="1"/></sheetPr>'
        part.write(f'{HEAD}<worksheet xmlns="{MAIN}" xmlns:r="{OFFICE}">{fit}{columns}<sheetData>'.encode())
        _write_rows(part, sheet.lines(), heading_style)
        drawing = '<drawing r:id="rId1"/>' if sheet.charts else ""
        page = '<pageSetup orientation="landscape" fitToWidth="1" fitToHeight="0"/>'
        part.write(f"</sheetData>{page}{drawing}</worksheet>".encode())

    return write


def _write_rows(part: IO[bytes], lines: Iterable[Line], heading_style: str | None) -> None:
    writer, block = CellWriter(), list[str]()
    letters = [column_letters(n) for n in range(1, 40)]
    for number, line in enumerate(lines, 1):
        if number > LAST_ROW:
            break
        style = heading_style if line.heading else None
        cells = "".join(
            [
                writer.cell(letters[n], number, value, style if value is not None else None)
                for n, value in enumerate(line.cells)
            ]
        )
        if cells:
            block.append(f'<row r="{number}">{cells}</row>')
        if len(block) >= _BLOCK:
            part.write("".join(block).encode())
            block.clear()
    part.write("".join(block).encode())
