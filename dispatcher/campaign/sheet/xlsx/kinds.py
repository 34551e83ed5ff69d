"""What each cell of a worksheet's XML is, by its attributes."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dispatcher.campaign.sheet.xlsx.bytes import WORD, Tags, cut
from dispatcher.campaign.sheet.xlsx.rows import Rows

_LONGEST_ATTRIBUTES = 2 * WORD  # s="1234" t="s"

Kinds = npt.NDArray[np.int8]


class Kind(IntEnum):
    """What a cell's attributes say of its content."""

    ODD = 0
    SHARED = 1
    NUMBER = 2
    INLINE = 3
    BLANK = 4


def kinds_of(tags: Tags, rows: Rows, judge: Callable[[str], Kind]) -> Kinds:
    """The kind of each cell; ``judge`` is asked about attributes.  What is not a short tag is odd."""
    following = tags.at[rows.tag + 1]
    length = following - 1 - rows.inside
    short = (tags.codes[following - 1] == ord(">")) & (length <= _LONGEST_ATTRIBUTES)
    length = np.where(short, length, 0)
    halves = [
        pa.array(cut(tags.words(rows.inside + place), np.clip(length - place, 0, WORD))).dictionary_encode()
        for place in (0, WORD)
    ]
    # the same few forms again and again: each is judged once
    heads, tails = (half.dictionary.to_pylist() for half in halves)
    both = [half.indices.to_numpy().astype(np.int64) for half in halves]
    forms = pa.array(both[0] * len(tails) + both[1]).dictionary_encode()
    judged = [
        judge(_text(heads[form // len(tails)]) + _text(tails[form % len(tails)]))
        for form in forms.dictionary.to_pylist()
    ]
    kinds: Kinds = np.where(short, np.array(judged, np.int8)[forms.indices.to_numpy()], np.int8(Kind.ODD))
    return kinds


def _text(word: int) -> str:
    return word.to_bytes(WORD, "little").rstrip(b"\0").decode("latin-1")
