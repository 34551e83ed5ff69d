"""What a command prints: text for people, or exactly one JSON object on standard output."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

from dispatcher.errors import DispatcherError
from dispatcher.wording import Wording


class Output:
    """Prints for people, or with ``as_json`` one object for scripts and everything else to standard error.

    A reader who goes away (``| head``), or a full disk behind ``>``, ends the printing and nothing else: what is being
    sent goes on to its end.  A full disk is told of, and data that it had no room for leaves :class:`Lost` behind.
    """

    def __init__(self, *, as_json: bool, wording: Wording, only_lines: bool = False) -> None:
        """``only_lines``: standard error is for a program that reads the log as JSON lines, and holds nothing else."""
        self.as_json = as_json
        self.wording = wording
        self._only_lines = only_lines
        self.data = as_json  # standard output is for data; lines for people go to standard error
        self.is_read = True  # False once something could not be printed

    def say(self, text: str = "") -> None:
        """A line for people."""
        if not (self.as_json and self._only_lines):
            self._write(self._for_people(), text + "\n")

    def ask(self, text: str) -> None:
        """The end of a question, the cursor behind it."""
        self._write(self._for_people(), text + " ")

    def tell(self, name: str, **values: Any) -> None:
        """A line for people, by its name in the catalogue."""
        self.say(self.wording(name, **values))

    def warn(self, text: str) -> None:
        """A line for people that must be seen even when standard output goes to a file."""
        if not self._only_lines:
            self._write(sys.stderr, text + "\n")

    def result(self, values: Mapping[str, Any]) -> None:
        """The command's result; printed only for scripts."""
        if self.as_json:
            self.data_line(json.dumps(values, default=for_scripts) + "\n")

    def data_line(self, text: str) -> None:
        """A piece of what standard output is for, exactly as it is."""
        if not self._write(sys.stdout, text):
            sys.stdout = Lost()

    def error(self, error: DispatcherError) -> None:
        """An error: an object for scripts (in English), two or three lines for people (in their language)."""
        self.result(self.error_values(error))
        self.explain(error)

    def error_values(self, error: DispatcherError) -> dict[str, Any]:
        """The error for scripts."""
        english = Wording("en").error(error)
        named = {name: getattr(error, name) for name in ("file", "sheet", "row", "column", "found")}
        return {"error": {"code": error.code, **english, **named}}

    def explain(self, error: DispatcherError) -> None:
        """The error for people."""
        for line in error_lines(error, self.wording):
            self._write(sys.stderr, line + "\n")

    def _for_people(self) -> Any:
        return sys.stderr if self.data else sys.stdout

    def _write(self, stream: Any, text: str) -> bool:
        """False where somebody wanted the text and will not have it."""
        try:
            _print(stream, text)
        except OSError as error:
            self.is_read = False
            silence(stream)
            if stream is not sys.stdout or isinstance(error, BrokenPipeError):
                return True
            self.warn(self.wording("labels.output_lost", found=error.strerror))
            return False
        return True


class Lost(io.TextIOBase):
    """Standard output after data for it could not be written; what more is printed is lost as well."""

    def write(self, text: str, /) -> int:
        """Nothing is kept."""
        return len(text)


def known(cost: Decimal | None, unpriced_rows: int) -> Decimal | None:
    """A sum of the known prices; None when no price in it is known, since that is not the same as free."""
    return None if unpriced_rows and not cost else cost


def error_lines(error: DispatcherError, wording: Wording) -> list[str]:
    """What a person reads: the problem, what was expected, what to do next."""
    texts, named = wording.error(error), wording.named(error)
    where = [
        wording(f"labels.{name}", value=value)
        for name in ("file", "sheet", "row", "column")
        # a fact that the sentence already names is not said twice
        if (value := getattr(error, name)) is not None and name not in named
    ]
    prefix = f"{', '.join(where)}: " if where else ""
    lines = [wording("labels.error", text=prefix + (texts["message"] or error.code))]
    if texts["expected"]:
        lines.append(wording("labels.expected", text=texts["expected"]))
    if texts["hint"]:
        lines.append(wording("labels.hint", text=texts["hint"]))
    return lines


def silence(stream: Any) -> None:
    """Let everything more that is printed there, and what is still in its buffer, go nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


def _print(stream: Any, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        # a console that cannot show a character gets a stand-in, not a traceback
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


def for_scripts(value: object) -> object:
    """A value in JSON: money and times as text."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
