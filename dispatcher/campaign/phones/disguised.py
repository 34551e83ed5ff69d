"""Plain cells in disguise: ``tel:`` before a number, or spaces and marks in it that nobody sees.

A whole list often has them, from a web page or a telephone's address book.  Taken off here, such a cell can be read
by the tables.  Only disguises are known of which ``cleaning`` makes the very same text are taken off; every other
cell stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dispatcher.campaign.reasons import Repair

_SCHEME = "tel:"
_AFTER_SCHEME = r"^tel:[+0-9(]"
_LONGEST = 100  # bytes; the rule's own bound is wider
_NO_BREAK_SPACES = "[\u00a0\u202f\u2007]"
# Of Unicode's category Cf, but not the mark that turns the digits around (U+202E).
_WITHOUT_WIDTH = "[\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u202a\u202b\u202c\u00ad]"
_INVISIBLE = f"{_NO_BREAK_SPACES}|{_WITHOUT_WIDTH}"
_OUTER_BLANK = r"^\s|\s$"


@dataclass(frozen=True)
class Undisguised:
    """``cells`` without their disguises, and for each the repairs that taking them off was (bits of Repair)."""

    cells: pa.LargeStringArray
    repairs: NDArray[np.uint16]


def undisguised(cells: pa.LargeStringArray) -> Undisguised:
    """Every one of ``cells`` (no nulls); one without a disguise has no repairs."""
    repairs = np.zeros(len(cells), np.uint16)
    short = pc.less_equal(pc.binary_length(cells), _LONGEST)
    hidden = pc.and_(short, pc.match_substring_regex(cells, _INVISIBLE))
    seen = pc.replace_substring_regex(cells, _NO_BREAK_SPACES, " ")
    seen = pc.replace_substring_regex(seen, _WITHOUT_WIDTH, "")
    # a blank at either end is another repair, and which one depends on what it was
    hidden = pc.and_not(hidden, pc.or_(pc.match_substring_regex(seen, _OUTER_BLANK), _has_outer_blank(cells)))
    cells = pc.if_else(hidden, seen, cells)
    repairs |= _flags(hidden) * np.uint16(Repair.INVISIBLE.value)
    scheme = pc.and_(pc.match_substring_regex(cells, _AFTER_SCHEME), short)
    scheme = pc.and_not(scheme, pc.match_substring_regex(cells, _OUTER_BLANK))
    cells = pc.if_else(scheme, pc.utf8_slice_codeunits(cells, len(_SCHEME)), cells)
    repairs |= _flags(scheme) * np.uint16(Repair.TEL_SCHEME.value)
    return Undisguised(cells, repairs)


def _has_outer_blank(cells: pa.LargeStringArray) -> pa.BooleanArray:
    return pc.not_equal(pc.utf8_trim_whitespace(cells), cells)


def _flags(array: pa.BooleanArray) -> NDArray[np.uint16]:
    return np.asarray(array.to_numpy(zero_copy_only=False), np.uint16)
