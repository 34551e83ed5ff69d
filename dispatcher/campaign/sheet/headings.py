"""The heading row: which columns count, and what makes a first row no heading row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dispatcher.errors import FileError

REPORT_PREFIX = "sms_"

# Six digits or more with the usual separators, 3.93E+11, or an e-mail address: a cell of data, not a heading.
_DATA = re.compile(r"'?\+?[\d\s().,/\-]+|[\d.,]+[eE]\+?\d+|[^@\s]+@[^@\s]+\.[^@\s]+")
_DIGITS_OF_DATA = 6


@dataclass(frozen=True)
class Headings:
    """The columns of a sheet.

    names   headings kept, in order        kept     their positions (0-based)
    unnamed positions without a heading: allowed while blank
    width   columns the heading row has    needed   columns a row must have to fill every kept heading
    ours    positions of an earlier report's columns, by their names in lower case; of two alike the first
    """

    names: tuple[str, ...]
    kept: tuple[int, ...]
    unnamed: tuple[int, ...]
    width: int
    ours: Mapping[str, int] = field(default_factory=dict)

    @property
    def needed(self) -> int:
        return self.kept[-1] + 1


def column_letter(position: int) -> str:
    """0 -> A, 25 -> Z, 26 -> AA: the name a spreadsheet program shows."""
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def comparable(heading: str) -> str:
    """Headings are the same when they differ only in case, spaces, ``_`` and ``-``."""
    return re.sub(r"[\s_\-]", "", heading).casefold()


def read_headings(cells: Sequence[str], *, file: str, sheet: str | None, row: int) -> Headings:
    """The columns named by ``cells``, the first non-blank row of the sheet.

    Raises FileError: ``sheet_no_headings``, ``sheet_duplicate_heading``.
    """
    texts = [cell.replace("\0", "").strip() for cell in cells]
    for position, text in enumerate(texts):
        if _looks_like_data(text):
            raise FileError(
                "sheet_no_headings",
                file=file,
                sheet=sheet,
                row=row,
                column=column_letter(position),
                found=_short(text),
            )
    kept = [i for i, text in enumerate(texts) if text and not text.lower().startswith(REPORT_PREFIX)]
    if not kept:
        raise FileError("sheet_no_headings", file=file, sheet=sheet, row=row, found=_short(" ".join(texts)))
    seen: dict[str, int] = {}
    for position in kept:
        first = seen.setdefault(comparable(texts[position]), position)
        if first != position:
            raise FileError(
                "sheet_duplicate_heading",
                file=file,
                sheet=sheet,
                row=row,
                column=column_letter(position),
                found=_short(texts[position]),
                first=column_letter(first),
            )
    unnamed = tuple(i for i, text in enumerate(texts) if not text)
    ours: dict[str, int] = {}
    for position, text in enumerate(texts):
        if text.lower().startswith(REPORT_PREFIX):
            ours.setdefault(text.lower(), position)
    return Headings(tuple(texts[i] for i in kept), tuple(kept), unnamed, len(texts), ours)


def _looks_like_data(text: str) -> bool:
    if _DATA.fullmatch(text) is None:
        return False
    return "@" in text or "e" in text.lower() or sum(map(str.isdigit, text)) >= _DIGITS_OF_DATA


def _short(text: str) -> str:
    """Enough to recognise the cell; a phone number is never shown whole."""
    digits = [i for i, character in enumerate(text) if character.isdigit()]
    if len(digits) >= _DIGITS_OF_DATA:
        masked = set(digits[3:-2])
        text = "".join("*" if i in masked else character for i, character in enumerate(text))
    return text if len(text) <= 40 else text[:39] + "…"
