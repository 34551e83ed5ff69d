"""A column of few different values behaves as the list that it stands for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.coded import Coded
from dispatcher.campaign.phones import Recipients

VALUES = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c"])), max_size=12)
RECIPIENTS = st.lists(st.one_of(st.none(), st.integers(1, 10**18 - 1).map("+{}".format)), max_size=12)


@given(VALUES)
def test_a_column_is_its_list(values: list[Any]) -> None:
    column = Coded.of(values)

    assert column.tolist() == list(column) == column.objects().tolist() == values
    assert [column[row] for row in range(len(column))] == values
    assert column.known().tolist() == [value is not None for value in values]
    assert column.equals("a").tolist() == [value == "a" for value in values]
    assert column.tally() == Counter(value for value in values if value is not None)
    mapped = column.mapped(lambda value: value == "a")
    assert mapped.tolist() == [value == "a" for value in values]
    assert len(set(mapped.names)) == len(mapped.names)


@given(VALUES, st.data())
def test_some_of_the_rows(values: list[Any], data: st.DataObject) -> None:
    column = Coded.of(values)
    chosen = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    rows = np.array(chosen, np.bool_)
    picked = [value for value, taken in zip(values, chosen, strict=True) if taken]
    others = data.draw(
        st.lists(st.sampled_from([None, "a", "z"]), min_size=len(picked), max_size=len(picked))
    )

    assert column.at(rows).tolist() == column.at(np.flatnonzero(rows)).tolist() == picked
    assert column.tally(rows) == Counter(value for value in picked if value is not None)
    coming = iter(others)
    expected = [next(coming) if taken else value for value, taken in zip(values, chosen, strict=True)]
    assert column.replaced(rows, Coded.of(others)).tolist() == expected


@given(st.lists(VALUES, max_size=4))
def test_columns_one_after_the_other(parts: list[list[Any]]) -> None:
    assert Coded.joined([Coded.of(part) for part in parts]).tolist() == [v for part in parts for v in part]


@given(RECIPIENTS)
def test_recipients_are_their_texts(texts: list[str | None]) -> None:
    recipients = Recipients.of(texts)

    assert recipients.tolist() == list(recipients) == recipients.texts().to_pylist() == texts
    assert [recipients[row] for row in range(len(recipients))] == texts
    assert list(recipients.at(recipients.known())) == [text for text in texts if text is not None]
    assert recipients.known().tolist() == [text is not None for text in texts]
