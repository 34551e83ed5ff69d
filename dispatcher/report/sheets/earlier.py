"""Sheets that an earlier report of ours left in a workbook."""

from __future__ import annotations

import zipfile

from dispatcher.campaign.sheet.ours import is_mark, may_be_ours
from dispatcher.report.cannot import CannotExtend
from dispatcher.report.package import SheetParts, shared_strings, shared_strings_part
from dispatcher.report.sheets.reach import SheetEntry, WorkbookParts
from dispatcher.report.sheetxml import SheetXml
from dispatcher.report.survey import cell_text, has_formula


def earlier_sheets(package: zipfile.ZipFile, parts: WorkbookParts) -> dict[str, SheetEntry]:
    """By mark, the first sheet of ours of each kind.  One with formulas in it is somebody's work and stays."""
    found: dict[str, SheetEntry] = {}
    names = package.namelist()
    for entry in parts.sheets:
        mark = may_be_ours(entry.name)
        if mark is None or mark in found or entry.part not in names:
            continue
        if _is_ours(package, parts, entry):
            found[mark] = entry
    return found


def _is_ours(package: zipfile.ZipFile, parts: WorkbookParts, entry: SheetEntry) -> bool:
    first: str | None = None
    try:
        with package.open(entry.part) as stream:
            sheet = SheetXml(stream)
            for row in sheet.rows():
                cells = sheet.cells(row.body)
                if any(has_formula(cell) for cell in cells):
                    return False
                if row.number == 1 and cells and cells[0].column == 1:
                    first = cell_text(cells[0])
                    if cells[0].type == "s" and first.isdigit():
                        strings = SheetParts(entry.part, shared_strings_part(package, parts.workbook), ())
                        first = shared_strings(package, strings, {int(first)}).get(int(first))
                if row.number == 1 and not is_mark(entry.name, first):
                    return False
    except CannotExtend:
        return False
    return is_mark(entry.name, first)
