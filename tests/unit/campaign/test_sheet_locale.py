"""Typed cells as text: the scalar rule that every reader of workbooks goes by."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.locale import Locale, render

# ruff: noqa: DTZ001 - the dates of a spreadsheet have no time zone

IT, ES, EN = Locale.IT, Locale.ES, Locale.EN


@pytest.mark.parametrize(
    ("value", "locale", "text"),
    [
        (393331234567.0, IT, "393331234567"),
        (3.93331234567e11, EN, "393331234567"),
        (393331234567, ES, "393331234567"),
        (999999999999999.0, IT, "999999999999999"),
        (1000.0, IT, "1000"),
        (0.0, IT, "0"),
        (-0.0, IT, "0"),
        (-5.0, EN, "-5"),
        (12.5, IT, "12,5"),
        (12.5, ES, "12,5"),
        (12.5, EN, "12.5"),
        (1234567.25, IT, "1234567,25"),
        (0.1 + 0.2, EN, "0.3"),
        (1e-7, IT, "0,0000001"),
        (Decimal("12.50"), IT, "12,5"),
        (Decimal(7), IT, "7"),
        (1e20, IT, "100000000000000000000"),
        (True, IT, "vero"),
        (False, IT, "falso"),
        (True, ES, "verdadero"),
        (False, ES, "falso"),
        (True, EN, "TRUE"),
        (False, EN, "FALSE"),
        (dt.date(2026, 12, 5), IT, "05/12/2026"),
        (dt.date(2026, 12, 5), EN, "05/12/2026"),
        (dt.date(987, 1, 2), ES, "02/01/0987"),
        (dt.datetime(2026, 12, 5, 9, 30), ES, "05/12/2026 09:30"),
        (dt.datetime(2026, 12, 5), IT, "05/12/2026"),
        (dt.datetime(2026, 12, 5, 9, 30, 15), IT, "05/12/2026 09:30:15"),
        (dt.datetime(2026, 12, 5, 9, 29, 59, 999_997), IT, "05/12/2026 09:30"),
        (dt.datetime(2026, 12, 5, 9, 30, 0, 3), IT, "05/12/2026 09:30"),
        (dt.datetime(2026, 12, 4, 23, 59, 59, 999_997), IT, "05/12/2026"),
        (dt.time(9, 30), IT, "09:30"),
        (dt.time(0), IT, "00:00"),
        (dt.time(9, 30, 15), EN, "09:30:15"),
        (dt.datetime(1899, 12, 31, 9, 30), IT, "09:30"),
        (dt.datetime(1899, 12, 30, 9, 30), IT, "09:30"),
        (dt.datetime(1900, 1, 1, 9, 30), IT, "09:30"),
        (dt.datetime(1899, 12, 31), IT, "00:00"),
        (dt.date(1899, 12, 30), IT, "00:00"),
        (dt.date(1900, 1, 1), IT, "01/01/1900"),
        (dt.timedelta(hours=33, minutes=30), IT, "33:30"),
        (dt.timedelta(minutes=-90), IT, "-01:30"),
        (dt.timedelta(seconds=61), IT, "00:01:01"),
        ("", IT, ""),
        (None, IT, ""),
        ("0039 333", IT, "0039 333"),
        ("12.50", IT, "12.50"),
        ("  TRUE ", IT, "  TRUE "),
    ],
)
def test_render(value: object, locale: Locale, text: str) -> None:
    assert render(value, locale) == text


def test_a_value_no_spreadsheet_has_is_a_bug() -> None:
    with pytest.raises(TypeError):
        render(object(), IT)


@given(st.text(), st.sampled_from(Locale))
def test_text_stays_text(text: str, locale: Locale) -> None:
    assert render(text, locale) == text


@given(st.integers(-(10**15), 10**15), st.sampled_from(Locale))
def test_whole_numbers_keep_every_digit(number: int, locale: Locale) -> None:
    assert render(float(number), locale) == render(number, locale) == str(number)


@given(st.decimals("-1e9", "1e9", places=4), st.sampled_from(Locale))
def test_decimals_come_back_as_the_same_number(number: Decimal, locale: Locale) -> None:
    text = render(float(number), locale)
    assert Decimal(text.replace(",", ".")) == number
    assert "e" not in text.lower()
