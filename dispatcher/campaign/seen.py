"""What came before in a file: a hash table for whole columns, since a look into a set takes a microsecond a row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

# A word's next place in the table is this times the word and one more: a sequence that comes by every place.
_FACTOR, _MORE = np.uint64(0x9E3779B97F4A7C15), np.uint64(1)
_WORD_BITS = 64
_FIRST_BITS = 17
#: The table grows to four times its size when it is half full.
_GROWTH_BITS = 2


class Seen:
    """Pairs of words, by which messages are known: 24 to 64 bytes each."""

    def __init__(self) -> None:
        self._count = 0
        self._firsts: Words = np.empty(0, np.uint64)
        self._seconds: Words = np.empty(0, np.uint64)
        # of each place the number of the pair that took it, counted from 1; 0 for a free one
        self._bits = _FIRST_BITS
        self._places = np.zeros(1 << self._bits, np.uint32)

    def before(self, pairs: Words) -> Flags:
        """Which of the ``pairs`` (two columns) came before, in an earlier call or in this one; all are remembered."""
        start, end = self._count, self._count + len(pairs)
        self._make_room(end)
        self._firsts[start:end], self._seconds[start:end] = pairs[:, 0], pairs[:, 1]
        self._count = end
        return self._placed(np.arange(start, end))

    def _placed(self, pairs: Rows) -> Flags:
        """Give each of the pairs, by their numbers in ascending order, a place; which ones found their like in it."""
        repeated = np.zeros(len(pairs), np.bool_)
        left, words = np.arange(len(pairs)), self._firsts[pairs]
        while len(left):
            words = words * _FACTOR + _MORE
            asked = (words >> np.uint64(_WORD_BITS - self._bits)).view(np.intp)
            mine = pairs[left]
            free = np.flatnonzero(self._places[asked] == 0)[::-1]
            # of several that ask for one place the last one stays: the first pair
            self._places[asked[free]] = mine[free] + 1
            owner = self._places[asked].astype(np.intp) - 1
            taken = np.flatnonzero(owner != mine)
            mine, owner, left, words = mine[taken], owner[taken], left[taken], words[taken]
            alike = (self._firsts[owner] == self._firsts[mine]) & (
                self._seconds[owner] == self._seconds[mine]
            )
            repeated[left[alike]] = True
            left, words = left[~alike], words[~alike]
        return repeated

    def _make_room(self, count: int) -> None:
        """For ``count`` pairs."""
        if count > len(self._firsts):
            size = max(count, 2 * len(self._firsts))
            self._firsts, self._seconds = _grown(self._firsts, size), _grown(self._seconds, size)
        if 2 * count > len(self._places):
            while 2 * count > 1 << self._bits:
                self._bits += _GROWTH_BITS
            self._places = np.zeros(1 << self._bits, np.uint32)
            self._placed(np.arange(self._count))


def _grown(words: Words, size: int) -> Words:
    grown = np.empty(size, np.uint64)
    grown[: len(words)] = words
    return grown
