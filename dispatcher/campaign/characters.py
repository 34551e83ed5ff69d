"""The unusual characters of a column of texts, found in its bytes: where each stands and what it is.

Nearly all characters of a message are plain.  One look into a table per byte finds the few that are not, and only
those are decoded, so a column of a hundred million characters costs about as much as reading it once.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

# Bytes of a character by its first byte, in UTF-8; 0 is a byte inside a character.
_WIDTHS = np.ones(256, np.uint8)
_WIDTHS[0x80:0xC0], _WIDTHS[0xC0:0xE0], _WIDTHS[0xE0:0xF0], _WIDTHS[0xF0:] = 0, 2, 3, 4
_FIRST_WIDE = np.uint8(0xC0)  # a byte of 0x80 to 0xBF is inside a character
_SIGNS = tuple((np.uint8(first), np.uint8(size)) for first, size in ((0x00, 0x20), (0x5B, 6), (0x7B, 5)))
_FIRST_BITS = np.array([0, 0x7F, 0x1F, 0x0F, 0x07], np.uint32)
#: Where no character joins the one before it, whatever that is, unless its own class says so.
_SAFE_RANGES = ((0x370, 0x900), (0x1E00, 0x3000), (0x3400, 0xA000), (0xFF00, 0xFFFE), (0x1F000, 0x1FB00))
#: Up to here every character stays itself; here the accents begin that join the letter before them.
_LATIN_END = 0x300


@dataclass(frozen=True)
class Unusual:
    """``rows`` and ``codes`` have an entry for each unusual character of the texts, in order: the text it stands in,
    and its code point.  ``lengths`` has the number of all characters of each text.
    """

    rows: Numbers
    codes: Numbers
    lengths: Numbers

    def at(self, texts: npt.NDArray[np.integer[Any]]) -> Unusual:
        """Of some of the texts, by their positions in ascending order."""
        place = np.full(len(self.lengths), -1, np.int64)
        place[texts] = np.arange(len(texts))
        rows = place[self.rows]
        chosen = rows >= 0
        return Unusual(rows[chosen], self.codes[chosen], self.lengths[texts])

    def of_texts(self, first: int, last: int) -> Unusual:
        """Of the texts from ``first`` to before ``last``."""
        start, end = np.searchsorted(self.rows, [first, last])
        return Unusual(self.rows[start:end] - first, self.codes[start:end], self.lengths[first:last])

    def sums(self, weights: Numbers | Flags) -> Numbers:
        """The sum of what each text's characters weigh; ``weights`` has an entry a character."""
        return np.bincount(self.rows, weights, len(self.lengths)).astype(np.int64)

    def table(self, codes: Numbers) -> Flags:
        """Which of ``codes`` (ascending; one a line) stand in which text."""
        there = np.zeros((len(codes), len(self.lengths)), np.bool_)
        if len(codes):
            place, known = looked_up(self.codes, codes)
            there[place[known], self.rows[known]] = True
        return there

    def rows_with(self, chosen: Flags) -> Flags:
        """Which texts have one of the ``chosen`` characters."""
        found = np.zeros(len(self.lengths), np.bool_)
        found[self.rows[chosen]] = True
        return found


def unusual_characters(texts: pa.Array, *, signs: bool = False) -> Unusual:
    """Every character of ``texts`` (no nulls) that is not ASCII.

    With ``signs`` also those of ASCII that are neither a letter, a digit nor a usual sign: control characters,
    line ends, brackets other than round ones, ``\\ ^ _ ` | ~``.
    """
    data, ends = text_bytes(texts)
    interesting = data >= _FIRST_WIDE
    if signs:
        for begin, size in _SIGNS:
            interesting |= (data - begin) < size  # below begin it wraps around to a large number
    places = np.flatnonzero(interesting)
    first = data[places]
    width = _WIDTHS[first]
    codes = (first & _FIRST_BITS[width]).astype(np.int64)
    for position in range(1, int(width.max(initial=1))):
        longer = np.flatnonzero(width > position)
        codes[longer] = (codes[longer] << 6) | (data[places[longer] + position] & 0x3F)
    before = np.searchsorted(places, ends)
    in_each = np.diff(before)
    rows = np.repeat(np.arange(len(in_each)), in_each)
    surplus = np.concatenate([[0], np.cumsum(width - np.uint8(1), dtype=np.int64)])[before]
    return Unusual(rows, codes, np.diff(ends) - np.diff(surplus))


def looked_up(wanted: Numbers, codes: Numbers) -> tuple[Numbers, Flags]:
    """Where each of ``wanted`` stands among ``codes`` (ascending, one at least), and whether it stands there at all."""
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return place, codes[place] == wanted


def flags(array: Any) -> Flags:
    """An Arrow column of booleans for numpy."""
    return np.asarray(array.to_numpy(zero_copy_only=False), np.bool_)


def text_bytes(texts: pa.Array) -> tuple[Bytes, Numbers]:
    """The bytes of all texts together; where the first begins and each one ends in them."""
    offset_type = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    if not len(texts) or offsets is None:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    skipped = texts.offset * np.dtype(offset_type).itemsize
    ends: Numbers = np.frombuffer(offsets, offset_type, len(texts) + 1, skipped).astype(np.int64)
    if data is None:
        return np.zeros(0, np.uint8), ends
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]], ends - ends[0]


def arrow_texts(values: Any) -> pa.Array | None:
    """Any column of text as one Arrow array, missing ones null.

    None when Arrow cannot hold it: half a surrogate pair, or something else than text.
    """
    try:
        texts = pa.array(values, from_pandas=True)
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        if isinstance(texts, pa.ChunkedArray):  # what older versions of Arrow return
            texts = texts.chunk(0)
    except (pa.ArrowException, UnicodeEncodeError):
        return None
    if pa.types.is_null(texts.type):
        return texts.cast(pa.string())
    is_text = pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)
    return texts if is_text else None


def may_not_be_composed(unusual: Unusual) -> Flags:
    """Which texts may differ from their composed form (NFC); False is certain, where all non-ASCII was looked for."""
    return unusual.rows_with(may_compose(unusual.codes))


def composed(texts: pa.Array) -> pa.Array:
    """The texts (no nulls) in their composed form (NFC)."""
    unusual = unusual_characters(texts)
    odd = pa.array(may_not_be_composed(unusual))
    if not odd.true_count:
        return texts
    plain = [unicodedata.normalize("NFC", text) for text in texts.filter(odd).to_pylist()]
    return pc.replace_with_mask(texts, odd, pa.array(plain, texts.type))


def may_compose(codes: Numbers) -> Flags:
    """Which characters may be others in a composed text (NFC), or join their neighbours there; False is certain."""
    doubtful = np.zeros(len(codes), np.bool_)
    beyond = np.flatnonzero(codes >= _LATIN_END)
    if len(beyond):
        distinct, which = np.unique(codes[beyond], return_inverse=True)
        doubtful[beyond] = np.array([not _stays_itself(int(code)) for code in distinct], np.bool_)[which]
    return doubtful


@lru_cache(maxsize=8192)
def _stays_itself(code: int) -> bool:
    character = chr(code)
    return (
        any(first <= code < end for first, end in _SAFE_RANGES)
        and not unicodedata.combining(character)
        and unicodedata.is_normalized("NFC", character)
    )
