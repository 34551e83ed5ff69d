"""The rules of ``leftovers`` for whole columns: equal to them row by row, and asking them wherever that is not certain.

Columns are Arrow text without nulls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.characters import (
    arrow_texts,
    flags,
    may_not_be_composed,
    text_bytes,
    unusual_characters,
)
from dispatcher.campaign.template.leftovers import (
    BLANKS,
    NOTHING_WORDS,
    PLACEHOLDER_SIGNS,
    clean,
    nothing_word,
    placeholder,
    tidy,
)

Rows = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


def cells_of(column: Any) -> pa.Array:
    """Any column of cells as Arrow text; missing ones are empty."""
    texts = arrow_texts(column)
    if texts is None:
        return pa.array([clean(value) for value in column], pa.string())
    return pc.fill_null(texts, "") if texts.null_count else texts


def clean_column(cells: pa.Array) -> pa.Array:
    """:func:`clean` of every cell."""
    return pc.utf8_trim(cells, BLANKS)


def needs_tidying(texts: pa.Array) -> Flags:
    """Which texts :func:`tidy` may change beyond the blanks around them."""
    odd = may_not_be_composed(unusual_characters(texts))
    if holds(texts, "\r"):
        odd |= flags(pc.match_substring(texts, "\r"))
    return odd


def tidy_column(texts: pa.Array, odd: Flags) -> pa.Array:
    """:func:`tidy` of every text; ``odd`` are those that more than trimming may change."""
    trimmed = pc.utf8_trim(texts, BLANKS)
    if not odd.any():
        return trimmed
    mask = pa.array(odd)
    changed = [tidy(text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(trimmed, mask, pa.array(changed, texts.type))


def rows_with_placeholder(texts: pa.Array, made_of: Sequence[pa.Array] | None = None) -> Rows:
    """The texts in which :func:`placeholder` finds one.

    ``made_of``: the texts that these were joined of, where they were; so a sign is looked for only if it may be there.
    """
    signs: tuple[str, ...] = PLACEHOLDER_SIGNS
    if made_of is not None:
        data = b"".join(text_bytes(part)[0].tobytes() for part in made_of)
        signs = tuple(s for s in signs if _stands_in(data, s.encode()) or _may_be_joined(made_of, data, s))
    return rows_with_any(texts, signs, lambda text: placeholder(text) is not None)


def rows_with_nothing_word(texts: pa.Array) -> Rows:
    """The texts in which :func:`nothing_word` finds one."""
    return rows_with_any(texts, NOTHING_WORDS, lambda text: nothing_word(text) is not None)


def rows_with_any(texts: pa.Array, signs: tuple[str, ...], found: Callable[[str], bool]) -> Rows:
    """The texts that hold one of ``signs`` and of which ``found`` is true."""
    if not signs:
        return np.zeros(0, np.intp)
    joined = text_bytes(texts)[0].tobytes()
    there = [sign for sign in signs if _stands_in(joined, sign.encode())]
    if not there:
        return np.zeros(0, np.intp)
    mask = np.zeros(len(texts), np.bool_)
    for sign in there:
        mask |= flags(pc.match_substring(texts, sign))
    rows = np.flatnonzero(mask)
    verdicts = [found(text) for text in texts.filter(pa.array(mask)).to_pylist()]
    return rows[np.array(verdicts, np.bool_)] if len(rows) else rows


def _may_be_joined(made_of: Sequence[pa.Array], data: bytes, sign: str) -> bool:
    """Whether texts joined of these, which have the bytes ``data``, may hold ``sign`` across a joint."""
    return _are_in(data, sign.encode()) and any(
        pc.any(pc.ends_with(part, sign[:place])).as_py() for part in made_of for place in range(1, len(sign))
    )


def holds(texts: pa.Array, sign: str) -> bool:
    """Whether ``sign`` may stand in one of the texts; two neighbours may seem to hold it together."""
    return _stands_in(text_bytes(texts)[0].tobytes(), sign.encode())


def _stands_in(data: bytes, sign: bytes) -> bool:
    # a single byte is looked for twenty times as fast as two, and is found at once where it is common
    return _are_in(data, sign) and sign in data


def _are_in(data: bytes, sign: bytes) -> bool:
    """Whether each byte of the sign is in ``data``."""
    return all(bytes([byte]) in data for byte in sign)
