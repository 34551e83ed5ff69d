"""Which parts of a package belong to which sheet: its relations, followed from the root."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from dispatcher.report.cannot import CannotAddSheets, CannotExtend
from dispatcher.report.package import read_root, relations
from dispatcher.report.sheets.parts import relations_of


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """A sheet as the workbook names it, in the workbook's order."""

    name: str
    sheet_id: int
    part: str


@dataclass(frozen=True, slots=True)
class WorkbookParts:
    """The workbook's part, that of its relations, and its sheets."""

    workbook: str
    relations: str
    sheets: Sequence[SheetEntry]

    @classmethod
    def of(cls, package: zipfile.ZipFile) -> Self:
        """Raises CannotAddSheets for a package that is put together in an unusual way."""
        try:
            workbook = next(
                target for kind, target in relations(package, "").values() if kind == "officeDocument"
            )
            targets = relations(package, workbook)
            elements = [e for e in read_root(package, workbook).iter() if e.tag.rpartition("}")[2] == "sheet"]
            sheets = [
                SheetEntry(
                    str(element.attrib["name"]),
                    int(element.attrib["sheetId"]),
                    targets[next(v for k, v in element.items() if k.startswith("{") and k.endswith("}id"))][
                        1
                    ],
                )
                for element in elements
            ]
        except (CannotExtend, StopIteration, KeyError, ValueError) as error:
            raise CannotAddSheets("workbook_unusual") from error
        found = relations_of(workbook)
        if not sheets or found not in package.namelist():
            raise CannotAddSheets("workbook_unusual")
        return cls(workbook, found, sheets)


def only_reached_by(package: zipfile.ZipFile, sheets: Iterable[str]) -> set[str]:
    """The parts, with those of their relations, that nothing but ``sheets`` refers to; not the sheets themselves.

    Raises CannotAddSheets when the relations cannot be read.
    """
    starts = set(sheets)
    if not starts:
        return set()
    names = set(package.namelist())
    kept = _reached(package, [""], names, without=starts)
    own = _reached(package, starts, names, without=set())
    gone = own - kept - starts
    return gone | {relations_of(part) for part in gone | starts} & names


def _reached(
    package: zipfile.ZipFile, starts: Iterable[str], names: set[str], *, without: set[str]
) -> set[str]:
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        part = waiting.pop()
        try:
            targets = {target for _, target in relations(package, part).values()}
        except CannotExtend as error:
            raise CannotAddSheets("workbook_unusual") from error
        fresh = (targets & names) - found - without
        found |= fresh
        waiting += fresh
    return found
