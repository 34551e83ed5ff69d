"""Whose folder it is: one ledger's for good, and one process's at a time.

Two watchers of one ledger may stand by the same folder; the lead in the ledger decides which of them works, and ends
with its process however that dies.  So whatever lies in ``processing/`` when the lead is won was left there by
somebody dead.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dispatcher.errors import DispatcherError, UsageError
from dispatcher.ledger.leader import Leader
from dispatcher.report.files import written_whole

MARK = "folder.json"
ASK_SECONDS = 3.0  # a server gives the lead to somebody else after 15 s of silence
LOOKS = 40


def folder_id(state: Path, ledger_id: str, wait: Callable[[float], object]) -> str:
    """The id of the folder that ``state`` belongs to, made when this ledger is the first to watch it.

    UsageError ``watch_other_ledger`` when another one was: it knows which of the files were sent.
    """
    mark = state / MARK
    if not os.path.lexists(mark):
        _write_first(mark, {"ledger": ledger_id, "folder": secrets.token_hex(4)})
    for _ in range(LOOKS):
        if (found := _read(mark)) is not None:
            break
        wait(0.05)
    else:
        raise UsageError("watch_mark_unreadable", found=str(mark))
    if found["ledger"] != ledger_id:
        raise UsageError(
            "watch_other_ledger", found=found["ledger"], ledger=ledger_id, folder=str(state.parent)
        )
    return found["folder"]


def _write_first(mark: Path, content: dict[str, str]) -> None:
    """Whole or not at all, and never over another one; without hard links (exFAT, some shares) never over another."""
    text = json.dumps(content).encode()
    draft = mark.with_name(f"{secrets.token_hex(8)}.tmp")
    with written_whole(draft) as file:
        file.write(text)
    try:
        os.link(draft, mark)
    except FileExistsError:
        pass
    except OSError:
        with suppress(FileExistsError), mark.open("xb") as file:
            file.write(text)
    finally:
        draft.unlink()


def _read(mark: Path) -> dict[str, str] | None:
    try:
        found = json.loads(mark.read_bytes())
    except (OSError, ValueError):
        return None
    complete = isinstance(found, dict) and all(
        isinstance(found.get(key), str) for key in ("ledger", "folder")
    )
    return found if complete else None


class Turn:
    """Whether this process works on the folder.  The lead is held by a thread of its own, since a launch takes long."""

    def __init__(self, leader: Leader) -> None:
        self._leader = leader
        self._mine = threading.Event()
        self._asked = threading.Event()
        self._over = threading.Event()

    @property
    def is_mine(self) -> bool:
        """True while the lead is held."""
        return self._mine.is_set()

    @contextmanager
    def sought(self) -> Iterator[Turn]:
        """Seek the lead, and keep it, while the block lasts."""
        thread = threading.Thread(target=self._seek, name="turn", daemon=True)
        thread.start()
        try:
            self._asked.wait()
            yield self
        finally:
            self._over.set()
            thread.join()

    def _seek(self) -> None:
        try:
            while not self._over.is_set():
                try:
                    leads = self._leader.leads()
                except DispatcherError:  # a server that is away: without it nothing can be done anyway
                    leads = False
                (self._mine.set if leads else self._mine.clear)()
                self._asked.set()
                self._over.wait(ASK_SECONDS)
        finally:
            self._mine.clear()
            self._asked.set()
            self._leader.resign()
