"""The apostrophe before formulas, put on by the report and taken off by the reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.sheet import guard_formula, unguard_formula


@pytest.mark.parametrize(
    ("cell", "guarded"),
    [
        ("=1+1", "'=1+1"),
        ("+A1", "'+A1"),
        ("-A1", "'-A1"),
        ("@sum", "'@sum"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("'=1+1", "''=1+1"),
        ("+393331234567", "+393331234567"),
        ("+39 333 123-4567", "+39 333 123-4567"),
        ("-12,5", "-12,5"),
        ("=1", "'=1"),
        ("Ciao", "Ciao"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
        ("'393331234567", "'393331234567"),
        ("", ""),
        ("'", "'"),
        ("+", "'+"),
    ],
)
def test_guard(cell: str, guarded: str) -> None:
    assert guard_formula(cell) == guarded
    assert unguard_formula(guarded) == cell


@given(st.text(st.sampled_from("'=+-@\t\r1 A,.")) | st.text())
def test_whatever_the_report_guards_the_reader_brings_back(cell: str) -> None:
    assert unguard_formula(guard_formula(cell)) == cell
    assert not guard_formula(cell).startswith(("=", "@", "\t", "\r"))
