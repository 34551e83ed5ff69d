"""When a file that appeared is whole.

It is when size and time stood still for a while *and* its content has an end: a zip with its directory and good
checks, a CSV whose last quote closes.  What stands still and has no end gets more time, since a copy may hang; then
it is taken all the same, so that somebody is told that it is broken.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from dispatcher.watch.names import is_ignored

PATIENCE = 12  # times as long as a whole file settles, and LEAST_PATIENCE at least
LEAST_PATIENCE = 60.0
_BLOCK = 1 << 20
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # an old workbook: its end cannot be told
_LISTS = (".csv", ".tsv", ".txt")
_MOST_UNPACKED = 1 << 30  # bytes; a bomb is for the reader to refuse, not to be unpacked here
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError, ValueError)


@dataclass(frozen=True)
class Mark:
    """By what one looks at a file tells whether it is still the same."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Mark | None:
        """None when there is no ordinary file: a link is not followed, whatever it points to."""
        try:
            found = os.lstat(path)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


class Content(Enum):
    """Whether a file that stands still has an end."""

    WHOLE = "whole"
    BROKEN_OFF = "broken off"
    EMPTY = "empty"
    CLOSED = "closed"  # nobody may read it now: Windows, while it is being written


@dataclass
class _Seen:
    mark: Mark
    since: float
    content: Content | None = None


@dataclass(frozen=True)
class Settled:
    """A file that is ready to be taken, as it looked then."""

    path: Path
    mark: Mark


@dataclass
class Settler:
    """Watches one folder's files settle; ``settle`` in seconds, ``monotonic`` is a clock."""

    folder: Path
    settle: float
    monotonic: Callable[[], float]
    _seen: dict[str, _Seen] = field(default_factory=dict)

    @property
    def is_waiting(self) -> bool:
        """Whether something is there that has not settled: look again soon."""
        return any(seen.content is not Content.EMPTY for seen in self._seen.values())

    def look(self) -> list[Settled]:
        """The files that are whole now, oldest first.  OSError when the folder cannot be read."""
        now = self.monotonic()
        found = self._found()
        self._seen = {name: self._looked_at(name, mark, now) for name, mark in found.items()}
        ready = [
            Settled(self.folder / name, seen.mark)
            for name, seen in self._seen.items()
            if self._is_ready(seen, now)
        ]
        return sorted(ready, key=lambda one: (one.mark.mtime_ns, one.path.name))

    def _found(self) -> dict[str, Mark]:
        with os.scandir(self.folder) as entries:
            names = [entry.name for entry in entries if not is_ignored(entry.name)]
        marks = {name: Mark.of(self.folder / name) for name in names}
        return {name: mark for name, mark in marks.items() if mark is not None}

    def _looked_at(self, name: str, mark: Mark, now: float) -> _Seen:
        seen = self._seen.get(name)
        if seen is None or seen.mark != mark:
            return _Seen(mark, now, Content.EMPTY if not mark.size else None)
        stands_still = now - seen.since >= self.settle
        if stands_still and seen.content in (None, Content.CLOSED):
            seen.content = content_of(self.folder / name)
        return seen

    def _is_ready(self, seen: _Seen, now: float) -> bool:
        if seen.content is Content.WHOLE:
            return True
        patience = max(PATIENCE * self.settle, LEAST_PATIENCE)
        return seen.content in (Content.BROKEN_OFF, Content.CLOSED) and now - seen.since >= patience


def content_of(path: Path) -> Content:
    """Whether the file has an end, by its bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            if not head:
                return Content.EMPTY
            if head.startswith(b"PK"):
                return _zip_content(path)
            return Content.WHOLE if head == _OLE else _text_content(path)
    except OSError:
        return Content.CLOSED


def _zip_content(path: Path) -> Content:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_UNPACKED:
                return Content.WHOLE
            return Content.WHOLE if archive.testzip() is None else Content.BROKEN_OFF
    except _DAMAGE:
        return Content.BROKEN_OFF


def _text_content(path: Path) -> Content:
    """A tail of zeros is space that a copy has set aside; an odd number of quotes is one that has not closed.

    Both are told of any other kind of file as well, which only means that it is given more time.  So is a list whose
    last line has no end: some programs write none, but half a line is half a text.
    """
    quotes, last = 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            quotes += block.count(b'"')
            last = block[-2:]
    unended = path.suffix.lower() in _LISTS and not (b"\n" in last or b"\r" in last)
    return Content.BROKEN_OFF if quotes % 2 or last == b"\0\0" or unended else Content.WHOLE
