"""A watcher as a process of its own over a folder, and what can be seen of the folder from outside."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatcher.ledger import CampaignState, Ledger
from tests.integration.processes import Cli, Running

STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d (?:\(\d+\) )?")
REST = ("done", "failed", "waiting", "rejected")
PLACES = ("processing", "approved", *REST)


@dataclass
class Watched:
    """``in`` in the working directory of ``cli``."""

    cli: Cli
    gateway: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.cli.folder / "in"

    def start(self, *flags: str | Path, **env: str) -> Running:
        """A watcher that has begun."""
        self.folder.mkdir(exist_ok=True)
        running = self.cli.start("watch", "in", "--settle", "0.2", "--json", *self.gateway, *flags, **env)
        return running.when(lambda: self.told(running, "started"))

    def told(self, running: Running, event: str) -> list[dict[str, Any]]:
        """What a watcher has told under this name so far."""
        lines = [line for line in running.out.splitlines() if line.startswith("{") and line.endswith("}")]
        return [one for one in map(json.loads, lines) if one.get("event") == event]

    def drop(self, name: str, content: bytes | str) -> Path:
        """Put a file into the folder as a careful program does: written elsewhere, then renamed."""
        self.folder.mkdir(exist_ok=True)
        draft = self.cli.folder / "draft"
        draft.write_bytes(content if isinstance(content, bytes) else content.encode())
        return draft.rename(self.folder / name)

    def names(self, place: str) -> list[str]:
        """The names in a folder."""
        there = self.folder / place
        return sorted(entry.name for entry in there.iterdir()) if there.is_dir() else []

    def at(self, original: str) -> list[tuple[str, str]]:
        """Where files dropped under this name are, and what they are called there."""
        # one that moves between two looks would be seen in both folders
        before, now = None, self._look_for(original)
        while before != now:
            before, now = now, self._look_for(original)
        return now

    def _look_for(self, original: str) -> list[tuple[str, str]]:
        found = [
            (place, name) for place in PLACES for name in self.names(place) if STAMP.sub("", name) == original
        ]
        return found + [("", original)] * (self.folder / original).exists()

    def place(self, original: str) -> str | None:
        """The one folder where the file is; AssertionError when there are two of it."""
        found = self.at(original)
        assert len(found) <= 1, found
        return found[0][0] if found else None

    def path(self, original: str) -> Path:
        """Where it is."""
        ((place, name),) = self.at(original)
        return self.folder / place / name

    def beside(self, original: str, ending: str) -> Path:
        """The one companion of the file with this ending."""
        path = self.path(original)
        (found,) = [each for each in path.parent.iterdir() if each.name == path.stem + ending]
        return found

    def note(self, original: str, name: str = "READ-ME") -> str:
        """The text that lies beside the file."""
        return self.beside(original, f".{name}.txt").read_text("utf-8-sig")

    def is_at(self, place: str, *originals: str) -> Callable[[], bool]:
        """Whether all of them are there."""
        return lambda: all(self.place(each) == place for each in originals)

    @contextmanager
    def ledger(self) -> Any:
        """The ledger, to look into."""
        ledger = Ledger.open_existing(f"sqlite:///{self.cli.ledger}")
        try:
            yield ledger
        finally:
            if ledger is not None:
                ledger.dispose()

    def states(self) -> Counter[CampaignState]:
        """How many campaigns there are in each state."""
        with self.ledger() as ledger:
            return (
                Counter(one.state for one in ledger.queries.campaigns(limit=1_000)) if ledger else Counter()
            )


def table(rows: list[tuple[str, str]], heading: str = "phone,text") -> str:
    """A CSV of numbers and texts."""
    return heading + "\n" + "".join(f'{number},"{text}"\n' for number, text in rows)
