"""Which process a claim belongs to, and the proof that such a process is dead.

Every sending process holds a file lock for its whole life.  The kernel releases it when the process dies, however it
dies, and not while it is merely frozen; so whoever can take the lock has proved the owner dead.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout


class OwnerLock:
    """This process as an owner of claims, for the length of a ``with`` block.  ``folder`` lies beside the ledger."""

    def __init__(self, folder: Path) -> None:
        self.id = secrets.token_hex(8)
        self.path = folder / f"{self.id}.lock"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FileLock(self.path, timeout=0)

    def __enter__(self) -> OwnerLock:
        self._lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
        self.path.unlink(missing_ok=True)


def is_dead(lock_path: Path) -> bool:
    """True when the owner's process provably ended: its lock is gone (it left in order) or can be taken (it died)."""
    if not lock_path.exists():
        return True
    try:
        with FileLock(lock_path, timeout=0):
            return True
    except Timeout:
        return False
