"""Replacing the few characters that turn 160 characters into 70: ``--gsm7``, and what it would save.

A text is replaced as a whole or not at all: only when every character outside GSM-7 has a substitute a
reader would accept, and the text takes no more parts afterwards.  Anything else (an emoji, a Cyrillic name)
keeps the text in UCS-2, where substitutes would cost legibility and save nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dispatcher.campaign.alphabet import DOUBLE, OFFENDING, OUTSIDE, kinds_of
from dispatcher.campaign.characters import Flags, Numbers, text_bytes
from dispatcher.campaign.composition import ByCode
from dispatcher.campaign.outside import Outside, Piece
from dispatcher.campaign.segments import UNKNOWN_PARTS, count_parts, measure, parts_of_units

Rows = npt.NDArray[np.intp]

#: (characters, what stands for each of them)
_GROUPS: tuple[tuple[str, str], ...] = (
    ("\u2018\u2019\u201a\u201b\u2032\u02bc", "'"),  # curly quotes, prime, letter apostrophe
    ("\u00b4\u0060\u2039\u203a", "'"),  # accents standing alone, single angle quotes
    ("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    ("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022\u00b7\u2043", "-"),  # hyphens, dashes, minus, bullets
    ("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007", " "),  # spaces that do not break, ...
    ("\u2008\u2009\u200a\u202f\u205f\u3000\t", " "),  # ... or are wide or thin
    ("\u2028\u2029\u0085\u000b", "\n"),
    ("\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0e\ufe0f", ""),  # zero width, soft hyphen, variation selectors
    ("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", ""),  # direction marks
)
_SINGLE = {
    "À": "A'", "È": "E'", "Ì": "I'", "Ò": "O'", "Ù": "U'",
    "…": "...", "‥": "..", "⁄": "/", "∕": "/", "÷": ":", "×": "x", "±": "+/-", "≤": "<=", "≥": ">=",
    "ª": "a", "º": "o", "°": "o", "²": "^2", "³": "^3", "¹": "^1", "¼": " 1/4", "½": " 1/2", "¾": " 3/4",
    "™": "(TM)", "©": "(C)", "®": "(R)", "№": "No", "→": "->", "←": "<-", "¦": "|", "¢": "c",
    "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th",
    "ı": "i", "ŀ": "l", "Ŀ": "L", "ħ": "h", "Ħ": "H", "ẞ": "SS",
}  # fmt: skip
_TABLE = {character: group[1] for group in _GROUPS for character in group[0]} | _SINGLE


@lru_cache(maxsize=4096)
def substitute(character: str) -> str | None:
    """What stands for ``character`` in GSM-7, or None when nothing sensible does.

    Beyond the table: a Latin letter loses its accent (á -> a), a fullwidth form or a ligature becomes its
    plain letters, and an accent that composes with nothing goes.
    """
    if character in _TABLE:
        return _TABLE[character]
    if "\u0300" <= character <= "\u036f":
        return ""
    name = unicodedata.name(character, "")
    if not name.startswith(("LATIN ", "FULLWIDTH ")):
        return None
    base = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    return base if base and base != character and OFFENDING.search(base) is None else None


def to_gsm7(text: str) -> str:
    """``text`` (NFC) with substitutes where that makes the whole of it GSM-7, otherwise unchanged (NFC)."""
    text = unicodedata.normalize("NFC", text)
    replaced = _replaced(text, set(OFFENDING.findall(text)))
    return text if replaced is None else replaced


def to_gsm7_column(texts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """:func:`to_gsm7` of every row; None stays None."""
    result = texts.copy()
    for position, text in enumerate(texts.tolist()):
        if isinstance(text, str) and not (text.isascii() and OFFENDING.search(text) is None):
            result[position] = to_gsm7(text)
    return result


def _replaced(text: str, found: Iterable[str]) -> str | None:
    """The replaced text, or None where there is nothing to replace, no way to, or nothing gained."""
    replaced = text
    for character in found:
        plain = substitute(character)
        if plain is None:
            return None
        replaced = replaced.replace(character, plain)
    # A row of long substitutes can outgrow what UCS-2 needed; a text of nothing else would vanish.
    if not replaced.strip() or replaced is text or count_parts(replaced) > count_parts(text):
        return None
    return replaced


def parts_saved(texts: pa.Array, rows: Rows, parts: Numbers, outside: Outside) -> Numbers:
    """The parts that replacing saves on each of some ``rows`` of ``texts`` (NFC), which take ``parts`` now.

    ``outside`` are the rows' own characters.
    """
    characters, size = outside.characters, len(rows)
    plain = [substitute(chr(code)) for code in outside.codes.tolist()]
    measured = [measure(text or "") for text in plain]

    def in_each(of_code: list[int]) -> Numbers:
        return characters.sums(ByCode(outside.codes, of_code))

    doubles = characters.sums(lambda codes: kinds_of(codes) == DOUBLE)
    units = characters.lengths + doubles + in_each([found.units - 1 for found in measured])
    doubles += in_each([found.units - len(text or "") for found, text in zip(measured, plain, strict=True)])
    after = parts_of_units(units, doubles, np.zeros(size, np.bool_))
    hopeless = in_each([text is None for text in plain]) > 0
    saved = np.where(hopeless, 0, np.maximum(parts - after, 0))
    vanishing = ~_stay_visible(texts, rows)
    if vanishing.any():
        vanishing &= in_each([bool((text or "").strip()) for text in plain]) == 0
    for place in np.flatnonzero(~hopeless & (vanishing | (after == UNKNOWN_PARTS))).tolist():
        saved[place] = _saved_on(texts[int(rows[place])].as_py(), int(parts[place]))
    return saved


def _stay_visible(texts: pa.Array, rows: Rows) -> Flags:
    """Which of the rows' texts begin with a letter or sign of GSM-7's ASCII, so that something is left of them; of the
    rest something may be left too.
    """
    data, ends = text_bytes(texts)
    begin = ends[rows]
    first = data[np.minimum(begin, len(data) - 1)].astype(np.int64)
    stays: Flags = (first > ord(" ")) & (first < 0x80) & (kinds_of(first) != OUTSIDE)
    return stays & (ends[rows + 1] > begin)


def _saved_on(text: str, parts: int) -> int:
    replaced = _replaced(text, set(OFFENDING.findall(text)))
    return 0 if replaced is None else parts - count_parts(replaced)


@dataclass
class CharacterSavings:
    """One character outside GSM-7: the ``rows`` it stands in, the ``parts`` ``--gsm7`` would save on them.

    ``substitute`` is None for a character that has none.  A row with several such characters counts for each:
    these figures do not add up to the totals.
    """

    substitute: str | None
    rows: int = 0
    parts: int = 0


@dataclass
class Savings:
    """What ``--gsm7`` would save: ``parts`` fewer on ``rows``, of ``ucs2_rows`` with ``ucs2_parts`` now."""

    rows: int = 0
    parts: int = 0
    ucs2_rows: int = 0
    ucs2_parts: int = 0
    characters: dict[str, CharacterSavings] = field(default_factory=dict)

    def add(self, text: str, parts: int) -> None:
        """Count one text (NFC) in that takes ``parts`` now; a text in GSM-7 changes nothing."""
        found = set(OFFENDING.findall(text))
        if not found:
            return
        saved = _saved_on(text, parts)
        self.rows += saved > 0
        self.parts += saved
        self.ucs2_rows += 1
        self.ucs2_parts += parts
        for character in found:
            self._of(character).rows += 1
            self._of(character).parts += saved

    def add_column(self, texts: pa.Array, rows: Rows, parts: Numbers, outside: Outside) -> Numbers:
        """:meth:`add` for some ``rows`` of ``texts`` (NFC), none of them in GSM-7, but for their characters, which
        :meth:`add_characters` counts; gives the parts saved on each.

        ``parts`` and ``outside`` are the rows' own.
        """
        saved = parts_saved(texts, rows, parts, outside)
        self.rows += int(np.count_nonzero(saved))
        self.parts += int(saved.sum())
        self.ucs2_rows += len(rows)
        self.ucs2_parts += int(parts.sum())
        return saved

    def add_characters(self, piece: Piece, saved: Numbers) -> None:
        """Count the characters of some of the rows in; ``saved`` has the parts saved on each of these."""
        parts = piece.there @ saved
        for code, there, n in zip(piece.codes.tolist(), piece.there, parts.tolist(), strict=True):
            if there.any():
                self._of(chr(code)).rows += int(np.count_nonzero(there))
                self._of(chr(code)).parts += n

    def _of(self, character: str) -> CharacterSavings:
        known = self.characters.get(character)
        if known is None:
            known = self.characters[character] = CharacterSavings(substitute(character))
        return known
