"""Cells of a worksheet as XML.

Text is always an inline string: it needs no shared string table, and a text that starts with ``=`` stays a
text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from xml.sax.saxutils import escape

from dispatcher.report.rows import CellValue

LAST_COLUMN = 16_384  # XFD
LONGEST_TEXT = 32_767  # characters of a cell; Excel repairs a file that has more

# What XML 1.0 cannot hold, and CR (which every XML reader turns into LF), are written _xHHHH_ (ECMA-376,
# ST_Xstring); a text that already looks like that gets its underscore escaped.
_SPECIAL = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")

_ROW = "\0"  # stands for the number of a row; no text of a cell holds it

_WRITTEN_OTHERWISE = re.compile(f"{_SPECIAL.pattern}|[&<>]")
_ORDINARY = re.compile(r"[0-9A-Za-z+.:-]*")  # written as it is, wherever it begins and ends


def text_xml(text: str) -> str:
    """``text`` for the inside of ``<t>``; cut at what a cell can hold."""
    text = text[:LONGEST_TEXT]
    if _WRITTEN_OTHERWISE.search(text) is None:
        return text
    return escape(_SPECIAL.sub(lambda match: f"_x{ord(match[0]):04X}_", text))


def _are_ordinary(values: Collection[object]) -> bool:
    """Whether all are texts, such as message ids, that are written as they are."""
    texts = [value for value in values if isinstance(value, str) and len(value) <= LONGEST_TEXT]
    return len(texts) == len(values) and _ORDINARY.fullmatch("".join(texts)) is not None


@lru_cache(maxsize=4096)
def column_letters(column: int) -> str:
    """1 -> A, 27 -> AA."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


@lru_cache(maxsize=4096)
def column_number(letters: bytes) -> int:
    """A -> 1, AA -> 27."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


class CellWriter:
    """Writes cells under the namespace prefix of a sheet (``""`` or ``"x:"``)."""

    def __init__(self, prefix: str = "") -> None:
        c, is_, t, v = (f"{prefix}{tag}" for tag in ("c", "is", "t", "v"))
        self._text = f' t="inlineStr"><{is_}><{t}>%s</{t}></{is_}></{c}>'
        self._kept = f' t="inlineStr"><{is_}><{t} xml:space="preserve">%s</{t}></{is_}></{c}>'
        self._number = f"><{v}>%s</{v}></{c}>"
        self._open = f'<{c} r="'
        # Most columns of a report hold few different values; typed, because 1 and Decimal("1.00") look
        # different.
        self._inside = lru_cache(maxsize=2048, typed=True)(self._content)

    def cell(self, column: str, row: int, value: CellValue | float, style: str | None = None) -> str:
        """One cell; nothing for an empty value without a style.  ``style`` is the index of a cell format."""
        if style is not None:
            inside = "/>" if value is None or value == "" else self._inside(value)
            return f'{self._open}{column}{row}" s="{style}"{inside}'
        if value is None or value == "":
            return ""
        return f'{self._open}{column}{row}"{self._inside(value)}'

    def rows(self, numbers: Sequence[int], columns: Iterable[tuple[str, Sequence[CellValue]]]) -> list[bytes]:
        """The cells of many rows; ``columns`` are the letters and the values of each column.

        Numbers of one column that are equal are written alike.
        """
        cells = [found for letters, values in columns if (found := self._column(letters, values))]
        return [
            "".join(row).replace(_ROW, str(number)).encode()
            for number, *row in zip(numbers, *cells, strict=True)
        ]

    def _column(self, letters: str, values: Sequence[CellValue]) -> list[str]:
        """The cells of one column with a mark for the number of the row; nothing when all are empty."""
        different = set(values) - {None, ""}
        start = f'{self._open}{letters}{_ROW}"'
        if len(different) > len(values) // 2 and _are_ordinary(different):
            before, after = f"{start}{self._text}".split("%s")
            return [f"{before}{value}{after}" if value else "" for value in values]
        cells: dict[CellValue, str] = {
            value: f"{start}{self._content(value)}" for value in different if value is not None
        }
        return [cells.get(value, "") for value in values] if cells else []

    def _content(self, value: str | float | Decimal) -> str:
        if isinstance(value, str):
            form = self._kept if value[0].isspace() or value[-1].isspace() or "\n" in value else self._text
            return form % text_xml(value)
        return self._number % (format(value, "f") if isinstance(value, Decimal) else repr(value))
