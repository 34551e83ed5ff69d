"""CSV records, read one by one and with suspicion: what the fast reader must equal.

A quote opens a field only at its beginning.  A quoted field must close before a delimiter or a line end; if
it does not, if it is longer than any spreadsheet cell, or if it swallows lines that are rows of this very
table, the quote was never meant to open anything: that line alone is unreadable and reading goes on with the
next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A cell of a spreadsheet holds 32,767 characters; a "quoted field" beyond that is a quote that never closes.
LONGEST_FIELD = 32_767

_LINE_END = re.compile(r"\r\n|\n|\r")
_PHONE = re.compile(r"\s*\+?[\d ]{8,}\s*")


@dataclass(frozen=True, slots=True)
class Record:
    """One record; ``fields`` of an unreadable one are what a plain split of its line gives."""

    fields: list[str]
    readable: bool = True


class _Malformed(Exception):
    """The quotes of this record cannot be right."""


class _NeedsMore(Exception):
    """The text ends before the record does."""


@dataclass(frozen=True, slots=True)
class RecordParser:
    """Splits text into records.

    ``width`` is the number of columns where it is known; it only serves to recognise swallowed rows.
    """

    delimiter: str
    width: int = 0

    def parse(self, text: str, at_end: bool, limit: int | None = None) -> tuple[list[Record], int]:
        """All complete records of ``text`` (at most ``limit``) and how many characters they take.

        ``at_end``: no text follows, so the last record is complete even without a line end.
        """
        found: list[Record] = []
        position = 0
        while position < len(text) and (limit is None or len(found) < limit):
            try:
                record, position = self._record(text, position, at_end)
            except _NeedsMore:
                break
            found.append(record)
        return found, position

    def swallows_rows(self, field: str) -> bool:
        """Whether a quoted field holds a line that is a row of this table: its width, and a phone in it."""
        if self.width < 2 or ("\n" not in field and "\r" not in field):
            return False
        for line in _LINE_END.split(field)[1:]:
            parts = line.split(self.delimiter)
            if len(parts) == self.width and any(_PHONE.fullmatch(part) for part in parts):
                return True
        return False

    def _record(self, text: str, start: int, at_end: bool) -> tuple[Record, int]:
        line_end, following = _line(text, start, at_end)
        line = text[start:line_end]
        if not line.startswith('"') and f'{self.delimiter}"' not in line:  # no quote opens anything
            return Record(line.split(self.delimiter), "\0" not in line), following
        try:
            fields, following = self._quoted(text, start, at_end)
        except _Malformed:
            return Record(line.split(self.delimiter), readable=False), following
        return Record(fields, not any("\0" in field for field in fields)), following

    def _quoted(self, text: str, position: int, at_end: bool) -> tuple[list[str], int]:
        fields: list[str] = []
        while True:
            if text.startswith('"', position):
                field, position = self._quoted_field(text, position, at_end)
            else:
                field, position = self._plain_field(text, position, at_end)
            fields.append(field)
            if text.startswith(self.delimiter, position):
                position += 1
                continue
            _, following = _line(text, position, at_end)
            return fields, following

    def _plain_field(self, text: str, start: int, at_end: bool) -> tuple[str, int]:
        line_end, _ = _line(text, start, at_end)
        end = text.find(self.delimiter, start, line_end)
        end = line_end if end < 0 else end
        return text[start:end], end

    def _quoted_field(self, text: str, start: int, at_end: bool) -> tuple[str, int]:
        close = self._closing_quote(text, start, at_end)
        field = text[start + 1 : close].replace('""', '"')
        if self.swallows_rows(field):
            raise _Malformed
        rest, end = self._plain_field(text, close + 1, at_end)
        if rest.strip(" \t"):  # text after the closing quote: which of the quotes was meant?
            raise _Malformed
        return field + rest, end

    def _closing_quote(self, text: str, start: int, at_end: bool) -> int:
        position = start + 1
        # doubled quotes count twice here, so twice the cell is the bound of what is looked at
        bound = start + 2 * LONGEST_FIELD
        while True:
            close = text.find('"', position, bound)
            if close < 0:
                if at_end or len(text) >= bound:
                    raise _Malformed
                raise _NeedsMore
            if text.startswith('"', close + 1):
                position = close + 2
                continue
            if close + 1 == len(text) and not at_end:
                raise _NeedsMore
            if close - start > LONGEST_FIELD + text.count('""', start + 1, close):
                raise _Malformed
            return close


def is_blank(fields: Sequence[str]) -> bool:
    """Whether a record has nothing but white space (and the NULs of a file that was padded)."""
    return not any(field.replace("\0", "").strip() for field in fields)


def _line(text: str, start: int, at_end: bool) -> tuple[int, int]:
    """End of the line that begins at ``start`` and the beginning of the next."""
    found = _LINE_END.search(text, start)
    if found is None:
        if not at_end:
            raise _NeedsMore
        return len(text), len(text)
    if found.end() == len(text) and found.group() == "\r" and not at_end:
        raise _NeedsMore  # perhaps the \n of this \r is still to come
    return found.start(), found.end()
