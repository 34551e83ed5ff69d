"""What the program tells whoever operates it: one line for each event, as text or as JSON.

An event is a name and a few facts, never prose: ``log.info("doubts_found", extra={"campaign": 3, "rows": 2})``.  Facts
are printed by name from :data:`FACTS` and nothing else is, so a number, a text or a secret cannot get into a line by
accident.  A traceback is code and names of exceptions: what an exception says may hold what a person wrote.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO

from dispatcher.errors import frames_of

FACTS = (
    *("campaign", "row", "rows", "lane", "gateway", "role", "state", "reason", "error", "outcome", "code"),
    *("http_status", "found", "absent", "open", "stuck", "stopped", "schedule"),
    *("awaited", "requests", "changed", "left", "foreign"),
)
"""What a line may say beside time, level, event and owner."""

OWN = ("dispatcher", "jobs")
_DIGITS = re.compile(r"\d{7,}")  # in what a library says; a phone number has no fewer


class _Lines(logging.Formatter):
    """``owner`` is the process as its claims in the ledger know it, "" while it is none."""

    owner = ""

    def values(self, record: logging.LogRecord) -> dict[str, object]:
        """The record as facts, in the order in which they are read."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, object] = {"time": when, "level": record.levelname.lower(), "logger": record.name}
        told["event"] = _event(record)
        if self.owner:
            told["owner"] = self.owner
        told |= {name: value for name in FACTS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[1]:
            told["traceback"] = frames_of(record.exc_info[1])
        return told


class JsonLines(_Lines):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.values(record), default=str)


class TextLines(_Lines):
    """Time, level, logger, event and ``name=value``; a traceback on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        told = self.values(record)
        traceback = told.pop("traceback", None)
        head = [str(told.pop(name)) for name in ("time", "level", "logger", "event")]
        line = " ".join([*head, *(f"{name}={value}" for name, value in told.items())])
        return line if traceback is None else f"{line}\n{traceback}"


def log_to(stream: TextIO, level: str, form: str) -> None:
    """From now on events of this program from ``level`` up, and what libraries warn of, go to ``stream``.

    ``form``: text or json.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root, own = logging.getLogger(), level.upper()
    root.handlers = [each for each in root.handlers if not isinstance(each.formatter, _Lines)]
    root.addHandler(handler)
    # libraries tell of threads, connections and statements: none of that is about a campaign
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[own]))
    for name in OWN:
        logging.getLogger(name).setLevel(own)


@contextmanager
def owned_by(owner: str) -> Iterator[None]:
    """Lines name the owner of claims while the block lasts."""
    lines = [h.formatter for h in logging.getLogger().handlers if isinstance(h.formatter, _Lines)]
    for each in lines:
        each.owner = owner
    try:
        yield
    finally:
        for each in lines:
            each.owner = ""


def _event(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] in OWN:
        return record.getMessage()
    # a library's first line, without whatever may be a number in it: asyncio shows exceptions with their texts
    said = record.getMessage().partition("\n")[0]
    return _DIGITS.sub("…", said)
