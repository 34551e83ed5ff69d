"""Properties: a column equals the rule row by row, nothing crashes, no digit changes unsaid."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import numpy as np
import pandas as pd
import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.phones import read_phone, read_phones
from dispatcher.campaign.reasons import Reason, Repair

REGIONS = st.sampled_from(["IT", "ES", "GB", "US", "AU", "AT"])
NOISE = st.sampled_from(
    [
        "",
        " ",
        "-",
        "/",
        ".",
        "(",
        ")",
        "(0)",
        "\u00a0",
        "\u200b",
        "\u2013",
        "+",
        "00",
        ",",
        ";",
        "\n",
        "e",
        "E+11",
        ".0",
        "'",
        "５",
    ]
)
PIECES = st.one_of(NOISE, st.text("0123456789", min_size=1, max_size=7))
CELLS = st.one_of(
    st.text(max_size=30),
    st.lists(PIECES, max_size=8).map("".join),
    st.tuples(
        st.sampled_from(["+39", "0039", "39", "", "+44", "34"]),
        st.from_regex(r"[37]\d{7,10}", fullmatch=True),
    ).map("".join),
)
MOBILE = {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}
DIGITS_KEPT = ~(
    Repair.TRUNK_ZERO | Repair.DECIMAL_ZERO | Repair.DOUBLE_ZERO | Repair.COUNTRY_ADDED | Repair.SCIENTIFIC
)


@given(st.lists(st.one_of(CELLS, st.none()), max_size=12), REGIONS)
def test_a_column_equals_the_rule_row_by_row(cells: list[str | None], region: str) -> None:
    column = read_phones(pd.Series(cells, dtype=object), region)

    expected = [read_phone(cell or "", region) for cell in cells]
    assert list(column.recipient) == [phone.recipient for phone in expected]
    assert list(column.country) == [phone.country for phone in expected]
    assert list(column.reason) == [phone.reason for phone in expected]
    assert [Repair(int(bits)) for bits in column.repairs] == [phone.repairs for phone in expected]


@given(CELLS, REGIONS)
def test_every_cell_is_a_mobile_or_has_a_reason(cell: str, region: str) -> None:
    phone = read_phone(cell, region)

    assert (phone.recipient is None) == (phone.reason is not None)
    if phone.recipient is not None:
        number = phonenumbers.parse(phone.recipient)
        assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == phone.recipient
        assert phonenumbers.number_type(number) in MOBILE
        assert phone.country == phonenumbers.region_code_for_number(number)


@given(CELLS)
def test_the_digits_dialled_are_the_digits_written_unless_a_repair_says_so(cell: str) -> None:
    phone = read_phone(cell, "IT")
    written = "".join(str(unicodedata.decimal(c)) for c in cell if unicodedata.decimal(c, None) is not None)

    if phone.recipient is not None and phone.repairs & ~DIGITS_KEPT == Repair.NONE:
        assert phone.recipient == f"+{written}"
    if phone.recipient is not None and phone.repairs & ~DIGITS_KEPT == Repair.COUNTRY_ADDED:
        assert phone.recipient == f"+39{written}"


@given(CELLS, REGIONS)
def test_a_number_that_was_read_reads_as_itself(cell: str, region: str) -> None:
    recipient = read_phone(cell, region).recipient

    if recipient is not None:
        again = read_phone(recipient, region)
        assert (again.recipient, again.repairs) == (recipient, Repair.NONE)


@given(CELLS)
def test_untouched_cells_have_no_repairs(cell: str) -> None:
    phone = read_phone(cell, "IT")

    if phone.recipient is not None:
        assert (phone.repairs == Repair.NONE) == (cell == phone.recipient)


@pytest.mark.parametrize(
    "dtype",
    [object, "str", "string", pd.ArrowDtype(pa.string()), pd.ArrowDtype(pa.large_string()), "category"],
)
def test_every_kind_of_text_column(dtype: Any) -> None:
    column = read_phones(pd.Series(["3331234567", None, "02 12345678", "3331234567", ""], dtype=dtype), "IT")

    assert list(column.recipient) == ["+393331234567", None, None, "+393331234567", None]
    assert list(column.country) == ["IT", None, "IT", "IT", None]
    assert list(column.reason) == [
        None,
        Reason.PHONE_MISSING,
        Reason.PHONE_LANDLINE,
        None,
        Reason.PHONE_MISSING,
    ]
    assert list(column.repairs) == [Repair.COUNTRY_ADDED.value, 0, 0, Repair.COUNTRY_ADDED.value, 0]
    assert column.repairs.dtype == np.dtype(np.uint16)


def test_a_nul_does_not_end_a_number() -> None:
    column = read_phones(pd.Series(["333123456\x007", "333123456\x008"], dtype=object), "IT")

    assert list(column.recipient) == ["+393331234567", "+393331234568"]


def test_an_empty_column() -> None:
    assert len(read_phones(pd.Series([], dtype=object), "IT").recipient) == 0


def test_numbers_are_refused_as_cells() -> None:
    with pytest.raises(TypeError, match=re.escape("holds text, not float")):
        read_phones(pd.Series([393331234567.0]), "IT")


def test_every_repair_fits_the_column() -> None:
    assert max(Repair).value <= np.iinfo(np.uint16).max
