"""Zip containers (xlsx, xlsm, ods): how much they may unpack to, checked before and while reading."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

from dispatcher.errors import FileError

# A full worksheet of 16 columns is about 1 GB of XML at a ratio of 10; a bomb is a thousand to one.
LARGEST_TOTAL = 3 << 30
_SUSPICIOUS_SIZE = 64 << 20
_SUSPICIOUS_RATIO = 200
_MOST_MEMBERS = 20_000
_BLOCK = 1 << 20
DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, ValueError)
"""What reading a damaged container raises."""


def check_archive(path: Path, *, largest_total: int = LARGEST_TOTAL, unpacked: Collection[str] = ()) -> None:
    """Refuse a container that would unpack to more than a spreadsheet ever needs, or is damaged.

    First what the directory declares, then what the XML parts really are: unpacking stops at the declared
    size and compares checksums, so a directory that lies is found out without memory.  Everything is read as
    a stream.  ``unpacked`` names parts that were read to their end already, by :func:`member_blocks`.

    Raises FileError: ``sheet_zip_bomb``, ``sheet_broken``, ``sheet_password``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_declared(path, members, largest_total)
            for member in members:
                is_xml = member.filename.lower().endswith((".xml", ".rels"))
                if is_xml and member.filename not in unpacked:
                    for _ in member_blocks(archive, member):
                        pass
    except DAMAGE as error:
        raise FileError("sheet_broken", file=str(path)) from error


def check_declared(path: Path) -> None:
    """The first half of :func:`check_archive`: what the directory declares.  Raises FileError."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_declared(path, archive.infolist(), LARGEST_TOTAL)
    except DAMAGE as error:
        raise FileError("sheet_broken", file=str(path)) from error


def member_blocks(archive: zipfile.ZipFile, member: zipfile.ZipInfo | str) -> Iterator[bytes]:
    """The unpacked bytes of one part, a megabyte at a time."""
    with archive.open(member) as stream:
        while block := stream.read(_BLOCK):
            yield block


def _check_declared(path: Path, members: list[zipfile.ZipInfo], largest_total: int) -> None:
    names = {member.filename.lower() for member in members}
    if len(names) != len(members):  # which of two parts of one name is read differs per program
        raise FileError("sheet_broken", file=str(path))
    if any(member.flag_bits & 1 for member in members):
        raise FileError("sheet_password", file=str(path))
    total = sum(member.file_size for member in members)
    dense = any(
        member.file_size > _SUSPICIOUS_SIZE
        and member.file_size > _SUSPICIOUS_RATIO * max(member.compress_size, 1)
        for member in members
    )
    if total > largest_total or dense or len(members) > _MOST_MEMBERS:
        raise FileError("sheet_zip_bomb", file=str(path), found=f"{total // 1_000_000} MB")
