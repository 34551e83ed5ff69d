"""XML as arrays: where its tags are, what they begin with, numbers and texts between them.

For XML as the programs that make workbooks write it, a million times the same few forms.  Whatever else is met raises
:class:`NotPlain`, and the sheet is read by the reader that knows all of XML.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Positions = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

WORD: Final = 8  # bytes that are compared at once
_DECLARATION = re.compile(rb"<\?xml\s[^<>]*\?>")
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([^\"']*)[\"']")
_PADDING = bytes(5 * WORD)
_BELOW = np.array([(1 << 8 * count) - 1 for count in range(WORD + 1)], np.uint64)
_TENS, _UNITS = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x0F0F0F0F0F0F0F0F)
_ZEROS, _SIXES = np.uint64(0x3030303030303030), np.uint64(0x0606060606060606)
_PAIRS, _FOURS, _EIGHT = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF), np.uint64(0xFFFFFFFF)


class NotPlain(Exception):
    """XML in a form that is not certainly understood here."""


def require(known: object) -> None:
    """Raise NotPlain for a form that is not known."""
    if not known:
        raise NotPlain


def after_root(data: bytes, name: bytes) -> int:
    """Where the root's start tag ends, in XML whose beginning ``data`` is."""
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    declaration = _DECLARATION.match(data, start)
    if declaration is not None:
        encoding = _ENCODING.search(declaration[0])
        require(encoding is None or encoding[1].lower() == b"utf-8")
        start = declaration.end()
    root = re.compile(rb"\s*<%s(?:\s[^<>]*)?(?<!/)>" % name).match(data, start)
    if root is None:
        raise NotPlain
    return root.end()


def require_well_formed(*pieces: bytes) -> None:
    """Raise NotPlain unless the pieces are an XML document; nothing in them begins with ``<!``."""
    parser = expat.ParserCreate()
    try:
        for piece in pieces:
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise NotPlain from error


class Tags:
    """A piece of XML and the positions of every ``<`` in it, its end last."""

    def __init__(self, data: bytes) -> None:
        self._padded = data + _PADDING  # so that a word can be read at every position
        self.codes = np.frombuffer(self._padded, np.uint8)
        self._words: Words = np.ndarray(
            (len(data) + len(_PADDING) - WORD,), "<u8", self._padded, strides=(1,)
        )
        self.at: Positions = np.append(np.flatnonzero(self.codes == ord("<")), len(data))
        self._special: Positions | None = None

    def words(self, at: Positions) -> Words:
        """The eight bytes at each position."""
        return self._words[at]

    def begin(self, at: Positions, text: bytes) -> Mask:
        """At which positions ``text`` stands, of any length."""
        found = np.ones(len(at), np.bool_)
        for place in range(0, len(text), WORD):
            found &= starts_with(self.words(at + place), text[place : place + WORD])
        return found

    def any_of(self, which: Positions, texts: Sequence[bytes]) -> Mask:
        """Which of the tags with these indexes begin with one of the texts, of eight bytes at most."""
        words = self.words(self.at[which])
        found: Mask = np.any([starts_with(words, text) for text in texts], axis=0)
        return found

    def texts(self, starts: Positions, ends: Positions) -> pa.Array:
        """The texts from ``starts`` to ``ends``, ascending and apart from each other.  NotPlain: not UTF-8."""
        import pyarrow as pa  # a report takes rows apart without it, and it takes long to import

        if not len(starts):
            return pa.array([], pa.string())
        # an Arrow column of the texts and all that is between them, of which every other one is taken
        bounds = np.empty(2 * len(starts), np.int32)
        bounds[0::2], bounds[1::2] = starts, ends
        both = pa.BinaryArray.from_buffers(
            pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(self._padded)]
        )
        try:
            return both.take(pa.array(np.arange(0, len(bounds), 2, dtype=np.int32))).cast(pa.string())
        except pa.ArrowInvalid as error:
            raise NotPlain from error

    def alike(self, starts: Positions, ends: Positions) -> tuple[list[str], Positions]:
        """The different texts among those from ``starts`` to ``ends``, and which of them each is.  NotPlain: not UTF-8.

        For texts of which many are the same.
        """
        if len(starts) and self._are_alike(starts, ends):
            starts, ends, which = starts[:1], ends[:1], np.zeros(len(starts), np.int64)
        else:
            which = np.arange(len(starts))
        texts = [self._padded[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        try:
            different = [text.decode() for text in places]
        except UnicodeDecodeError as error:
            raise NotPlain from error
        return different, np.array([places[text] for text in texts], np.int64)[which]

    def _are_alike(self, starts: Positions, ends: Positions) -> bool:
        """Whether all these texts are the same."""
        length = ends - starts
        return bool((length == length[0]).all()) and bool(
            self.begin(starts, self._padded[starts[0] : ends[0]]).all()
        )

    def literal(self, starts: Positions, ends: Positions, *, kept: Mask) -> Mask:
        """Which texts are what their bytes say: no reference, no escape, nothing that a reader trims.

        ``kept`` are those whose white space is to be kept.
        """
        if not len(starts):
            return np.zeros(0, np.bool_)
        if self._special is None:
            self._special = self._find_special()
        clean = np.searchsorted(self._special, starts) == np.searchsorted(self._special, ends)
        edges = (self.codes[starts] > ord(" ")) & (self.codes[ends - 1] > ord(" "))
        literal: Mask = (ends > starts) & clean & (edges | kept)
        return literal

    def _find_special(self) -> Positions:
        found = np.zeros(len(self.codes), np.bool_)
        for sign in b"\r&":  # line ends are made alike
            if sign in self._padded:
                found |= self.codes == sign
        if b"_x" in self._padded:  # _x000D_
            found[:-1] |= (self.codes[:-1] == ord("_")) & (self.codes[1:] == ord("x"))
        return np.flatnonzero(found)


def starts_with(words: Words, text: bytes) -> Mask:
    """Which words begin with the text, of eight bytes at most."""
    wanted = np.uint64(int.from_bytes(text, "little"))
    same: Mask = (words if len(text) == WORD else words & _BELOW[len(text)]) == wanted
    return same


def cut(words: Words, counts: npt.NDArray[Any]) -> Words:
    """The first ``counts`` bytes of each word (0 to 8), zeros after them."""
    kept: Words = words & _BELOW[counts]
    return kept


def all_digits(words: Words, counts: npt.NDArray[Any]) -> Mask:
    """Where the first ``counts`` bytes (0 to 8) are decimal digits."""
    tens, units = cut(words & _TENS, counts), cut(words & _UNITS, counts)
    digits: Mask = (tens == (_ZEROS & _BELOW[counts])) & (((units + _SIXES) & _TENS) == 0)
    return digits


def numbers(words: Words, counts: npt.NDArray[Any]) -> Positions:
    """The numbers that the first ``counts`` bytes (1 to 8) write; they are digits."""
    shift = (8 * (WORD - counts)).astype(np.uint64)
    value = (words << shift) & _UNITS  # zeros before the number, then two, four and eight digits at a time
    value = (value * np.uint64(10) + (value >> np.uint64(8))) & _PAIRS
    value = (value * np.uint64(100) + (value >> np.uint64(16))) & _FOURS
    return ((value * np.uint64(10_000) + (value >> np.uint64(32))) & _EIGHT).astype(np.int64)


def byte_of(words: Words, place: int) -> Words:
    """The byte at a place (0 to 7) of each word."""
    byte: Words = (words >> np.uint64(8 * place)) & np.uint64(0xFF)
    return byte
