"""The folder's ``campaign.toml`` over time: read at the start and when it changes; while it is wrong nothing is
taken.
"""

from __future__ import annotations

from contextlib import suppress

from dispatcher.errors import DispatcherError, UsageError
from dispatcher.report.files import written_whole
from dispatcher.watch.folder import WatchedFolder
from dispatcher.watch.names import SETTINGS_FILE
from dispatcher.watch.notes import settings_note
from dispatcher.watch.orders import Orders, read_orders
from dispatcher.watch.quiet import Tell
from dispatcher.watch.settling import Mark
from dispatcher.wording import Wording


class Rules:
    """The orders that hold now."""

    def __init__(self, folder: WatchedFolder, wording: Wording, tell: Tell) -> None:
        self._folder = folder
        self._wording = wording
        self._tell = tell
        self._path = folder.root / SETTINGS_FILE
        self._note = folder.root / f"{SETTINGS_FILE}.{wording('watch.note_name')}.txt"
        self._mark: Mark | None = None
        self._orders: Orders | None = None
        self._is_read = False

    def check(self, given: Orders) -> None:
        """Read them for the first time; UsageError when they are wrong."""
        self._mark = Mark.of(self._path)
        self._orders = read_orders(self._folder.root, given)
        self._is_read = True
        self._take_note_away()

    def orders(self, given: Orders) -> Orders | None:
        """The orders, read again when the file has changed; None while it is wrong, which a note beside it explains."""
        mark = Mark.of(self._path)
        if self._is_read and mark == self._mark:
            return self._orders
        self._mark, self._is_read = mark, True
        try:
            self._orders = read_orders(self._folder.root, given)
        except UsageError as error:
            self._orders = None
            self._explain(error)
        else:
            self._tell("settings_read", file=SETTINGS_FILE)
            self._take_note_away()
        return self._orders

    def _explain(self, error: DispatcherError) -> None:
        self._tell("settings_wrong", file=SETTINGS_FILE, error=error)
        text = settings_note(self._wording, error).replace("\n", "\r\n")
        with suppress(DispatcherError), written_whole(self._note) as file:  # it was told, at least
            file.write(text.encode("utf-8-sig"))

    def _take_note_away(self) -> None:
        with suppress(OSError):
            self._note.unlink()
