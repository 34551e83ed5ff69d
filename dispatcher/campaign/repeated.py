"""The same text to the same recipient: recognised within a file, and by the ledger whatever the file is called.

The ledger knows a message by its *guard key*, which is kept for years and so must always be the same.  Within a file a
*fingerprint* serves as well: a fifth of the work, and of no use later, since every plan has another seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.characters import text_bytes

KEY_BYTES = 16
_WORD = 8

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.intp]

# An odd number whose bits look random (from SplitMix64).
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def guard_key(recipient: str, text: str) -> bytes:
    """The 16 bytes by which the same text to the same recipient is recognised, whatever its file is called."""
    return blake2b(f"{recipient}\0{text}".encode(), digest_size=KEY_BYTES).digest()


def guard_keys(recipients: pa.Array, texts: pa.Array) -> list[bytes]:
    """:func:`guard_key` of every row (no nulls)."""
    wide = pa.large_string()  # a chunk of long texts has more bytes than 32-bit offsets can count
    joined = pc.binary_join_element_wise(recipients.cast(wide), texts.cast(wide), pa.scalar("\0", wide))
    data, ends = text_bytes(joined)
    whole, empty, keys = data.tobytes(), blake2b(digest_size=KEY_BYTES), []
    for start, end in itertools.pairwise(ends.tolist()):
        digest = empty.copy()  # a third faster than to make one
        digest.update(whole[start:end])
        keys.append(digest.digest())
    return keys


class GuardKeys:
    """The guard keys of a chunk's rows, None where a row has none; made when they are first asked for.

    Only the ledger asks.  ``make`` gives the keys of the rows ``keyed``, in order.
    """

    def __init__(self, rows: int, keyed: Rows, make: Callable[[], Sequence[bytes]]) -> None:
        self._rows, self._keyed, self._make = rows, keyed, make

    @cached_property
    def _keys(self) -> npt.NDArray[Any]:
        keys: npt.NDArray[Any] = np.full(self._rows, None, dtype=object)
        keys[self._keyed] = self._make()
        return keys

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, row: int) -> bytes | None:
        key: bytes | None = self._keys[row]
        return key

    def __iter__(self) -> Iterator[bytes | None]:
        return iter(self.tolist())

    def tolist(self) -> list[bytes | None]:
        """One key or None a row."""
        return list(self._keys.tolist())

    def of(self, rows: Rows) -> Iterator[bytes]:
        """The keys of some rows, which have one; nothing is made before the first is taken."""
        yield from self._keys[rows].tolist()


def fingerprints(numbers: npt.NDArray[np.int64], texts: pa.Array, seed: int) -> Words:
    """Two words for each row, by which the same text to the same number is recognised; a null is an empty text.

    The second word is the number itself.  The first is made of both, and differs for two texts but for a chance of
    1 in 2 to the power of 64; ``seed`` is a number of 64 bits that nobody can foresee.
    """
    data, ends = text_bytes(texts)
    padded = np.concatenate([data, np.zeros(_WORD, np.uint8)])
    words: Words = np.ndarray(
        len(data) + 1, np.dtype("<u8"), padded, strides=(1,)
    )  # one begins at every byte
    start, left = ends[:-1].copy(), np.diff(ends)
    mixed = numbers.view(np.uint64) ^ np.uint64(seed)
    _mix(mixed)
    mixed ^= left.view(np.uint64)
    _mix(mixed)
    pairs = np.empty((len(mixed), 2), np.uint64)
    pairs[:, 0], pairs[:, 1] = mixed, numbers
    going = np.arange(len(mixed))  # the rows of whose texts something is left
    while len(going):
        longer = left > 0
        if not longer.all():
            pairs[going, 0] = mixed
            going, start, left, mixed = going[longer], start[longer], left[longer], mixed[longer]
        word = words[start]
        if left.min(initial=_WORD) < _WORD:
            word &= _inside(left)
        mixed ^= word
        _mix(mixed)
        start += _WORD
        left -= _WORD
    return pairs


def pairs_of(keys: Sequence[bytes]) -> Words:
    """Keys of 16 bytes as pairs of words, as fingerprints are."""
    return np.frombuffer(b"".join(keys), np.uint64).reshape(-1, 2)


def _mix(words: Words) -> None:
    words *= _FACTOR
    words ^= words >> _SHIFT


def _inside(left: npt.NDArray[np.int64]) -> Words:
    """The bits of a word that are of a text with so many bytes left."""
    return np.uint64(0xFFFFFFFFFFFFFFFF) >> (8 * (_WORD - np.minimum(left, _WORD))).astype(np.uint64)
