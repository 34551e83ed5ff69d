"""Parts are counted by walking the text; the column way gives the same."""

from __future__ import annotations

import itertools
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.campaign.segments import Encoding, Segments, count_parts, measure, measure_column, split

GSM7, UCS2 = Encoding.GSM7, Encoding.UCS2

#: Pieces that meet at the edges of parts: plain, double, composed, outside the alphabet, astral.
_PIECES = st.sampled_from(
    ["a", "à", "€", "^", "\n", "\r\n", "\f", "e\u0301", "ÿ", "😀", "á", "`", "\u0301", "\t"]
)
_RUNS = st.tuples(_PIECES, st.integers(1, 170)).map(lambda run: run[0] * run[1])
TEXTS = st.one_of(st.text(max_size=400), st.lists(_RUNS, max_size=12).map("".join))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Segments(GSM7, 0, 0)),
        ("à" * 160, Segments(GSM7, 160, 1)),
        ("à" * 161, Segments(GSM7, 161, 2)),
        ("^" * 80, Segments(GSM7, 160, 1)),
        ("^" * 81, Segments(GSM7, 162, 2)),
        ("a" * 152 + "€" + "a" * 152, Segments(GSM7, 306, 3)),
        ("a" * 153 + "€" + "a" * 151, Segments(GSM7, 306, 2)),
        ("^" * 918, Segments(GSM7, 1836, 13)),
        ("à" * 70 + "ÿ", Segments(UCS2, 71, 2)),
        ("^" * 69 + "ÿ", Segments(UCS2, 70, 1)),
        ("€" * 70 + "ÿ", Segments(UCS2, 71, 2)),
        ("a" * 159 + "\n", Segments(GSM7, 160, 1)),
        ("a" * 159 + "\r\n", Segments(GSM7, 161, 2)),
        ("e\u0301" * 160, Segments(GSM7, 160, 1)),
        ("\f" * 80, Segments(GSM7, 160, 1)),
        ("😀" * 35, Segments(UCS2, 70, 1)),
        ("a" * 66 + "😀" + "a" * 66, Segments(UCS2, 134, 3)),
        ("a" * 145 + "í" + "á", Segments(UCS2, 147, 3)),
        ("a" * 145 + "i" + "a", Segments(GSM7, 147, 1)),
        ("\ud800" * 70, Segments(UCS2, 70, 1)),
        ("\x1b", Segments(UCS2, 1, 1)),
    ],
)
def test_facts(text: str, expected: Segments) -> None:
    assert measure(text) == expected
    assert count_parts(text) == expected.parts


@settings(deadline=None)
@given(TEXTS)
def test_parts_rejoin_and_none_exceeds_its_limit(text: str) -> None:
    composed, measured, parts = unicodedata.normalize("NFC", text), measure(text), split(text)
    assert "".join(parts) == composed
    assert len(parts) == measured.parts
    limits = {GSM7: (160, 153), UCS2: (70, 67)}[measured.encoding]
    assert sum(_units(part, measured.encoding) for part in parts) == measured.units
    for part in parts:
        assert 0 < _units(part, measured.encoding) <= limits[len(parts) > 1]


@settings(deadline=None)
@given(TEXTS)
def test_a_part_ends_only_where_the_next_character_does_not_fit(text: str) -> None:
    measured, parts = measure(text), split(text)
    limit = {GSM7: 153, UCS2: 67}[measured.encoding]
    for part, following in itertools.pairwise(parts):
        assert _units(part + following[0], measured.encoding) > limit


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), TEXTS), max_size=30))
def test_column_equals_scalar(texts: list[str | None]) -> None:
    column = measure_column(np.array([*texts, None], dtype=object)[:-1])
    rows = [Segments(*row) for row in zip(column.encoding, column.units, column.parts, strict=True)]
    assert rows == [measure(text or "") for text in texts]
    assert (column.units.dtype, column.parts.dtype) == (np.int32, np.int32)


def test_a_series_with_missing_texts() -> None:
    column = measure_column(pd.Series(["ciao", None, "€"], dtype="str"))
    assert column.units.tolist() == [4, 0, 2]
    assert column.parts.tolist() == [1, 0, 1]


def _units(text: str, encoding: Encoding) -> int:
    """Counted in another way than the module does it."""
    if encoding is UCS2:
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    return len(text) + sum(text.count(double) for double in "^{}\\[~]|€\f")
