"""The operator's own list of words that must never go out: looked for before anything is asked of the gateway."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from dispatcher.campaign.reasons import PlanStatus
from dispatcher.errors import UsageError

if TYPE_CHECKING:
    from dispatcher.campaign.plan import PlanChunk

MAX_BYTES = 1_000_000
_WORD = re.compile(r"[^\W_]+")


class ForbiddenWords:
    """Words and phrases, found in any case and compatibility form, as whole words.

    Separators make no difference: ``casino`` is found in ``CASINO!``, ``c.a.s.i.n.o``, ``c a s i n o`` and ``ca-sino``,
    not in ``casinos``.  An entry without letters or digits is found as it is.
    """

    def __init__(self, entries: Iterable[str], file: Path | None = None) -> None:
        self.file = file  # where it was read from
        self._entries: dict[str, str] = {}  # letters and digits of an entry -> the entry as written
        self._signs: dict[str, str] = {}
        for entry in entries:
            letters = "".join(_words(entry))
            if letters:
                self._entries.setdefault(letters, entry)
            else:
                self._signs.setdefault(_plain(entry), entry)
        self._beginnings = {letters[:n] for letters in self._entries for n in range(1, len(letters) + 1)}

    @classmethod
    def load_if_named(cls, path: Path | None) -> Self | None:
        """:meth:`load`, or None where no list was named."""
        return None if path is None else cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """From a UTF-8 file, one entry a line; blank lines and lines that begin with ``#`` say nothing.

        UsageError ``forbid_file`` when it cannot be read, or holds no entry.
        """
        try:
            if path.stat().st_size > MAX_BYTES:
                raise UsageError("forbid_file", file=str(path), found=f"{path.stat().st_size} bytes")
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError("forbid_file", file=str(path), found=type(error).__name__) from error
        entries = [line.strip() for line in text.splitlines()]
        entries = [entry for entry in entries if entry and not entry.startswith("#")]
        if not entries:
            raise UsageError("forbid_file_empty", file=str(path))
        return cls(entries, path.absolute())

    def find(self, text: str) -> str | None:
        """The entry, as the list writes it, that the text holds first; None when it holds none."""
        words = _words(text)
        for start, joined in enumerate(words):
            end = start
            while joined in self._beginnings:
                if joined in self._entries:
                    return self._entries[joined]
                end += 1
                if end == len(words):
                    break
                joined += words[end]
        if not self._signs:
            return None
        plain = _plain(text)
        return next((entry for sign, entry in self._signs.items() if sign in plain), None)


def listed_rows(chunk: PlanChunk, words: ForbiddenWords) -> Counter[str]:
    """How many rows that would be sent each entry of the list keeps back, for its sender or else its text."""
    found: Counter[str] = Counter()
    senders: dict[str, str | None] = {}
    for i in np.flatnonzero(chunk.status.equals(PlanStatus.READY)).tolist():
        sender = chunk.sender[i] or ""
        if sender not in senders:
            senders[sender] = words.find(sender)
        entry = senders[sender] or words.find(chunk.text[i].as_py())
        if entry is not None:
            found[entry] += 1
    return found


def _plain(text: str) -> str:
    # once more after folding: the case of a letter can be several characters that compose anew
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _words(text: str) -> list[str]:
    return _WORD.findall(_plain(text))
