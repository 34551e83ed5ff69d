"""A few cells of a large workbook read by the general reader: a small workbook of them, all else as in the large one.

So the fast reader needs no rules of its own for dates and their formats, numbers with decimals, rich text, references
and escapes: these cells are what the general reader says they are.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetMetadata

from dispatcher.campaign.sheet.xlsx.bytes import NotPlain, require

STRINGS = "xl/sharedStrings.xml"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LARGEST_PART = 4 << 20  # styles and relations are far smaller
Read = TypeVar("Read")


class Sample:
    """Makes and reads small workbooks with the settings of the large one (``archive``)."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._kept = {
            info.filename: archive.read(info)
            for info in archive.infolist()
            if _is_setting(info.filename) and info.file_size <= _LARGEST_PART
        }

    def worksheets(self) -> list[SheetMetadata]:
        """What the general reader says of the worksheets."""
        return _read(self._package({}), lambda book: book.sheets_metadata)

    def cells(self, sheet: str, part: str, inside: Sequence[str]) -> list[object]:
        """The values of cells, given what follows their reference: ``s="1"><v>45000</v></c>``."""
        rows = (
            f'<row r="{row}"><c r="A{row}"><v>1</v></c><c r="B{row}"{cell}</row>'
            for row, cell in enumerate(inside, 1)
        )
        return self._second_column(sheet, {part: _worksheet(rows)}, len(inside))

    def strings(self, sheet: str, part: str, items: Sequence[str]) -> list[str]:
        """The texts of ``<si>`` elements."""
        rows = (
            f'<row r="{row}"><c r="A{row}"><v>1</v></c><c r="B{row}" t="s"><v>{row - 1}</v></c></row>'
            for row in range(1, len(items) + 1)
        )
        table = f'<sst xmlns="{_MAIN}">{"".join(items)}</sst>'
        values = self._second_column(sheet, {part: _worksheet(rows), STRINGS: table}, len(items))
        texts = [value for value in values if isinstance(value, str)]
        require(len(texts) == len(items))
        return texts

    def _second_column(self, sheet: str, parts: dict[str, str], count: int) -> list[object]:
        rows = _read(self._package(parts), lambda book: book.get_sheet_by_name(sheet).to_python())
        # the first column proves that each row is where it was put
        require(len(rows) == count and all(row[0] == 1 for row in rows))
        return [row[1] if len(row) == 2 else "" for row in rows]

    def _package(self, parts: dict[str, str]) -> io.BytesIO:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as package:
            for name, content in (self._kept | parts).items():
                package.writestr(name, content)
        file.seek(0)
        return file


def _is_setting(name: str) -> bool:
    lower = name.lower()
    return lower.endswith((".xml", ".rels")) and not lower.startswith(
        (STRINGS.lower(), "xl/worksheets/", "xl/drawings/", "xl/charts/", "xl/tables/", "docprops/")
    )


def _worksheet(rows: Iterable[str]) -> str:
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(rows)}</sheetData></worksheet>'


def _read(package: io.BytesIO, action: Callable[[CalamineWorkbook], Read]) -> Read:
    try:
        with CalamineWorkbook.from_filelike(package) as book:
            return action(book)
    except (CalamineError, PasswordError, OSError, ValueError, OverflowError) as error:
        raise NotPlain from error
    except BaseException as error:  # a panic of the reader, see workbook.py
        if type(error).__name__ == "PanicException":
            raise NotPlain from error
        raise
