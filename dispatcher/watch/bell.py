"""What ends a pause early: a file system that tells of changes.  Where it tells of none, the pauses are short
instead.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import watchfiles

LISTENING_SECONDS = 10.0  # events get lost: one looks all the same
POLLING_SECONDS = 2.0
_REMOTE = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "fuse",
    "vboxsf",
    "vmhgfs",
    "afs",
    "davfs",
    "drvfs",
    "webdav",
    "prl_fs",
)
_DRIVE_REMOTE = 4

log = logging.getLogger(__name__)


class Bell:
    """Rings when something changes in one of ``folders``; never where ``listens`` is false."""

    def __init__(self, folders: Sequence[Path], *, listens: bool) -> None:
        self._folders = folders
        self.listens = listens
        self._rung = threading.Event()
        self._over = threading.Event()

    @contextmanager
    def hung(self) -> Iterator[Bell]:
        """Listen while the block lasts."""
        if not self.listens:
            yield self
            return
        thread = threading.Thread(target=self._listen, name="bell", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join(timeout=2)

    def wait(self, seconds: float | None = None) -> None:
        """Until it rings, or for so long: by default as long as an idle folder may be left alone."""
        idle = LISTENING_SECONDS if self.listens else POLLING_SECONDS
        self._rung.wait(idle if seconds is None else seconds)
        self._rung.clear()

    def _listen(self) -> None:
        try:
            changes = watchfiles.watch(
                *self._folders,
                stop_event=self._over,
                recursive=False,
                raise_interrupt=False,
                rust_timeout=500,
            )
            for _ in changes:
                self._rung.set()
        except Exception as error:  # noqa: BLE001 - no events is not the end: it looks by the clock as well
            log.warning("no events from the folder: %s", type(error).__name__)
            self.listens = False


def is_remote(folder: Path) -> bool:
    """Whether the folder is another machine's as far as can be told: events of its changes do not come here."""
    if sys.platform == "win32":
        import ctypes

        if str(folder).startswith("\\\\"):
            return True
        return bool(ctypes.windll.kernel32.GetDriveTypeW(folder.anchor) == _DRIVE_REMOTE)
    kind = kind_of_mount(folder.resolve(), _mounts())
    return kind is not None and kind.startswith(_REMOTE)


def kind_of_mount(folder: Path, mounts: Sequence[tuple[str, str]]) -> str | None:
    """The file system's kind, from pairs of mount point and kind; None when none is above the folder."""
    above = [
        (place, kind) for place, kind in mounts if folder == Path(place) or Path(place) in folder.parents
    ]
    return max(above, key=lambda mount: len(mount[0]))[1] if above else None


def _mounts() -> list[tuple[str, str]]:
    """Linux' table of mounts; elsewhere nothing is known, and ``--poll`` says it."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [(each[1].replace("\\040", " "), each[2]) for each in fields if len(each) > 2]
