"""Plain cells in disguise: ``tel:`` before a number, or spaces and marks in it that nobody sees.

A whole list often has them, from a web page or a telephone's address book.  Taken off here, such a cell can be read
by the tables.  Only disguises are known of which ``cleaning`` makes the very same text are taken off; every other
cell stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dispatcher.campaign.characters import flags
from dispatcher.campaign.reasons import Repair

_SCHEME = "tel:"
_AFTER_SCHEME = r"^tel:[+0-9(]"
_LONGEST = 100  # bytes; the rule's own bound is wider
_NO_BREAK_SPACES = "[\u00a0\u202f\u2007]"
# Of Unicode's category Cf, but not the mark that turns the digits around (U+202E).
_WITHOUT_WIDTH = "[\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u202a\u202b\u202c\u00ad]"
_OUTER_BLANK = r"^\s|\s$"

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Undisguised:
    """``cells`` without their disguises, and for each the repairs that taking them off was (bits of Repair)."""

    cells: pa.LargeStringArray
    repairs: NDArray[np.uint16]


def undisguised(cells: pa.LargeStringArray) -> Undisguised:
    """Every one of ``cells`` (no nulls); one without a disguise has no repairs."""
    repairs = np.zeros(len(cells), np.uint16)
    short = flags(pc.less_equal(pc.binary_length(cells), _LONGEST))
    cells = _changed(cells, short & ~flags(pc.string_is_ascii(cells)), _seen, repairs, Repair.INVISIBLE)
    cells = _changed(
        cells, short & flags(pc.starts_with(cells, _SCHEME)), _dialled, repairs, Repair.TEL_SCHEME
    )
    return Undisguised(cells, repairs)


def _changed(
    cells: pa.LargeStringArray,
    doubtful: Flags,
    rule: Callable[[pa.LargeStringArray], tuple[pa.LargeStringArray, Flags]],
    repairs: NDArray[np.uint16],
    repair: Repair,
) -> pa.LargeStringArray:
    """The cells with what ``rule`` makes of the ``doubtful`` ones, where it says so; such rows get the repair."""
    rows = np.flatnonzero(doubtful)
    if not len(rows):
        return cells
    plain, holds = rule(cells.take(pa.array(rows)))
    repairs[rows[holds]] |= repair.value
    changed = np.zeros(len(cells), np.bool_)
    changed[rows[holds]] = True
    return pc.replace_with_mask(cells, pa.array(changed), plain.filter(pa.array(holds)))


def _seen(cells: pa.LargeStringArray) -> tuple[pa.LargeStringArray, Flags]:
    """Without the marks that nobody sees, and which had any."""
    seen = pc.replace_substring_regex(cells, _NO_BREAK_SPACES, " ")
    seen = pc.replace_substring_regex(seen, _WITHOUT_WIDTH, "")
    # a blank at either end is another repair, and which one depends on what it was
    outer = pc.or_(pc.match_substring_regex(seen, _OUTER_BLANK), _has_outer_blank(cells))
    return seen, flags(pc.and_not(pc.not_equal(seen, cells), outer))


def _dialled(cells: pa.LargeStringArray) -> tuple[pa.LargeStringArray, Flags]:
    """Without ``tel:``, and where that is all."""
    number = pc.match_substring_regex(cells, _AFTER_SCHEME)
    outer = pc.match_substring_regex(cells, _OUTER_BLANK)
    return pc.utf8_slice_codeunits(cells, len(_SCHEME)), flags(pc.and_not(number, outer))


def _has_outer_blank(cells: pa.LargeStringArray) -> pa.BooleanArray:
    return pc.not_equal(pc.utf8_trim_whitespace(cells), cells)
