"""A workbook as a zip package: finding a sheet's part, and writing some parts anew, the others as they are."""

from __future__ import annotations

import copy
import posixpath
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring, iterparse

from dispatcher.report.cannot import CannotExtend

_LOCAL_HEADER = 30  # bytes before the name; the lengths of name and extra field are its last two words
_HAS_DATA_DESCRIPTOR = 0x08
_BIG = 1 << 30
_BLOCK = 1 << 18
_LEVEL = 2  # a quarter of the time of level 6, a fifth more bytes
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the same report is the same bytes


@dataclass(frozen=True, slots=True)
class SheetParts:
    """Where a sheet lives in its package: part names, as the zip spells them."""

    sheet: str
    shared_strings: str | None
    tables: tuple[str, ...]


def find_sheet(package: zipfile.ZipFile, name: str | None) -> SheetParts:
    """The parts of the sheet called ``name`` (None: the first).  Raises CannotExtend."""
    names = package.namelist()
    if len(set(names)) != len(names):
        raise CannotExtend("sheet_unusual")
    if any(part.lower().startswith("_xmlsignatures/") for part in names):
        raise CannotExtend("workbook_signed")
    workbook = next(
        (target for kind, target in relations(package, "").values() if kind == "officeDocument"), None
    )
    if workbook is None:
        raise CannotExtend("sheet_unusual")
    targets = relations(package, workbook)
    sheet = targets.get(_sheet_relation(read_root(package, workbook), name))
    if sheet is None or sheet[0] != "worksheet" or sheet[1] not in names:
        raise CannotExtend("sheet_unusual")
    tables = tuple(target for kind, target in relations(package, sheet[1]).values() if kind == "table")
    return SheetParts(sheet[1], shared_strings_part(package, workbook), tables)


def shared_strings_part(package: zipfile.ZipFile, workbook: str) -> str | None:
    """The part with the shared strings, None where there is none."""
    targets = relations(package, workbook).values()
    strings = next((target for kind, target in targets if kind == "sharedStrings"), None)
    return strings if strings in package.namelist() else None


def _sheet_relation(workbook: Element, name: str | None) -> str:
    sheets = [element for element in workbook.iter() if _local(element.tag) == "sheet"]
    wanted = sheets[:1] if name is None else [sheet for sheet in sheets if sheet.get("name") == name]
    if len(wanted) != 1:
        raise CannotExtend("sheet_unusual")
    return next(
        (value for key, value in wanted[0].items() if key.startswith("{") and _local(key) == "id"), ""
    )


def relations(package: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Id -> (kind, part name) of what ``part`` refers to inside the package; ``""`` is the package.

    Raises CannotExtend.
    """
    folder, base = posixpath.split(part)
    path = posixpath.join(folder, "_rels", f"{base}.rels")
    if path not in package.namelist():
        return {}
    return {
        relation.get("Id", ""): (
            relation.get("Type", "").rsplit("/", 1)[-1],
            posixpath.normpath(posixpath.join("/", folder, relation.get("Target", ""))).lstrip("/"),
        )
        for relation in read_root(package, path)
        if relation.get("TargetMode") != "External"
    }


def read_root(package: zipfile.ZipFile, part: str) -> Element:
    """The part's XML.  Raises CannotExtend."""
    try:
        root: Element = fromstring(package.read(part), forbid_dtd=True)
    except (ParseError, DefusedXmlException, KeyError) as error:
        raise CannotExtend("sheet_unusual") from error
    return root


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def table_ranges(package: zipfile.ZipFile, parts: SheetParts) -> list[str]:
    """The ranges (``A1:D20``) of the sheet's tables."""
    return [read_root(package, table).get("ref", "") for table in parts.tables]


def shared_strings(package: zipfile.ZipFile, parts: SheetParts, wanted: set[int]) -> dict[int, str]:
    """The shared strings with these indexes, read as a stream: the table may be as large as the sheet."""
    found: dict[int, str] = {}
    if not wanted or parts.shared_strings is None:
        return found
    last = max(wanted)
    try:
        with package.open(parts.shared_strings) as stream:
            for index, item in enumerate(_string_items(stream)):
                if index in wanted:
                    found[index] = _string_text(item)
                if index >= last:
                    break
    except (ParseError, DefusedXmlException) as error:
        raise CannotExtend("sheet_unusual") from error
    return found


def _string_items(stream: IO[bytes]) -> Iterator[Element]:
    root: Element | None = None
    for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
        if root is None:
            root = element
        if event == "end" and _local(element.tag) == "si":
            yield element
            root.clear()


def _string_text(item: Element) -> str:
    runs = [
        item,
        *(child for child in item if _local(child.tag) == "r"),
    ]  # not rPh: that is how to pronounce it
    return "".join(child.text or "" for run in runs for child in run if _local(child.tag) == "t")


def rewrite(
    source: Path,
    target: BinaryIO,
    written: Mapping[str, Callable[[IO[bytes]], None]],
    dropped: Collection[str],
) -> None:
    """Copy the package at ``source`` to ``target`` with the parts ``written`` anew, or added, and without ``dropped``.

    All other parts are copied as they lie in the zip, compressed bytes included.
    """
    with source.open("rb") as raw, zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        new.comment = old.comment
        for info in old.infolist():
            if info.filename in written:
                fresh = zipfile.ZipInfo(info.filename, info.date_time)
                fresh.external_attr = info.external_attr
                _write_part(new, fresh, written[info.filename], large=info.file_size > _BIG)
            elif info.filename not in dropped:
                _copy_part(raw, info, new)
        for name in (name for name in written if name not in old.NameToInfo):
            _write_part(new, zipfile.ZipInfo(name, _NO_TIME), written[name], large=False)


def _write_part(
    package: zipfile.ZipFile, info: zipfile.ZipInfo, write: Callable[[IO[bytes]], None], *, large: bool
) -> None:
    info.compress_type = zipfile.ZIP_DEFLATED
    info._compresslevel = _LEVEL  # type: ignore[attr-defined]  # what ZipFile(compresslevel=) sets for names
    with package.open(info, "w", force_zip64=large) as part:
        write(part)


def _copy_part(raw: BinaryIO, info: zipfile.ZipInfo, new: zipfile.ZipFile) -> None:
    raw.seek(info.header_offset + _LOCAL_HEADER - 4)
    name_length, extra_length = (int.from_bytes(raw.read(2), "little") for _ in range(2))
    raw.seek(name_length + extra_length, 1)
    stream = new.fp
    assert stream is not None
    entry = copy.copy(info)
    entry.header_offset = stream.tell()
    entry.flag_bits &= ~_HAS_DATA_DESCRIPTOR  # sizes and checksum are known, so the header carries them
    stream.write(entry.FileHeader(zip64=None))
    _copy_bytes(raw, stream, info.compress_size)
    # ZipFile has no public way to add compressed bytes; these three lines are what its own open("w") does at
    # the end.
    new.filelist.append(entry)
    new.NameToInfo[entry.filename] = entry
    new.start_dir = stream.tell()


def _copy_bytes(source: BinaryIO, target: IO[bytes], length: int) -> None:
    while length:
        block = source.read(min(length, _BLOCK))
        if not block:
            raise zipfile.BadZipFile("the package ends inside a part")
        target.write(block)
        length -= len(block)
