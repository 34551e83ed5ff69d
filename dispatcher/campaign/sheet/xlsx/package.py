"""Parts of an xlsx package: which one a worksheet is, and what is said of it elsewhere."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

_REFERENCE = re.compile(r"\$?[A-Z]+\$?(\d+):\$?[A-Z]+\$?(\d+)")


class NotAWorkbook(Exception):
    """The package lacks a part it needs or a part is no XML."""


class WorkbookXml:
    """What ``xl/workbook.xml`` says.

    ``untrusted_zeros``: libraries that write formulas without computing them store 0 and ask for recalculation on
    opening.  Raises NotAWorkbook, KeyError when there is no such part.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._root = _xml(archive, "xl/workbook.xml")
        self.untrusted_zeros = any(
            _local(e) == "calcPr" and e.get("fullCalcOnLoad") in ("1", "true") for e in self._root.iter()
        )

    def part_of(self, sheet: str) -> str:
        """The part of the worksheet named ``sheet``.  Raises NotAWorkbook."""
        entry = next((e for e in self._root.iter() if _local(e) == "sheet" and e.get("name") == sheet), None)
        if entry is None:
            raise NotAWorkbook(sheet)
        relation = next((value for name, value in entry.attrib.items() if name.endswith("}id")), None)
        for target_id, _, target in relations(self._archive, "xl/workbook.xml"):
            if target_id == relation:
                return target
        raise NotAWorkbook(sheet)


def rows_of(reference: str) -> Iterator[tuple[int, int]]:
    """(first, last) row of a range such as ``A1:D20``; nothing for what is none."""
    found = _REFERENCE.fullmatch(reference)
    if found is not None:
        yield int(found.group(1)), int(found.group(2))


def table_filters(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[int, int]]:
    """(first, last) rows of the filters of the worksheet's tables."""
    for _, kind, target in relations(archive, part):
        if kind.endswith("/table"):
            for element in _xml(archive, target).iter():
                if _local(element) == "autoFilter":
                    yield from rows_of(element.get("ref", ""))


def relations(archive: zipfile.ZipFile, part: str) -> Iterable[tuple[str, str, str]]:
    """(id, type, part) of what ``part`` refers to."""
    folder, name = posixpath.split(part)
    try:
        root = _xml(archive, f"{folder}/_rels/{name}.rels")
    except KeyError:
        return
    for element in root:
        target = element.get("Target", "")
        target = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        yield element.get("Id", ""), element.get("Type", ""), target


def _xml(archive: zipfile.ZipFile, part: str) -> Element:
    content = archive.read(part)  # KeyError when there is no such part
    try:
        root: Element = fromstring(content)
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise NotAWorkbook(part) from error
    return root


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
