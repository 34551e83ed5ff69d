"""The rule for one cell, as a table; what a person typed, what is dialled, what is said about it."""

from __future__ import annotations

import phonenumbers
import pytest

from dispatcher.campaign.phones import LIBRARY_VERSION, known_region, read_phone
from dispatcher.campaign.reasons import Reason, Repair

NOTHING = Repair.NONE
SEPARATORS, INVISIBLE, FULLWIDTH = Repair.SEPARATORS, Repair.INVISIBLE, Repair.FULLWIDTH
TEL, APOSTROPHE, ZERO = Repair.TEL_SCHEME, Repair.APOSTROPHE, Repair.DECIMAL_ZERO
DOUBLE_ZERO, PLUS, TRUNK = Repair.DOUBLE_ZERO, Repair.PLUS_ADDED, Repair.TRUNK_ZERO
COUNTRY, SCIENTIFIC = Repair.COUNTRY_ADDED, Repair.SCIENTIFIC

ITALIAN = "+393331234567"
BRITISH = "+447400123456"

READ_FROM_ITALY = [
    # as it is, and the country code in all its spellings
    (ITALIAN, ITALIAN, NOTHING),
    ("3331234567", ITALIAN, COUNTRY),
    ("393331234567", ITALIAN, PLUS),
    ("00393331234567", ITALIAN, DOUBLE_ZERO),
    ("+00393331234567", ITALIAN, DOUBLE_ZERO),
    ("++393331234567", ITALIAN, SEPARATORS),
    ("(+39) 333 1234567", ITALIAN, SEPARATORS),
    ("+(39) 333 1234567", ITALIAN, SEPARATORS),
    ("(0039)3331234567", ITALIAN, DOUBLE_ZERO | SEPARATORS),
    (BRITISH, BRITISH, NOTHING),
    ("447400123456", BRITISH, PLUS),
    ("0044 7400 123456", BRITISH, DOUBLE_ZERO | SEPARATORS),
    # separators
    ("  333 1234567 ", ITALIAN, SEPARATORS | COUNTRY),
    ("333-123-4567", ITALIAN, SEPARATORS | COUNTRY),
    ("333.123.45.67", ITALIAN, SEPARATORS | COUNTRY),
    ("333/1234567", ITALIAN, SEPARATORS | COUNTRY),
    ("333\\1234567", ITALIAN, SEPARATORS | COUNTRY),
    ("333_1234567", ITALIAN, SEPARATORS | COUNTRY),
    ("[333] 1234567", ITALIAN, SEPARATORS | COUNTRY),
    ("3,331,234,567", ITALIAN, SEPARATORS | COUNTRY),
    ("333'123'4567", ITALIAN, SEPARATORS | COUNTRY),
    ("+39\n333 1234567", ITALIAN, SEPARATORS),
    ("3331234567;", ITALIAN, SEPARATORS | COUNTRY),
    ("- 333 1234567", ITALIAN, SEPARATORS | COUNTRY),
    *[
        (f"333{dash}1234567", ITALIAN, SEPARATORS | COUNTRY)
        for dash in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d\ufe58\ufe63\u2043\u30fc"
    ],
    ("333\u30001234567", ITALIAN, SEPARATORS | COUNTRY),
    ("（333）1234567", ITALIAN, SEPARATORS | COUNTRY),
    ("333・1234567", ITALIAN, SEPARATORS | COUNTRY),
    # what cannot be seen
    ("\u202a+39\u202c3331234567", ITALIAN, INVISIBLE),
    ("\ufeff+393331234567", ITALIAN, INVISIBLE),
    ("+39333\u200b1234567", ITALIAN, INVISIBLE),
    ("+39333\u200f1234567", ITALIAN, INVISIBLE),
    ("+39333\u00ad1234567", ITALIAN, INVISIBLE),
    ("333\u00001234567", ITALIAN, INVISIBLE | COUNTRY),
    ("333\u00a01234567", ITALIAN, INVISIBLE | SEPARATORS | COUNTRY),
    ("333\u202f1234567", ITALIAN, INVISIBLE | SEPARATORS | COUNTRY),
    # other digits
    ("＋３９３３３１２３４５６７", ITALIAN, FULLWIDTH),
    ("٣٣٣١٢٣٤٥٦٧", ITALIAN, FULLWIDTH | COUNTRY),
    ("+39३३३१२३४५६७", ITALIAN, FULLWIDTH),
    # words in front
    ("tel:+39-333-1234567", ITALIAN, TEL | SEPARATORS),
    ("TEL://+393331234567", ITALIAN, TEL),
    ("Tel. 3331234567", ITALIAN, TEL | COUNTRY),
    ("tel 3331234567", ITALIAN, TEL | COUNTRY),
    ("cell.: 3331234567", ITALIAN, TEL | COUNTRY),
    ("Móvil 3331234567", ITALIAN, TEL | COUNTRY),
    ("whatsapp:+393331234567", ITALIAN, TEL),
    ("📱3331234567", ITALIAN, TEL | COUNTRY),
    # what a spreadsheet does
    ("'3331234567", ITALIAN, APOSTROPHE | COUNTRY),
    ("\u2019+393331234567", ITALIAN, APOSTROPHE),
    ('"3331234567"', ITALIAN, APOSTROPHE | COUNTRY),
    ('="3331234567"', ITALIAN, APOSTROPHE | COUNTRY),
    ("=+393331234567", ITALIAN, APOSTROPHE),
    ("3331234567.0", ITALIAN, ZERO | COUNTRY),
    ("393331234567.0", ITALIAN, ZERO | PLUS),
    ("393331234567,00", ITALIAN, ZERO | PLUS),
    ("3.93331234567E+11", ITALIAN, SCIENTIFIC | PLUS),
    ("3,93331234567e+11", ITALIAN, SCIENTIFIC | PLUS),
    ("3.93331234567E11", ITALIAN, SCIENTIFIC | PLUS),
    ("3.331234567E+09", ITALIAN, SCIENTIFIC | COUNTRY),
    ("3.9333123456700E+11", ITALIAN, SCIENTIFIC | PLUS),
    # the zero that is only dialled inside a country
    ("+44 (0)7400 123456", BRITISH, SEPARATORS | TRUNK),
    ("+44 ( 0 ) 7400 123456", BRITISH, SEPARATORS | TRUNK),
    ("0044 (0) 7400-123456", BRITISH, DOUBLE_ZERO | SEPARATORS | TRUNK),
    ("44 (0)7400 123456", BRITISH, SEPARATORS | PLUS | TRUNK),
    ("+4407400123456", BRITISH, TRUNK),
    ("+39 (0)333 1234567", ITALIAN, SEPARATORS | TRUNK),
    ("41 (0)78 123 45 67", "+41781234567", SEPARATORS | PLUS | TRUNK),
    ("39 (0)333 1234567", ITALIAN, SEPARATORS | PLUS | TRUNK),
    ("(0)333 1234567", ITALIAN, SEPARATORS | COUNTRY | TRUNK),
    ("+393331234567;", ITALIAN, SEPARATORS),
]


