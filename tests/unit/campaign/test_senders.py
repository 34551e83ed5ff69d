from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.coded import Coded
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.senders import read_senders, sender_problem


@pytest.mark.parametrize(
    ("sender", "country", "problem"),
    [
        ("Bottega", "IT", None),
        ("ABC", "IT", None),
        ("ABCDEFGHIJK", "IT", None),
        ("Ab 12", "IT", None),
        ("  Bottega  ", "IT", None),
        ("\u00a0Bottega\u00a0", "IT", None),
        ("1 a", "IT", None),
        (None, "IT", None),
        ("", "IT", None),
        ("   ", "IT", None),
        ("Openapi", "IT", None),
        ("AB", "IT", Reason.SENDER_LENGTH),
        (" AB ", "IT", Reason.SENDER_LENGTH),
        ("ABCDEFGHIJKL", "IT", Reason.SENDER_LENGTH),
        ("12", "IT", Reason.SENDER_LENGTH),
        ("12345", "IT", Reason.SENDER_NUMERIC),
        ("123 456", "IT", Reason.SENDER_NUMERIC),
        ("Caffè", "IT", Reason.SENDER_CHARACTERS),
        ("A-B-C", "IT", Reason.SENDER_CHARACTERS),
        ("Bot\tega", "IT", Reason.SENDER_CHARACTERS),
        ("Bot\u200btega", "IT", Reason.SENDER_CHARACTERS),
        ("Ｂottega", "IT", Reason.SENDER_CHARACTERS),
        ("٣٣٣٣", "IT", Reason.SENDER_CHARACTERS),
        ("+393331234567", "IT", Reason.SENDER_CHARACTERS),
        ("#N/A", "IT", Reason.SENDER_CHARACTERS),
        ("Bottega", "ES", None),
        ("AB", "ES", Reason.SENDER_LENGTH),
        (None, "ES", Reason.SENDER_REQUIRED),
        ("  ", "ES", Reason.SENDER_REQUIRED),
        ("Openapi", "ES", Reason.SENDER_REQUIRED),
        (" OPENAPI ", "ES", Reason.SENDER_REQUIRED),
    ],
)
def test_rule(sender: str | None, country: str, problem: Reason | None) -> None:
    assert sender_problem(sender, country) is problem


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.text("Ab1 -è\u00a0", max_size=13), st.just("Openapi")),
            st.sampled_from(["IT", "ES", "FR", None]),
        ),
        max_size=20,
    ),
    st.sampled_from([None, "", "Bottega", " openapi ", "12345"]),
)
def test_a_column_equals_the_rule(rows: list[tuple[str | None, str | None]], default: str | None) -> None:
    cells = pa.array([cell for cell, _ in rows], pa.string())
    countries = Coded.of([country for _, country in rows])

    senders, reasons = read_senders(cells, default, countries)

    effective = [(cell or "").strip() or (default or "").strip() or None for cell, _ in rows]
    assert list(senders) == effective
    assert list(reasons) == [
        sender_problem(sender, country or "") for sender, (_, country) in zip(effective, rows, strict=True)
    ]


def test_without_a_column_every_row_has_the_default() -> None:
    senders, reasons = read_senders(None, "Bottega", Coded.of(["IT", "ES", None]))

    assert list(senders) == ["Bottega", "Bottega", "Bottega"]
    assert list(reasons) == [None, None, None]


def test_without_any_sender_only_spain_is_refused() -> None:
    senders, reasons = read_senders(None, None, Coded.of(["IT", "ES", "FR"]))

    assert list(senders) == [None, None, None]
    assert list(reasons) == [None, Reason.SENDER_REQUIRED, None]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_blank_cell_takes_the_default(kind: pa.DataType) -> None:
    cells = pa.array(["Studio", None, " ", ""], kind)

    senders, _ = read_senders(cells, "Bottega", Coded.of(["IT"] * 4))

    assert list(senders) == ["Studio", "Bottega", "Bottega", "Bottega"]
