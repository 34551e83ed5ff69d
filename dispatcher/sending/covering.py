"""A covering set: few texts that together hold every word, and every two words in a row, of all the texts.

A text is chosen when it holds a word, or two neighbouring words, that no chosen text of the same route and sender
holds.  A word is what stands between spaces, as written but for its case: what hides a word (``c.a.s.i.n.o``,
``ca-sino``, a zero-width space in it) is part of it.  Words of one letter in a row (``c a s i n o``) count as one
more word.  The sender's words come before the text's.

Values that differ in every row are compared by their shape only: digits become 9, a piece that mixes letters
and digits becomes ``a9``, and after the host of a link every piece becomes ``a``, ``9`` or ``a9``.  So what no chosen
text need hold is a particular number, a word inside a mixed piece (``c4sino``) or behind a link's host, and three or
more words whose neighbours occur together only in different texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from itertools import groupby, pairwise

#: Units (pairs of words) remembered at most, about 80 bytes each; a text with a unit beyond it is always chosen.
MAX_UNITS = 4_000_000
_KEPT_CHUNKS = 200_000
_SPELLED = 3  # words of one letter in a row that count as one word

_DIGIT = re.compile(r"\d")
_PIECE = re.compile(r"[^\W_]+")
_LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]+")
_LINK_PATH = re.compile(r"[/?#]")
_RANDOM = re.compile(r"\d|[a-z][A-Z]")
_SINGLE_LENGTH = 8  # a letter with more punctuation around it is no word of one letter


class Kind(StrEnum):
    """What was folded to its shape; the wording is ``folded.<kind>``."""

    NUMBER = "number"
    CODE = "code"  # letters and digits mixed
    LINK = "link"


_NOTHING: frozenset[Kind] = frozenset()


class Covering:
    """Chooses texts one at a time; remembers hashes of what the chosen ones hold, not the words."""

    def __init__(self, max_units: int = MAX_UNITS) -> None:
        self._max_units = max_units
        self._units = 0
        self._marks = _Marks()
        self._seen: dict[tuple[str, str | None], tuple[int, set[int]]] = {}

    def offer(self, route: str, sender: str | None, text: str) -> bool:
        """True when the text holds something that no chosen text of its route and sender holds: then it is chosen."""
        last, seen = self._group(route, sender)
        marks = list(map(self._marks.__getitem__, text.split()))
        units = list(map(hash, pairwise([last, *marks])))
        if sum(map(self._marks.single.__contains__, marks)) >= _SPELLED:
            units.extend(hash(word) for word in _spelled(text))
        if seen.issuperset(units):
            return False
        if self._units < self._max_units:
            before = len(seen)
            seen.update(units)
            self._units += len(seen) - before
        return True

    def _group(self, route: str, sender: str | None) -> tuple[int, set[int]]:
        """The mark before a text's first word, and what was seen; every pair stands for its two words as well."""
        key = (route, sender or None)
        if key not in self._seen:
            words = (sender or "").split()
            self._seen[key] = (hash(fold(words[-1])) if words else 0, set())
        return self._seen[key]


def fold(word: str) -> str:
    """What a word is compared by: itself without case, its numbers, codes and a link's path as shapes."""
    head, path = _split_link(word)
    if path:
        return head.casefold() + _PIECE.sub(_path_shape, path)
    return _PIECE.sub(_shape, head) if _DIGIT.search(head) else head.casefold()


def folded_part(word: str) -> tuple[frozenset[Kind], int]:
    """What :func:`fold` takes away from a word, and from which character on; nothing for one compared as written."""
    head, path = _split_link(word)
    if path:
        return (frozenset({Kind.LINK}) if _PIECE.search(path) else _NOTHING), len(head)
    pieces = [_shape_of(piece) for piece in _PIECE.findall(word) if _DIGIT.search(piece)]
    return frozenset(Kind.CODE if shape == "a9" else Kind.NUMBER for shape in pieces), 0


class _Marks(dict[str, int]):
    """Word as written -> hash of what it is compared by; forgets everything when it has grown too large."""

    def __init__(self) -> None:
        super().__init__()
        self.single: set[int] = set()  # marks of words of one letter

    def __missing__(self, word: str) -> int:
        if len(self) >= _KEPT_CHUNKS:
            self.clear()
        mark = self[word] = hash(fold(word))
        if _single(word):
            self.single.add(mark)
        return mark


def _spelled(text: str) -> Iterator[str]:
    """Words of one letter in a row, joined; with a space before, which no word has."""
    for single, run in groupby(text.split(), _single):
        letters = [fold(word) for word in run]
        if single and len(letters) >= _SPELLED:
            yield " " + "".join(piece for word in letters for piece in _PIECE.findall(word))


def _single(word: str) -> bool:
    return len(word) <= _SINGLE_LENGTH and sum(map(str.isalnum, word)) == 1


def _split_link(word: str) -> tuple[str, str]:
    """A link up to its host, and what follows; any other word, and nothing."""
    if link := _LINK.search(word):
        return word[: link.end()], word[link.end() :]
    if path := _LINK_PATH.search(word):
        host, rest = word[: path.start()], word[path.start() :]
        name, dot, top = host.partition(":")[0].rpartition(".")
        # without a scheme only what looks random is a link's path: Sig.ra/Rossi are two names
        if dot and name[-1:].isalnum() and len(top) >= 2 and top.isalpha() and _RANDOM.search(rest):
            return host, rest
    return word, ""


def _shape_of(piece: str) -> str:
    if piece.isdecimal():
        return "9" * len(piece)
    return "a9" if _DIGIT.search(piece) else piece.casefold()


def _shape(piece: re.Match[str]) -> str:
    return _shape_of(piece[0])


def _path_shape(piece: re.Match[str]) -> str:
    if piece[0].isdecimal():
        return "9"
    return "a9" if _DIGIT.search(piece[0]) else "a"