@pytest.mark.parametrize(("text", "recipient", "repairs"), READ_FROM_ITALY)
def test_reads(text: str, recipient: str, repairs: Repair) -> None:
    phone = read_phone(text, "IT")

    assert (phone.recipient, phone.reason) == (recipient, None)
    assert phone.repairs == repairs


REFUSED_IN_ITALY = [
    (
        Reason.PHONE_MISSING,
        ["", " ", "\t\n", "\u200b", "-", "--", "/", "+", "'", "()", "n/a", "NA", "nan", "None", "NULL"],
    ),
    (
        Reason.PHONE_ERROR_CELL,
        ["#N/A", "#N/D", "#REF!", "#RIF!", "#DIV/0!", "#¡VALOR!", "#¿NOMBRE?", "#####", "Err:502"],
    ),
    (
        Reason.PHONE_IS_DATE,
        [
            "05/12/2026",
            "5-12-26",
            "2026-12-05",
            "05.12.2026",
            "2026-12-05 00:00:00",
            "2026-12-05T09:30:00Z",
            "12/31/2026",
            "05/12/2026 09:30",
            "09:30",
            "'05/12/2026",
        ],
    ),
    (
        Reason.PHONE_LETTERS,
        [
            "333 1234567 ext. 5",
            "333 1234567 int. 12",
            "3331234567x5",
            "tel:+393331234567;ext=5",
            "1-800-FLOWERS",
            "Mario",
            "33312345O7",
            "333 abc",
            "３３３ａ",
            "fax 3331234567",
            "n.333 1234567",
            "電話",
            "3331234567²",
            "①3331234567",
        ],
    ),
    (Reason.PHONE_DIGITS_LOST, ["3.93E+11", "3,93E+11", "3.93331E+11", "4E11", "'3.93E+11"]),
    (
        Reason.PHONE_TWO_NUMBERS,
        [
            "333 1234567 / 333 7654321",
            "333 1234567; 333 7654321",
            "333 1234567 o 333 7654321",
            "3331234567\n3337654321",
            "333 1234567, 333 7654321",
            "3331234567 oppure 3337654321",
            "3331234567|3337654321",
            "3331234567 & 3337654321",
            "333 1234567 333 7654321",
            "333 1234567 - 333 7654321",
            "3331234567+393337654321",
            "02/1234567 333/1234567",
            "cell. 3331234567 tel. 021234567",
            "333 1234567 / 7654321",
            "+393331234567/+393337654321",
            "333 1234567 y 2",
            "333123456 / 7",
            "333123456 (7)",
            "3331234567,,5",
        ],
    ),
    (Reason.PHONE_TOO_SHORT, ["3", "12", "333", "46361", "+39", "+391"]),
    (Reason.PHONE_TOO_LONG, ["33312345678901234567", "+3933312345678901", "3" * 500]),
    (Reason.PHONE_UNKNOWN_COUNTRY, ["+999123456789", "00210123456789", "+0393331234567", "000393331234567"]),
    (
        Reason.PHONE_NOT_VALID,
        [
            "+39 39 333 1234567",
            "+390333123456",
            "333123456.7",
            "-3331234528",
            "-393331234567.0",
            "−3331234567",
            "?",
            "*31#3331234567",
            "333+1234",
            "333;12",
            "\u202e333 1234567",
            "333\ue0001234567",
            "333~1234567",
            "3.9333123456789E+11",
            "3E-5",
        ],
    ),
    (
        Reason.PHONE_LANDLINE,
        ["02/12345678", "+39 06 12345678", "+39 (0)6 12345678", "+39 (0)324 1234567", "+34 912 345 678"],
    ),
    # Italian premium and freephone; eleven digits from 32 to 38 are voicemail boxes, and so is a Spanish
    # mobile that has lost its plus, or an Italian one with a digit too many: nobody can tell which.
    (Reason.PHONE_NOT_MOBILE, ["800123456", "+39 199 123456", "34612345678"]),
]


