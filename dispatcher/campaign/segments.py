"""How many parts a text is sent in: exactly, by walking it, and fast for whole columns.

GSM-7 holds 160 septets in a single part and 153 in each part of a split text; UCS-2 holds 70 and 67 UTF-16
units.  A character of the extension table is two septets and an astral character two units; neither is ever
cut in half, so a part can end one short and dividing would count too few.  CR and LF are one septet each.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.alphabet import (
    BASIC_CHARACTERS,
    DOUBLE,
    EXTENSION_CHARACTERS,
    OFFENDING,
    OUTSIDE,
    is_gsm7,
    kinds_of,
)
from dispatcher.campaign.characters import (
    Flags,
    Numbers,
    arrow_texts,
    may_compose,
)
from dispatcher.campaign.coded import Coded
from dispatcher.campaign.composition import Composition

#: The longest text that is sent, in parts: 1,530 septets or 670 UTF-16 units.  Handsets and operators join
#: split texts reliably up to about here; more is nearly always a mistake in the spreadsheet.
MAX_PARTS = 10


class Encoding(StrEnum):
    """How a text travels; the gateway's own names."""

    # Enum's own is a Python function, and a million rows are counted by these
    __hash__ = str.__hash__

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class Segments:
    """``units`` are septets (GSM-7) or UTF-16 code units (UCS-2); an empty text has no parts."""

    encoding: Encoding
    units: int
    parts: int


@dataclass(frozen=True, slots=True)
class SegmentColumn:
    """One :class:`Segments` per row, as columns; a row without text (None, NA) counts as empty."""

    encoding: Coded  # Encoding
    units: np.ndarray[Any, Any]  # int32
    parts: np.ndarray[Any, Any]  # int32


@dataclass(frozen=True, slots=True)
class _Limits:
    alone: int
    joined: int


_LIMITS = {Encoding.GSM7: _Limits(160, 153), Encoding.UCS2: _Limits(70, 67)}
_EXTENSION = frozenset(EXTENSION_CHARACTERS)
_ENCODINGS = (Encoding.GSM7, Encoding.UCS2)
#: Of UCS-2; any character beyond takes two units.
_LAST_OF_TWO_BYTES = 0xFFFF
#: What :func:`parts_of_units` says where arithmetic is not enough.
UNKNOWN_PARTS = -1


def measure(text: str) -> Segments:
    """Encoding, units and parts of ``text`` in its composed form (NFC)."""
    text = unicodedata.normalize("NFC", text)
    encoding = Encoding.GSM7 if is_gsm7(text) else Encoding.UCS2
    units = sum(_widths(text, encoding))
    return Segments(encoding, units, _count(text, encoding, units))


def split(text: str) -> list[str]:
    """The parts as they travel; joined they are the text in its composed form (NFC)."""
    text = unicodedata.normalize("NFC", text)
    encoding = Encoding.GSM7 if is_gsm7(text) else Encoding.UCS2
    if sum(_widths(text, encoding)) <= _LIMITS[encoding].alone:
        return [text] if text else []
    starts = [*_starts(text, encoding), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(starts)]


def measure_column(texts: pa.Array | Collection[str | None]) -> SegmentColumn:
    """What :func:`measure` says of every row, a tenth of a microsecond each; any column of text, pandas' too."""
    column = arrow_texts(texts)
    if column is None:  # what Arrow cannot hold is walked
        return _segment_column([_measured(text) for text in list(texts)])
    column = pc.fill_null(column, "")
    return measure_texts(column, Composition.of(column))


def measure_texts(texts: pa.Array, characters: Composition) -> SegmentColumn:
    """:func:`measure_column` of Arrow texts without nulls, whose unusual ``characters`` are known."""
    ucs2 = characters.having(lambda codes: kinds_of(codes) == OUTSIDE)
    astral = characters.sums(lambda codes: codes > _LAST_OF_TWO_BYTES)
    extended = characters.sums(lambda codes: kinds_of(codes) == DOUBLE)
    doubles = np.where(ucs2, astral, extended)
    units = characters.lengths + doubles
    parts = parts_of_units(units, doubles, ucs2)
    for row in np.flatnonzero((parts == UNKNOWN_PARTS) | characters.having(may_compose)).tolist():
        ucs2[row], units[row], parts[row] = _measured(texts[row].as_py())
    encoding = Coded(ucs2.astype(np.intp), _ENCODINGS)
    return SegmentColumn(encoding, units.astype(np.int32), parts.astype(np.int32))


