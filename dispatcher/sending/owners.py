"""Which process a claim belongs to, and the proof that such a process is dead.

Every sending process holds a file lock for its whole life.  The kernel releases it when the process dies, however it
dies, and not while it is merely frozen; so whoever can take the lock has proved the owner dead.  That proves nothing
on another machine, where the path is another file or none.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from dispatcher.ledger import Ledger
from dispatcher.ledger.processes import Process
from dispatcher.private import private_folder

LEAST_SILENCE = timedelta(seconds=60)  # signs of life come every few seconds; a server may be late with some
NAME_LENGTH = 16
NAMING_SECONDS, NAMING_LOOKS = 0.05, 40


class OwnerLock:
    """This process as an owner of claims, for the length of a ``with`` block.  ``folder`` lies beside the ledger."""

    def __init__(self, folder: Path) -> None:
        self.id = secrets.token_hex(8)
        self.path = folder / f"{self.id}.lock"
        private_folder(folder)
        self._lock = FileLock(self.path, timeout=0)

    def __enter__(self) -> OwnerLock:
        self._lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
        self.path.unlink(missing_ok=True)


class Owners:
    """The registered processes of a ledger, as far as they can be judged from the folder of locks ``folder``.

    A process of another place cannot be proved dead.  It is *silent* when it gave no sign of life for ``silence``,
    and a minute at least.
    """

    def __init__(self, ledger: Ledger, folder: Path, silence: timedelta) -> None:
        self._ledger = ledger
        self.place = place_of(folder)  # what processes of this place register as their host
        self._silence = max(silence, LEAST_SILENCE)

    def is_gone(self, owner: str) -> bool:
        """True when the process is proved dead, or left in order and is not registered any more.

        The register is read anew each time: a process that came since must not lose its plan or its claims.
        """
        process = self._ledger.processes.find(owner)
        return process is None or self._is_dead(process)

    def is_silent(self, owner: str, now: datetime) -> bool:
        """True for a process of another place that has not been heard of; it may be cut off, frozen or dead."""
        process = self._ledger.processes.find(owner)
        if process is None or self._is_here(process):
            return False
        return process.last_seen < self._ledger.now(now) - self._silence

    def is_here(self, owner: str) -> bool:
        """Whether a registered process is of this place, where its lock proves what it is."""
        process = self._ledger.processes.find(owner)
        return process is not None and self._is_here(process)

    def forget_dead(self) -> None:
        """Strike the dead of this place off the register, once what they left has been dealt with."""
        for process in self._ledger.processes.all():
            if process.lock_path is not None and self._is_dead(process):
                self._ledger.processes.forget(process.owner)
                Path(process.lock_path).unlink(missing_ok=True)

    def _is_here(self, process: Process) -> bool:
        return process.host == self.place

    def _is_dead(self, process: Process) -> bool:
        lock = process.lock_path
        return lock is not None and self._is_here(process) and is_dead(Path(lock))


def place_of(folder: Path, wait: Callable[[float], None] = time.sleep) -> str:
    """The name of a folder of locks, for whoever sees this very folder: the host's, and one written into it once.

    Containers and machines may share a host's name, and machines may share a folder; only both together are a place
    where a lock means something.
    """
    private_folder(folder)
    mark = folder / "place"
    if not mark.exists():
        _name(mark)
    for _ in range(NAMING_LOOKS):
        if name := _name_in(mark):
            break
        wait(NAMING_SECONDS)
    else:  # whoever was to write it died between two lines of _name
        name = _new_name()
        mark.write_text(name, encoding="ascii")
    return f"{socket.gethostname()}/{name}"


def _name(mark: Path) -> None:
    """Whole or not at all, and never twice; where there are no hard links (exFAT, some shares), never twice."""
    name = _new_name()
    draft = mark.with_name(f"{secrets.token_hex(8)}.place")
    draft.touch(mode=0o600)
    draft.write_text(name, encoding="ascii")
    try:
        os.link(draft, mark)
    except FileExistsError:
        pass
    except OSError:
        with suppress(FileExistsError):
            mark.touch(mode=0o600, exist_ok=False)
            mark.write_text(name, encoding="ascii")
    finally:
        draft.unlink()


def _name_in(mark: Path) -> str | None:
    """The name, once it is all there."""
    text = mark.read_text(encoding="ascii")
    return text if len(text) == NAME_LENGTH else None


def _new_name() -> str:
    return secrets.token_hex(NAME_LENGTH // 2)


def is_dead(lock_path: Path) -> bool:
    """True when the owner's process provably ended: its lock is gone (it left in order) or can be taken (it died)."""
    if not lock_path.exists():
        return True
    try:
        with FileLock(lock_path, timeout=0):
            return True
    except Timeout:
        return False
