"""The unusual characters of texts, counted in the pieces they are joined of: the same as counted in the texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.alphabet import DOUBLE, OUTSIDE, kinds_of
from dispatcher.campaign.characters import Numbers
from dispatcher.campaign.composition import ByCode, Composition
from dispatcher.campaign.distinct import Distinct

WORDS = st.text("aè€{ŁáЖ漢😀\n`@~ ", max_size=6)
#: Two to four columns of cells, a few of which are alike.
COLUMNS = st.integers(0, 12).flatmap(
    lambda rows: st.lists(
        st.lists(st.one_of(WORDS, st.sampled_from(["Ł", "è", ""])), min_size=rows, max_size=rows),
        min_size=2,
        max_size=4,
    )
)


def outside(codes: Numbers) -> Numbers:
    return kinds_of(codes) == OUTSIDE


def double(codes: Numbers) -> Numbers:
    return kinds_of(codes) == DOUBLE


def answers(characters: Composition) -> list[object]:
    """All that can be asked."""
    codes = np.array(sorted(map(ord, "áŁЖ漢😀€")), np.int64)
    weights = ByCode(codes, [3, -1, 0, 5, 1, 7])
    half = characters.rows // 2
    return [
        characters.rows,
        characters.lengths.tolist(),
        *(characters.sums(weigh).tolist() for weigh in (outside, double, weights)),
        *(characters.having(test).tolist() for test in (outside, double)),
        characters.table(codes, 0, characters.rows).tolist(),
        characters.table(codes, half, characters.rows).tolist(),
    ]


@given(COLUMNS, st.data())
def test_pieces_say_what_the_joined_texts_say(columns: list[list[str]], data: st.DataObject) -> None:
    texts = pa.array(list(map("".join, zip(*columns, strict=True))), pa.string())
    joined = Composition.joined(len(texts), [Distinct.of(pa.array(one, pa.string())) for one in columns])
    whole = Composition.of(texts)

    assert answers(joined) == answers(whole)
    assert joined.codes.tolist() == whole.codes.tolist() == sorted(set(joined.codes.tolist()))
    chosen = [row for row in range(len(texts)) if data.draw(st.booleans())]
    some = np.array(chosen, np.intp)
    assert (
        answers(joined.at(some))
        == answers(whole.at(some))
        == answers(Composition.of(texts.take(pa.array(some))))
    )


def test_a_number_by_code_is_nought_for_every_other_one() -> None:
    codes = np.array([0x41, 0xE1, 0x1F600], np.int64)

    assert ByCode(np.array([0xE1], np.int64), [4])(codes).tolist() == [0, 4, 0]
    assert ByCode(np.zeros(0, np.int64), [])(codes).tolist() == [0, 0, 0]
