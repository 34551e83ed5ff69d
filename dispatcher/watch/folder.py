"""The folders of a watched folder, and the moves between them: each is one rename, and none replaces a file."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from dispatcher.errors import UsageError
from dispatcher.report.files import check_folder, written_whole
from dispatcher.watch.names import is_ignored, is_stamped, stamped_name, stem_of
from dispatcher.watch.settling import Mark, Settled
from dispatcher.wording import Wording

STATE_FOLDER = ".dispatcher"
PLAN = ".plan.xlsx"
_NOTES = ("READ-ME", "LEGGIMI", "LEEME")
"""What notes are called, in every language: a watcher that now speaks another one knows them all."""


class Place(StrEnum):
    """Where a file can be; the value is the folder's name."""

    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True)
class WatchedFolder:
    """One watched folder.  ``approved`` may lie elsewhere, where other people may write."""

    root: Path
    approved: Path | None = None

    def __getitem__(self, place: Place) -> Path:
        if place is Place.APPROVED and self.approved is not None:
            return self.approved
        return self.root / place

    @property
    def state(self) -> Path:
        """What is nobody's to look at: whose folder it is, and drafts."""
        return self.root / STATE_FOLDER

    def prepare(self) -> None:
        """Make what is missing.  UsageError for what is no folder, cannot be written, or is a link to elsewhere."""
        if not self.root.is_dir():
            raise UsageError("watch_no_folder", found=str(self.root))
        check_folder(self.root)
        for folder in (self.state, *(self[place] for place in Place)):
            with suppress(FileExistsError):
                folder.mkdir(parents=folder == self.approved)
            # a link would make the move a copy, or put files where nobody looks for them
            if folder != self.approved and (folder.is_symlink() or not folder.is_dir()):
                raise UsageError("watch_no_folder", found=str(folder))
            check_folder(folder)

    def files(self, place: Place) -> list[str]:
        """Names of the ordinary files there that were taken once, oldest first; what lies beside them is among them."""
        return sorted(
            entry.name
            for entry in os.scandir(self[place])
            if is_stamped(entry.name) and not is_ignored(entry.name) and entry.is_file(follow_symlinks=False)
        )

    def find(self, name: str, *places: Place) -> Place | None:
        """In which of ``places`` a file of this name is."""
        return next((place for place in places if Mark.of(self[place] / name) is not None), None)

    def take(self, settled: Settled, now: datetime) -> str | None:
        """Move a settled file into ``processing/``; gives its new name.

        None when it is gone, open elsewhere, or no longer the one that settled: then it is where it was.
        """
        name = self.new_name(settled, now)
        target = self[Place.PROCESSING] / name
        if not _renamed(settled.path, target):
            return None
        if Mark.of(target) != settled.mark:
            with suppress(OSError):
                _without_replacing(target, settled.path)
                return None
        return name

    def move(self, name: str, old: Place, new: Place) -> bool:
        """Move a taken file; False when it is not there, or cannot be moved now."""
        return _renamed(self[old] / name, self[new] / name)

    def new_name(self, settled: Settled, now: datetime) -> str:
        """A name for it that no file here has, at ``now`` (local time)."""
        return stamped_name(settled.path.name, now, self._is_taken)

    def set_aside(self, settled: Settled, name: str) -> bool:
        """Move a file that lies where it does not belong to ``failed/``; False when it cannot be moved now."""
        return _renamed(settled.path, self[Place.FAILED] / name)

    def note(self, place: Place, name: str, text: str, wording: Wording) -> Path:
        """Write a text for people beside a file, whole or not at all; an older one is replaced."""
        path = self[place] / f"{stem_of(name)}.{wording('watch.note_name')}.txt"
        # with a mark, and ends of lines as Windows' editor has always known them
        with written_whole(path) as file:
            file.write(text.replace("\n", "\r\n").encode("utf-8-sig"))
        return path

    def clear(self, name: str, places: Iterable[Place]) -> None:
        """Take away the notes and the plan that lie beside the file's old places."""
        stem = stem_of(name)
        for place in places:
            for companion in (*(f"{stem}.{note}.txt" for note in _NOTES), f"{stem}{PLAN}"):
                with suppress(OSError):  # open in another program: it stays, and does no harm
                    (self[place] / companion).unlink()

    def _is_taken(self, stem: str) -> bool:
        return any(
            entry.name.startswith(f"{stem}.") or entry.name == stem
            for place in Place
            for entry in os.scandir(self[place])
        )


def _renamed(old: Path, new: Path) -> bool:
    try:
        _without_replacing(old, new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            return False
        return _copied(old, new)
    _keep(old.parent, new.parent)
    return True


def _without_replacing(old: Path, new: Path) -> None:
    """Rename; FileExistsError where there is a file already.  Elsewhere than on Windows renaming would replace it."""
    if os.path.lexists(new):
        raise FileExistsError(errno.EEXIST, "exists", str(new))
    os.rename(old, new)


def _copied(old: Path, new: Path) -> bool:
    """From another file system, where ``approved`` may be."""
    try:
        with old.open("rb") as source, written_whole(new) as target:
            shutil.copyfileobj(source, target)
        old.unlink()
    except OSError:
        return False
    return True


def _keep(*folders: Path) -> None:
    """Have a rename outlive a power cut; Windows cannot open a folder, and some network drives cannot sync one."""
    for folder in folders:
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
