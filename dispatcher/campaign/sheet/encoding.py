"""Which characters the bytes of a CSV file are, and the file as text in bounded pieces.

Byte order mark, then the NUL pattern of UTF-16, then strict UTF-8, then Windows-1252.  Guessing by letter
statistics was measured and lost (it takes Italian Windows-1252 for Windows-1250).
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from dispatcher.campaign.sheet.high_bytes import HighBytes
from dispatcher.errors import FileError

BLOCK_BYTES = 4 << 20

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 4096
# Codecs that are escapes for something else than a file; some of them silently change a text.
_NO_FILE_ENCODING = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})


def text_encoding(path: Path, asked: str | None) -> str:
    """The name of the file's encoding (``utf-8``, ``utf-16-le``, ``cp1252``, ... or the one asked for).

    A byte order mark is proof and wins over ``asked``.  The whole file is looked at.

    Raises FileError: ``sheet_encoding_unknown`` (no such encoding), ``sheet_undecodable`` (bytes that are no
    text in the encoding asked for or marked), ``sheet_encoding_mixed`` (UTF-8 with bytes of something else),
    ``sheet_encoding_unclear`` (neither UTF-8 nor Windows-1252).
    """
    wanted = None if asked is None else _known(path, asked)
    with path.open("rb") as stream:
        head = stream.read(_SAMPLE_BYTES)
    name = (
        next((name for mark, name in _MARKS if head.startswith(mark)), None)
        or wanted
        or _by_nul_pattern(head)
    )
    if name is not None:
        require_text(path, name)
        return name
    try:
        require_text(path, "utf-8")
    except FileError as damage:
        return _not_utf8(path, damage)
    return "utf-8"


def text_blocks(path: Path, encoding: str) -> Iterator[str]:
    """The file as text, about 4 MB at a time, without the byte order mark.

    Raises FileError ``sheet_undecodable`` with the line (as a text editor counts) that is no text in
    ``encoding``.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    start = True
    with path.open("rb") as stream:
        while True:
            block = stream.read(BLOCK_BYTES)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeError as error:
                raise _undecodable(path, encoding, lines, error) from error
            if start and text:
                text = text.removeprefix("\ufeff")
                start = False
            lines += text.count("\n")
            if text:
                yield text
            if not block:
                return


def utf8_blocks(path: Path, encoding: str) -> Iterator[bytes]:
    """The file as UTF-8, about 4 MB at a time, without the byte order mark; a block may end inside a character.

    A file that is UTF-8 already is handed on as it is: whoever reads it finds out whether it still is.
    Raises FileError ``sheet_undecodable`` for another encoding.
    """
    if encoding != "utf-8":
        for text in text_blocks(path, encoding):
            yield text.encode()
        return
    with path.open("rb") as stream:
        first = stream.read(BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
        if first:
            yield first
        while block := stream.read(BLOCK_BYTES):
            yield block


def require_text(path: Path, encoding: str) -> None:
    """Raises FileError ``sheet_undecodable`` where the file is no text in ``encoding``."""
    if encoding == "utf-8" and _is_utf8(path):
        return
    for _ in text_blocks(path, encoding):
        pass


def _is_utf8(path: Path) -> bool:
    """Whether all of the file is; Arrow tells it five times as fast as decoding does."""
    rest = b""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            data = rest + block
            whole = len(data) - _unfinished(data)
            rest = data[whole:]
            buffers = [None, pa.py_buffer(np.array([0, whole], np.int64)), pa.py_buffer(data)]
            try:
                pa.Array.from_buffers(pa.large_string(), 1, buffers).validate(full=True)
            except pa.ArrowInvalid:
                return False
    return not rest


def _unfinished(data: bytes) -> int:
    """How many bytes at the end are a character of UTF-8 that is not all there."""
    for back in range(1, min(len(data), 3) + 1):
        first = data[-back]
        if first >= 0xC0:
            width = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            return back if width > back else 0
        if first < 0x80:
            return 0
    return 0


def _known(path: Path, asked: str) -> str:
    try:
        info = codecs.lookup(asked)
        # codecs like base64 or rot13 turn bytes into bytes; only this flag, which open() uses too, tells
        if not getattr(info, "_is_text_encoding", True) or info.name in _NO_FILE_ENCODING:
            raise LookupError(asked)
        codecs.getincrementaldecoder(asked)
    except (LookupError, ValueError) as error:
        raise FileError("sheet_encoding_unknown", file=str(path), found=asked) from error
    return "utf-8" if info.name == "utf-8-sig" else info.name


def _by_nul_pattern(head: bytes) -> str | None:
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if half and odd > 0.4 * half and even < 0.1 * half:
        return "utf-16-le"
    if half and even > 0.4 * half and odd < 0.1 * half:
        return "utf-16-be"
    return None


def _not_utf8(path: Path, damage: FileError) -> str:
    """Windows-1252, unless some of the file is UTF-8: its accents would be sent as two wrong letters."""
    letters = strangers = 0
    lines = 1
    utf8: int | None = None
    unclear: int | None = None
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            high = HighBytes(block)
            found, size = high.utf8_letters()
            letters += found
            strangers += len(high.byte) - size
            utf8 = utf8 or _after(lines, high.utf8_line())
            unclear = (
                unclear
                or _after(lines, high.line_of(high.not_in_cp1252()))
                or _after(lines, high.line_of(high.dos_letters()))
            )
            lines += block.count(b"\n")
    if letters > strangers:
        raise FileError("sheet_encoding_mixed", file=str(path), row=damage.row) from damage
    if utf8 is not None:
        raise FileError("sheet_encoding_mixed", file=str(path), row=utf8) from damage
    if unclear is not None:
        raise FileError("sheet_encoding_unclear", file=str(path), row=unclear) from damage
    return "cp1252"


def _after(lines: int, more: int | None) -> int | None:
    return None if more is None else lines + more


def _undecodable(path: Path, encoding: str, lines: int, error: UnicodeError) -> FileError:
    found = None
    if isinstance(error, UnicodeDecodeError):
        before = error.object[: error.start].decode(encoding, errors="ignore")
        lines += before.count("\n")
        found = error.object[error.start : error.end][:4].hex(" ")
    return FileError(
        "sheet_undecodable", file=str(path), row=lines, found=found or encoding, encoding=encoding
    )
