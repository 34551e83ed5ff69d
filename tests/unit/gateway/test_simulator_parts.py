"""The simulator's own part counter and number check."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.gateway.simulator.numbers import mobile
from dispatcher.gateway.simulator.segments import measure

BASIC = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./09:;<=>?¡AZÄÖÑÜ§¿azäöñüà"
DOUBLE = "^{}\\[~]|€\f"


@pytest.mark.parametrize(
    ("text", "encoding", "characters", "parts"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("a" * 152 + "€" + "a" * 10, "GSM-7", 164, 2),
        ("a" * 152 + "€" + "a" * 151, "GSM-7", 305, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),  # the pair left a place empty in the first part
        ("é" * 70, "GSM-7", 70, 1),
        ("á" * 70, "UCS-2", 70, 1),
        ("á" * 71, "UCS-2", 71, 2),
        ("á" * 134, "UCS-2", 134, 2),
        ("á" * 66 + "😀" + "á" * 66, "UCS-2", 134, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("\x1b", "UCS-2", 1, 1),
        ("`", "UCS-2", 1, 1),
    ],
)
def test_known_sizes(text: str, encoding: str, characters: int, parts: int) -> None:
    assert measure(text) == (encoding, characters, parts)


def walked(places: list[int], alone: int, split: int) -> int:
    if sum(places) <= alone:
        return 1
    parts, used = 1, 0
    for wide in places:
        if used + wide > split:
            parts, used = parts + 1, 0
        used += wide
    return parts


@given(st.text(st.sampled_from(BASIC + DOUBLE * 5), max_size=700))
def test_gsm_parts_equal_a_walk(text: str) -> None:
    places = [2 if letter in DOUBLE else 1 for letter in text]
    assert measure(text) == ("GSM-7", sum(places), walked(places, 160, 153))


@given(st.text(st.sampled_from("aá漢😀🎉"), max_size=400))
def test_ucs2_parts_equal_a_walk(text: str) -> None:
    places = [2 if letter > "\uffff" else 1 for letter in "á" + text]
    assert measure("á" + text) == ("UCS-2", sum(places), walked(places, 70, 67))


@pytest.mark.parametrize(
    ("written", "prefix", "country"),
    [
        ("+393123456789", "39", "IT"),
        ("+34612345678", "34", "ES"),
        ("+447400123456", "44", "GB"),
        ("+12015550123", "1", "US"),  # fixed line or mobile: nobody can tell
    ],
)
def test_mobile_numbers(written: str, prefix: str, country: str) -> None:
    assert mobile(written) == (written, prefix, country)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "+",
        "3123456789",
        "00393123456789",
        "+39 312 345 6789",
        "+39312345678９",
        "+390212345678",
        "+4407400123456",  # a trunk zero left in
        "+3931234567890123",
        "+999123456789",
        "+39892123",
    ],
)
def test_no_mobile_numbers(written: str) -> None:
    assert mobile(written) is None


@pytest.mark.parametrize("country", ["IT", "ES", "FR", "DE", "PT", "BR", "IN", "PH", "US", "GB", "CH", "MX"])
def test_example_numbers_of_the_library(country: str) -> None:
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    found = mobile(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
    assert found is not None
    assert found.country == country
