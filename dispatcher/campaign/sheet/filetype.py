"""What a file is, by its bytes: the name is only believed for files that are on their way (lock files)."""

from __future__ import annotations

import mmap
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from dispatcher.campaign.sheet.model import SheetKind
from dispatcher.errors import FileError

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_HEAD_BYTES = 4096
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    KeyError,
    ValueError,
)

_OTHER_KINDS = (
    (b"%PDF", "PDF"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"{\\rtf", "RTF"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "RAR"),
    (b"SQLite format 3", "SQLite"),
    (b"PAR1", "Parquet"),
    (b"MZ", "EXE"),
)
_MARKUP = (
    (b"<!doctype html", "HTML"),
    (b"<html", "HTML"),
    (b"<table", "HTML"),
    (b"<meta", "HTML"),
    (b"<head", "HTML"),
    (b"<body", "HTML"),
    (b"<style", "HTML"),
    (b"<div", "HTML"),
    (b"<tr", "HTML"),
    (b"<!--", "HTML"),
    (b"<?xml", "XML"),
    (b"mime-version:", "MHTML"),
)
_OLE_STREAMS = (
    ("WordDocument", "Word (.doc)"),
    ("PowerPoint Document", "PowerPoint (.ppt)"),
    ("__properties", "Outlook (.msg)"),
)
# Bytes that no text has; NUL is judged apart, UTF-16 is full of it
_CONTROLS = bytes(code for code in range(1, 32) if code not in b"\t\n\v\f\r\x1a\x1b")


@dataclass(frozen=True)
class Stamp:
    """Size and time of a file when it was opened."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns)

    def check(self, path: Path) -> None:
        """Raises FileError ``sheet_changed`` when the file is not the one that was opened."""
        try:
            same = Stamp.of(path) == self
        except FileNotFoundError:
            same = False
        if not same:
            raise FileError("sheet_changed", file=str(path))


def file_kind(path: Path) -> SheetKind:
    """What the file is.

    Raises FileError for what is no readable spreadsheet: ``sheet_lock_file``, ``sheet_not_found``,
    ``sheet_is_directory``, ``sheet_not_a_file``, ``sheet_not_readable``, ``sheet_empty_file``,
    ``sheet_password``, ``sheet_broken``, ``sheet_other_kind``.
    """
    head = _head(path)
    if head.startswith(_OLE):
        return _ole_kind(path)
    if head.startswith(_ZIP):
        return _zip_kind(path)
    other = _other_kind(head)
    if other is not None:
        raise FileError("sheet_other_kind", file=str(path), found=other)
    return SheetKind.CSV


def _head(path: Path) -> bytes:
    if path.name.startswith(("~$", ".~lock.")):
        raise FileError("sheet_lock_file", file=str(path))
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise FileError("sheet_is_directory", file=str(path))
        if not stat.S_ISREG(mode):
            raise FileError("sheet_not_a_file", file=str(path))
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileError("sheet_not_found", file=str(path)) from error
    except OSError as error:
        raise FileError(
            "sheet_not_readable", file=str(path), found=error.strerror or type(error).__name__
        ) from error
    if not head:
        raise FileError("sheet_empty_file", file=str(path))
    return head


def _ole_kind(path: Path) -> SheetKind:
    """The old Office container: .xls, an encrypted workbook of any kind, or something that is no workbook."""
    # the directory with the stream names can be anywhere in the file
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:

        def has(name: str) -> bool:
            return content.find(name.encode("utf-16-le")) >= 0

        if has("Workbook") or has("Book"):
            return SheetKind.XLS
        if has("EncryptedPackage"):
            raise FileError("sheet_password", file=str(path))
        kind = next((kind for name, kind in _OLE_STREAMS if has(name)), "OLE")
    raise FileError("sheet_other_kind", file=str(path), found=kind)


def _zip_kind(path: Path) -> SheetKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.lower() for name in archive.namelist()}
            mimetype = (
                archive.read("mimetype")[:100].decode("ascii", "replace") if "mimetype" in names else ""
            )
    except _DAMAGE as error:
        raise FileError("sheet_broken", file=str(path)) from error
    if "encrypted-package" in names:  # OpenDocument, the newer way
        raise FileError("sheet_password", file=str(path))
    if "opendocument.spreadsheet" in mimetype:
        return SheetKind.ODS
    if "xl/workbook.xml" in names:
        return SheetKind.XLSM if "xl/vbaproject.bin" in names else SheetKind.XLSX
    raise FileError("sheet_other_kind", file=str(path), found=_zip_content(names, mimetype))


def _zip_content(names: set[str], mimetype: str) -> str:
    if "xl/workbook.bin" in names:
        return "Excel (.xlsb)"
    if "word/document.xml" in names:
        return "Word (.docx)"
    if any(name.startswith("ppt/") for name in names):
        return "PowerPoint (.pptx)"
    if any(name.startswith("index/") and name.endswith(".iwa") for name in names):
        return "Apple Numbers"
    if "opendocument" in mimetype:
        return "OpenDocument"
    return "ZIP"


def _other_kind(head: bytes) -> str | None:
    for magic, kind in _OTHER_KINDS:
        if head.startswith(magic):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = text[2:].replace(b"\0", b"").lstrip()
    for magic, kind in _MARKUP:
        if text.startswith(magic):
            return kind
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return "binary" if controls > len(head) // 50 + 1 else None
