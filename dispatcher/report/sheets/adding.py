"""Sheets of ours into a workbook's package: what is written anew, what is added, and what an earlier one leaves.

Three small parts name the sheets of a workbook: the workbook, its relations and the content types.  They get our
entries and keep every other byte; what they then say is read back and compared before anything is written.  An
earlier sheet of ours is filled again where it is, under its name, so that nothing which refers to a sheet by its
place changes its meaning.
"""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import quoteattr

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from dispatcher.report.cannot import CannotAddSheets
from dispatcher.report.sheets.charts import OFFICE
from dispatcher.report.sheets.earlier import earlier_sheets
from dispatcher.report.sheets.model import ExtraSheet
from dispatcher.report.sheets.parts import SheetPackage, Write, plain, sheet_package
from dispatcher.report.sheets.reach import SheetEntry, WorkbookParts, only_reached_by

_TYPES = "[Content_Types].xml"
_LONGEST_NAME = 31
_NOT_UTF8 = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"'](?!utf-?8[\"']|us-ascii[\"'])", re.IGNORECASE)


@dataclass
class Changes:
    """What a package becomes: ``written`` parts, new or instead of the old ones, and ``dropped`` ones."""

    written: dict[str, Write] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()


def changes_for(
    package: zipfile.ZipFile, sheets: Sequence[ExtraSheet], users_sheet: str, heading_style: str | None
) -> Changes:
    """How ``sheets`` get into the package; ``users_sheet`` is the part of the sheet that is the user's for certain.

    Raises CannotAddSheets where that is not allowed, or not certain to leave the rest as it is.
    """
    parts = WorkbookParts.of(package)
    _refuse_unsafe(package, parts)
    earlier = {
        mark: entry
        for mark, entry in earlier_sheets(package, parts).items()
        if entry.part != users_sheet and any(mark == extra.mark for extra in sheets)
    }
    dropped = only_reached_by(package, [entry.part for entry in earlier.values()])
    taken = {name.casefold() for name in package.namelist()} - {name.casefold() for name in dropped}
    plan = _Plan(parts, earlier, taken, heading_style)
    made = [plan.place(sheet) for sheet in sheets]
    written: dict[str, Write] = {part: write for each in made for part, write in each.writers.items()}
    gone = frozenset(dropped - written.keys())
    return Changes(_entries(package, parts, plan.new, made, gone) | written, gone)


@dataclass
class _Plan:
    parts: WorkbookParts
    earlier: Mapping[str, SheetEntry]
    taken: set[str]
    heading_style: str | None
    new: list[tuple[str, str]] = field(
        default_factory=list
    )  # name and worksheet part of sheets that were not there

    def place(self, sheet: ExtraSheet) -> SheetPackage:
        """The sheet where an earlier one of ours is, else at the end of the workbook."""
        known = self.earlier.get(sheet.mark)
        if known is not None:
            name, part = known.name, known.part
        else:
            name, part = self._free_name(sheet.name), self._free_part(f"xl/worksheets/{sheet.mark}.xml")
            self.new.append((name, part))
        return sheet_package(sheet, name, part, self._free_part, self.heading_style)

    def _free_name(self, wanted: str) -> str:
        used = {entry.name.casefold() for entry in self.parts.sheets} | {n.casefold() for n, _ in self.new}
        for n in range(1, 1_000):
            tail = "" if n == 1 else f" {n}"
            name = wanted[: _LONGEST_NAME - len(tail)] + tail
            if name.casefold() not in used:
                return name
        raise CannotAddSheets("workbook_unusual")

    def _free_part(self, wanted: str) -> str:
        stem, _, kind = wanted.rpartition(".")
        for n in range(1, 1_000):
            part = wanted if n == 1 else f"{stem}_{n}.{kind}"
            if part.casefold() not in self.taken:
                self.taken.add(part.casefold())
                return part
        raise CannotAddSheets("workbook_unusual")


def _refuse_unsafe(package: zipfile.ZipFile, parts: WorkbookParts) -> None:
    root = _parsed(package.read(parts.workbook))
    if not root.tag.startswith(
        "{http://schemas.openxmlformats.org/"
    ):  # the strict kind names its parts otherwise
        raise CannotAddSheets("workbook_unusual")
    for element in root.iter():
        if _local(element) == "workbookProtection" and element.get("lockStructure") in ("1", "true", "on"):
            raise CannotAddSheets("structure_protected")
    if any(name.lower().startswith("xl/revisions/") for name in package.namelist()):
        raise CannotAddSheets("workbook_shared")