def parts_of_units(units: Numbers, doubles: Numbers, ucs2: Flags) -> Numbers:
    """The parts of texts by arithmetic; ``UNKNOWN_PARTS`` where only the walk can tell."""
    plain, wide = _LIMITS[Encoding.GSM7], _LIMITS[Encoding.UCS2]
    joined = np.where(ucs2, wide.joined, plain.joined)
    fewest = -(-units // joined)
    # Each part but the last holds at least one unit less than the limit, so the walk lies between these two.
    unknown = (doubles > 0) & (fewest != -(-units // (joined - 1)))
    alone = units <= np.where(ucs2, wide.alone, plain.alone)
    return np.where(alone, np.minimum(units, 1), np.where(unknown, UNKNOWN_PARTS, fewest))


def _measured(text: object) -> tuple[bool, int, int]:
    return _measure_fast(text) if isinstance(text, str) else (False, 0, 0)


def _segment_column(measured: list[tuple[bool, int, int]]) -> SegmentColumn:
    table = np.array(measured, dtype=np.int32).reshape(-1, 3)
    encoding = Coded(table[:, 0].astype(np.intp), _ENCODINGS)
    return SegmentColumn(encoding, table[:, 1].copy(), table[:, 2].copy())


def count_parts(text: str) -> int:
    """``measure(text).parts``, without the walk where arithmetic is enough."""
    return _measure_fast(text)[2]


def _widths(text: str, encoding: Encoding) -> Iterator[int]:
    if encoding is Encoding.GSM7:
        return (2 if character in _EXTENSION else 1 for character in text)
    return (2 if character > "\uffff" else 1 for character in text)


def _count(text: str, encoding: Encoding, units: int) -> int:
    if units <= _LIMITS[encoding].alone:
        return 1 if text else 0
    return sum(1 for _ in _starts(text, encoding))


def _starts(text: str, encoding: Encoding) -> Iterator[int]:
    """Where each part of a text that has to be split begins."""
    limit = _LIMITS[encoding].joined
    used = limit  # full: the first character opens the first part
    for position, width in enumerate(_widths(text, encoding)):
        if used + width > limit:
            yield position
            used = 0
        used += width


# The fast way, equal to the walk.

_PLAIN_BYTES = bytes(ord(character) for character in BASIC_CHARACTERS if character < "\x80")
_PLAIN = re.compile(f"[{re.escape(BASIC_CHARACTERS)}]*")
_DOUBLE_BYTES = frozenset(ord(character) for character in EXTENSION_CHARACTERS if character < "\x80")
_DOUBLE = re.compile(f"[{re.escape(EXTENSION_CHARACTERS)}]")


def _measure_fast(text: str) -> tuple[bool, int, int]:
    """(is UCS-2, units, parts)."""
    length = len(text)
    if text.isascii():
        rest = text.encode().translate(None, _PLAIN_BYTES)
        if not rest or _DOUBLE_BYTES.issuperset(rest):
            return _gsm7(text, length, len(rest))
        return _ucs2(text, length)
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
        length = len(text)
    end = _PLAIN.match(text).end()  # type: ignore[union-attr]  # the pattern matches the empty text
    if end == length:
        return _gsm7(text, length, 0)
    if OFFENDING.search(text, end):
        return _ucs2(text, length)
    return _gsm7(text, length, len(_DOUBLE.findall(text, end)))


def _gsm7(text: str, length: int, doubles: int) -> tuple[bool, int, int]:
    return False, length + doubles, _parts(text, Encoding.GSM7, length + doubles, doubles)


def _ucs2(text: str, length: int) -> tuple[bool, int, int]:
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return True, units, _parts(text, Encoding.UCS2, units, units - length)


def _parts(text: str, encoding: Encoding, units: int, doubles: int) -> int:
    limits = _LIMITS[encoding]
    if units <= limits.alone:
        return 1 if units else 0
    fewest = -(-units // limits.joined)
    # Each part but the last holds at least one unit less than the limit, so the walk lies between these two.
    if not doubles or fewest == -(-units // (limits.joined - 1)):
        return fewest
    return sum(1 for _ in _starts(text, encoding))