@pytest.mark.parametrize(
    ("text", "reason"), [(text, reason) for reason, texts in REFUSED_IN_ITALY for text in texts]
)
def test_refuses(text: str, reason: Reason) -> None:
    phone = read_phone(text, "IT")

    assert phone.reason is reason
    assert (phone.recipient, phone.repairs) == (None, NOTHING)


@pytest.mark.parametrize(
    ("text", "region", "recipient", "repairs"),
    [
        ("07400 123456", "GB", BRITISH, SEPARATORS | COUNTRY),
        ("7400123456", "GB", BRITISH, COUNTRY),
        ("612 345 678", "ES", "+34612345678", SEPARATORS | COUNTRY),
        ("34612345678", "ES", "+34612345678", PLUS),
        ("393331234567", "ES", ITALIAN, PLUS),
        ("(201) 555-0123", "US", "+12015550123", SEPARATORS | COUNTRY),
        ("12015550123", "US", "+12015550123", PLUS),
        ("011 39 333 1234567", "US", ITALIAN, SEPARATORS | PLUS),
        ("0011 39 333 1234567", "AU", ITALIAN, SEPARATORS | PLUS),
        ("0039 333 1234567", "AU", ITALIAN, SEPARATORS | DOUBLE_ZERO),
        ("8 (912) 345-67-89", "RU", "+79123456789", SEPARATORS | COUNTRY),
        (ITALIAN, "ZZ", ITALIAN, NOTHING),
    ],
)
def test_reads_national_numbers_of_the_region(
    text: str, region: str, recipient: str, repairs: Repair
) -> None:
    phone = read_phone(text, region)

    assert (phone.recipient, phone.reason, phone.repairs) == (recipient, None, repairs)


@pytest.mark.parametrize(
    ("text", "country", "reason"),
    [
        (ITALIAN, "IT", None),
        ("+39 06 69812345", "VA", Reason.PHONE_LANDLINE),
        ("+378 66 66 12 12", "SM", None),
        ("+44 7797 712345", "JE", None),
        ("+44 1534 123456", "JE", Reason.PHONE_LANDLINE),
        ("+1 201 555 0123", "US", None),
        ("+1 506 234 5678", "CA", None),
        ("+7 771 000 9998", "KZ", None),
        ("+8816 12345678", "001", None),
        ("+999123456789", None, Reason.PHONE_UNKNOWN_COUNTRY),
    ],
)
def test_names_the_country_as_phonenumbers_does(
    text: str, country: str | None, reason: Reason | None
) -> None:
    phone = read_phone(text, "IT")

    assert (phone.country, phone.reason) == (country, reason)


def test_a_national_number_of_an_unknown_region_has_no_country() -> None:
    assert read_phone("3331234567", "ZZ").reason is Reason.PHONE_UNKNOWN_COUNTRY


def _example(region: str) -> phonenumbers.PhoneNumber | None:
    return phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)


@pytest.mark.parametrize("region", sorted(filter(_example, phonenumbers.SUPPORTED_REGIONS)))
def test_reads_the_example_mobile_of_every_region(region: str) -> None:
    example = _example(region)
    assert example is not None
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    international = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.INTERNATIONAL)

    assert read_phone(e164, "IT").recipient == e164
    assert read_phone(international, "IT").recipient == e164
    assert read_phone(f"00{e164[1:]}", "IT").recipient == e164
    assert read_phone(national, region).recipient == e164


@pytest.mark.parametrize(
    ("code", "known"), [("IT", True), ("SM", True), ("it", False), ("UK", False), ("", False)]
)
def test_known_regions(code: str, known: bool) -> None:
    assert known_region(code) is known


def test_the_version_is_that_of_the_library() -> None:
    assert phonenumbers.__version__ == LIBRARY_VERSION