def _entries(
    package: zipfile.ZipFile,
    parts: WorkbookParts,
    new: Sequence[tuple[str, str]],
    made: Iterable[SheetPackage],
    dropped: Iterable[str],
) -> dict[str, Write]:
    """The three parts that name sheets, with ours in them; those that stay as they are are left out."""
    types = {part: kind for each in made for part, kind in each.types.items()}
    old = {part: package.read(part) for part in (parts.workbook, parts.relations, _TYPES)}
    ids = _free_ids(old[parts.relations], len(new))
    fresh = {
        parts.workbook: _with_sheets(old[parts.workbook], parts.sheets, new, ids),
        parts.relations: _with_relations(old[parts.relations], new, ids),
        _TYPES: _with_types(old[_TYPES], types, dropped),
    }
    _expect(
        fresh[parts.workbook], "sheet", "name", [*(e.name for e in parts.sheets), *(name for name, _ in new)]
    )
    _expect(
        fresh[parts.relations],
        "Relationship",
        "Id",
        [*_all(old[parts.relations], "Relationship", "Id"), *ids],
    )
    named = _all(fresh[_TYPES], "Override", "PartName")
    if not {"/" + part for part in types} <= set(named):
        raise CannotAddSheets("workbook_unusual")
    return {part: plain(content) for part, content in fresh.items() if content != old[part]}


def _free_ids(xml: bytes, wanted: int) -> list[str]:
    taken = set(_all(xml, "Relationship", "Id"))
    names = (f"rIdSms{n}" for n in itertools.count(1))
    return list(itertools.islice((name for name in names if name not in taken), wanted))


def _with_sheets(
    xml: bytes, sheets: Sequence[SheetEntry], new: Sequence[tuple[str, str]], ids: Sequence[str]
) -> bytes:
    if not new:
        return xml
    first = max(entry.sheet_id for entry in sheets) + 1
    prefix, end = _end_of(xml, "sheets")
    ours = "".join(
        f'<{prefix}sheet name={quoteattr(name)} sheetId="{first + n}" xmlns:r="{OFFICE}" r:id="{ids[n]}"/>'
        for n, (name, _) in enumerate(new)
    )
    return xml[:end] + ours.encode() + xml[end:]


def _with_relations(xml: bytes, new: Sequence[tuple[str, str]], ids: Sequence[str]) -> bytes:
    if not new:
        return xml
    prefix, end = _end_of(xml, "Relationships")
    ours = "".join(
        f'<{prefix}Relationship Id="{name}" Type="{OFFICE}/worksheet" Target="/{part}"/>'
        for name, (_, part) in zip(ids, new, strict=True)
    )
    return xml[:end] + ours.encode() + xml[end:]


def _with_types(xml: bytes, types: Mapping[str, str], dropped: Iterable[str]) -> bytes:
    named = {"/" + part for part in dropped}
    override = re.compile(rb"<(?:[\w.-]+:)?Override\s[^>]*?PartName\s*=\s*[\"']([^\"']*)[\"'][^>]*?/>")
    xml = override.sub(lambda found: b"" if found[1].decode() in named else found[0], xml)
    known = {found[1].decode().casefold() for found in override.finditer(xml)}
    prefix, end = _end_of(xml, "Types")
    ours = "".join(
        f'<{prefix}Override PartName={quoteattr("/" + part)} ContentType="{kind}"/>'
        for part, kind in types.items()
        if "/" + part.casefold() not in known
    )
    return xml[:end] + ours.encode() + xml[end:]


def _end_of(xml: bytes, tag: str) -> tuple[str, int]:
    """The namespace prefix (``x:``) and the place of the last end tag of that name."""
    if _NOT_UTF8.match(xml.removeprefix(b"\xef\xbb\xbf")):
        raise CannotAddSheets("workbook_unusual")
    ends = list(re.finditer(rb"</([\w.-]+:)?" + tag.encode() + rb"\s*>", xml))
    if not ends:
        raise CannotAddSheets("workbook_unusual")
    return (ends[-1][1] or b"").decode(), ends[-1].start()


def _expect(xml: bytes, tag: str, attribute: str, wanted: Sequence[str]) -> None:
    """Whoever reads the part now finds what it had, then ours."""
    if _all(xml, tag, attribute) != list(wanted):
        raise CannotAddSheets("workbook_unusual")


def _all(xml: bytes, tag: str, attribute: str) -> list[str]:
    return [element.get(attribute, "") for element in _parsed(xml).iter() if _local(element) == tag]


def _parsed(xml: bytes) -> Element:
    try:
        root: Element = fromstring(xml, forbid_dtd=True)
    except (ParseError, DefusedXmlException) as error:
        raise CannotAddSheets("workbook_unusual") from error
    return root


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
