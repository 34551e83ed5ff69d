"""Everything that can go wrong, as one small tree.

Each error carries a *code* (stable, English, for machines) and the facts a person needs: file, sheet,
row, column, what was found.  The sentence a person reads lives in the catalogue under ``errors.<code>``
(``dispatcher/wording/<language>/*.toml``: ``message``, and optionally ``expected`` and ``hint``), so the
same error can be read in any language and never holds prose.

    DispatcherError          anything this program reports; never a traceback for the user
    ├── UsageError           a flag or a setting is wrong or contradicts another      -> exit 2
    ├── FileError            the file cannot become a campaign                        -> exit 3
    ├── Halted               stopped on purpose: halted, held, or the answer was no   -> exit 4
    ├── Unreachable          gateway, database or broker does not answer              -> exit 5
    └── Interrupted          Ctrl-C, or the machine asked to end                      -> exit 130

An exception outside this tree is a bug in dispatcher (exit 70).
"""

from __future__ import annotations

import traceback
from typing import Any, ClassVar


class DispatcherError(Exception):
    """Something a person has to know.  ``code`` names the entry in the catalogue; the rest are facts.

    ``params`` fill the placeholders of the catalogue's sentences, as do the named facts.
    """

    exit_code: ClassVar[int] = 70

    def __init__(
        self,
        code: str,
        *,
        file: str | None = None,
        sheet: str | None = None,
        row: int | None = None,
        column: str | None = None,
        found: str | None = None,
        **params: Any,
    ) -> None:
        self.code = code
        self.file = file
        self.sheet = sheet
        self.row = row
        self.column = column
        self.found = found
        self.params = params
        super().__init__(code)

    def facts(self) -> dict[str, Any]:
        """All values a sentence of the catalogue may name."""
        named = {
            "file": self.file,
            "sheet": self.sheet,
            "row": self.row,
            "column": self.column,
            "found": self.found,
        }
        return {**named, **self.params}

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value!r}" for name, value in self.facts().items() if value is not None)
        return f"{self.code} ({facts})" if facts else self.code


class UsageError(DispatcherError):
    """A flag or a setting is wrong, missing, or contradicts another."""

    exit_code = 2


class FileError(DispatcherError):
    """The file cannot become a campaign; nothing was touched."""

    exit_code = 3


class Halted(DispatcherError):
    """Stopped on purpose: the campaign is halted or held, or the person's answer was no."""

    exit_code = 4


class Unreachable(DispatcherError):
    """The gateway, the database or the broker does not answer."""

    exit_code = 5


class Interrupted(DispatcherError):
    """A person or the machine ended the program; the same command goes on."""

    exit_code = 130


def frames_of(error: BaseException) -> str:
    """A traceback without values: its lines are code, while an exception's text may hold a number or a message."""
    lines = [*traceback.format_tb(error.__traceback__), type(error).__name__]
    if cause := error.__cause__ or error.__context__:
        lines += ["\ncaused by:\n", *traceback.format_tb(cause.__traceback__), type(cause).__name__]
    return "".join(lines)
