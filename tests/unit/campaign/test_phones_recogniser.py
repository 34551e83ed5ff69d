"""The tables equal the rule: 300,000 cells with every region's numbers, and the rule for all that the tables answer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from platformdirs import user_cache_path

from dispatcher.campaign.phones import reading
from dispatcher.campaign.phones.automaton import SYMBOLS, Automaton, build_automaton
from dispatcher.campaign.phones.keeping import kept_automaton, kept_file
from dispatcher.campaign.phones.metadata import FIXED, GENERAL, MOBILE, OTHERS, all_regions
from dispatcher.campaign.phones.patterns import NOTHING, Expressions, UnknownSyntax
from dispatcher.campaign.phones.reading import PhoneColumn, read_phone, read_phones, read_text_cells
from dispatcher.campaign.phones.recipients import Recipients
from dispatcher.campaign.phones.recogniser import Answers, Recogniser
from dispatcher.campaign.reasons import Reason, Repair

ROWS = 300_000
# Each is read in another way: no trunk prefix, several regions of a code, prefixes with area codes, 011, 8, 06.
REGIONS = (
    "IT",
    "ES",
    "GB",
    "US",
    "DE",
    "SM",
    "RU",
    "FR",
    "VA",
    "JE",
    "AG",
    "AU",
    "BR",
    "AR",
    "HU",
    "NO",
    "KZ",
    "ZZ",
)
DESCRIPTIONS = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "voip",
    "pager",
    "uan",
    "personal_number",
)
SEPARATORS = (" ", " ", "-", ".", "/", "(", ")", ") ", " - ", "  ")


@pytest.fixture(scope="module")
def automaton() -> Automaton:
    return build_automaton()


def examples() -> list[tuple[str, str]]:
    """Calling code and national number of every kind of number of every region that has an example."""
    found = []
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            if region == "001":
                metadata = phonenumbers.PhoneMetadata.metadata_for_nongeo_region(code)
            else:
                metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
            described = (getattr(metadata, name) for name in DESCRIPTIONS)
            numbers = {one.example_number for one in described if one is not None and one.example_number}
            found.extend((str(code), number) for number in sorted(numbers))
    return found


def walked(automaton: Automaton, rng: random.Random, start: str) -> str:
    """Digits that some region's pattern matches, found by following the table from ``start``."""
    digits, state = start, automaton.after(start)
    dead = automaton.after("0")
    while len(digits) < 17 and not (
        automaton.verdict[automaton.label[state], len(digits)] and rng.random() < 0.7
    ):
        digit = rng.randrange(10)
        following = int(automaton.following[state * SYMBOLS + digit])
        if following == dead:
            if rng.random() < 0.01:
                break
            continue
        digits, state = digits + str(digit), following
    return digits


def spoiled(rng: random.Random, digits: str) -> str:
    """A digit more, less or changed, or two swapped."""
    place = rng.randrange(len(digits))
    digit = str(rng.randrange(10))
    return rng.choice(
        (
            digits[:place] + digits[place + 1 :],
            digits[:place] + digit + digits[place:],
            digits[:place] + digit + digits[place + 1 :],
            digits[:place] + digits[place:][:2][::-1] + digits[place + 2 :],
            digits + digit,
            digits[:-1],
        )
    )


def spaced(rng: random.Random, text: str) -> str:
    """With separators where people put them, or anywhere."""
    if rng.random() < 0.5:
        size = rng.choice((2, 3, 4))
        separator = rng.choice(SEPARATORS)
        return separator.join(text[i : i + size] for i in range(0, len(text), size))
    for _ in range(rng.randrange(1, 5)):
        place = rng.randrange(len(text) + 1)
        text = text[:place] + rng.choice(SEPARATORS) + text[place:]
    return text


def written(rng: random.Random, code: str, national: str, home: str) -> str:
    """One of the ways in which people write a number; ``home`` is the calling code of the list's region."""
    way = rng.choice(("plus", "plus", "zeros", "bare", "bare", "national", "national", "trunk", "odd"))
    if way == "plus":
        return f"+{code}{national}"
    if way == "zeros":
        return f"00{code}{national}"
    if way == "bare":
        return f"{code}{national}"
    if way == "national":
        return national
    if way == "trunk":
        return rng.choice(("0", "1", "8", "06", "(0)", "0 ")) + national
    prefix = rng.choice(
        (
            "+00",
            "++",
            "(+",
            "+0",
            "011",
            "0011",
            "810",
            "000",
            f"+{home}",
            f"{home}0",
            f"+{code}0",
            f"+{code}(0)",
        )
    )
    return f"{prefix}{national}"


def cells_of(automaton: Automaton, rng: random.Random, region: str) -> Iterator[str]:
    """Cells for ever: half of the numbers of the region's calling code, half of the rest of the world."""
    known = examples()
    home = str(phonenumbers.country_code_for_region(region) or 39)
    at_home = [example for example in known if example[0] == home]
    while True:
        code, national = rng.choice(at_home if rng.random() < 0.5 else known)
        if rng.random() < 0.5:
            tail = rng.randrange(1, len(national))
            national = national[:-tail] + "".join(rng.choice("0123456789") for _ in range(tail))
        if rng.random() < 0.4:
            national = walked(automaton, rng, code)[len(code) :] or national
        if rng.random() < 0.05:
            national = "".join(rng.choice("0123456789") for _ in range(rng.randrange(1, 15)))
        if rng.random() < 0.25:
            national = spoiled(rng, national) or national
        text = written(rng, code, national, home)
        if rng.random() < 0.03:
            text = rng.choice(
                (f"{text}.0", f"{text}.50", f"-{text}", f"{text} / {national}", f"{text}/{text[-3:]}")
            )
        if rng.random() < 0.4:
            text = spaced(rng, text)
        yield text


def answered_by(recogniser: Recogniser, answers: Answers) -> PhoneColumn:
    """What the tables alone say; the open cells mean nothing."""
    return PhoneColumn(
        Recipients(answers.number),
        recogniser.countries(answers.verdict),
        recogniser.reasons(answers.verdict),
        answers.repairs,
    )


def differences(automaton: Automaton, region: str, rows: int, seed: int) -> tuple[list[str], float]:
    """The cells that the tables answer otherwise than the rule, and which part of the cells they answer."""
    source = cells_of(automaton, random.Random(seed), region)
    texts = [next(source) for _ in range(rows)]
    recogniser = Recogniser(automaton, region)
    answers = recogniser.read(pa.array(texts, pa.large_string()))
    found = values(answered_by(recogniser, answers))
    closed = np.flatnonzero(~answers.open).tolist()
    expected = by_the_rule([texts[cell] for cell in closed], region)
    wrong = [texts[cell] for cell, rule in zip(closed, expected, strict=True) if found[cell] != rule]
    return wrong, 1 - float(np.mean(answers.open))


@pytest.mark.parametrize("region", REGIONS)
def test_the_tables_equal_the_rule(automaton: Automaton, region: str) -> None:
    wrong, answered = differences(automaton, region, ROWS // len(REGIONS), seed=REGIONS.index(region))

    assert wrong == []
    assert answered > 0.15


MARKS = ("\u200e", "\u200b", "\u00a0", "\u202f", "\ufeff", "\u00ad", "\u202e", "\u2060", " ")


def disguised(rng: random.Random, text: str) -> str:
    """With ``tel:``, or marks that nobody sees, or both."""
    if rng.random() < 0.6:
        text = rng.choice(("tel:", "tel:", "tel: ", "Tel:", "tel:tel:")) + text
    for _ in range(rng.randrange(3)):
        place = rng.randrange(len(text) + 1)
        text = text[:place] + rng.choice(MARKS) + text[place:]
    return text


@pytest.mark.parametrize("region", ["IT", "GB", "US"])
def test_a_disguise_changes_nothing_but_the_repairs(automaton: Automaton, region: str) -> None:
    rng = random.Random(5)
    source = cells_of(automaton, rng, region)
    texts = [disguised(rng, next(source)) for _ in range(3_000)]
    cells = pa.array(texts, pa.large_string())

    assert values(read_text_cells(cells, Recogniser(automaton, region), region)) == by_the_rule(texts, region)


@pytest.mark.parametrize("text", ["tel:+393331234567", "\u200e+39\u00a0333 1234567", "tel:333\u202f123 4567"])
def test_usual_disguises_need_no_rule(
    automaton: Automaton, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "read_phone", _never)
    column = read_text_cells(pa.array([text], pa.large_string()), Recogniser(automaton, "IT"), "IT")

    assert column.recipient.tolist() == ["+393331234567"]


# The cells that people write must not fall back to the rule unnoticed: they would be right, and slow.
@pytest.mark.parametrize(
    ("text", "region", "recipient", "repairs"),
    [
        ("+393331234567", "IT", "+393331234567", Repair.NONE),
        ("3331234567", "IT", "+393331234567", Repair.COUNTRY_ADDED),
        ("393331234567", "IT", "+393331234567", Repair.PLUS_ADDED),
        ("00393331234567", "IT", "+393331234567", Repair.DOUBLE_ZERO),
        ("0039 333 1234567", "IT", "+393331234567", Repair.DOUBLE_ZERO | Repair.SEPARATORS),
        ("333/1234567", "IT", "+393331234567", Repair.SEPARATORS | Repair.COUNTRY_ADDED),
        ("333.123.45.67", "IT", "+393331234567", Repair.SEPARATORS | Repair.COUNTRY_ADDED),
        (" (333) 123-4567 ", "IT", "+393331234567", Repair.SEPARATORS | Repair.COUNTRY_ADDED),
        ("447400123456", "IT", "+447400123456", Repair.PLUS_ADDED),
        ("612 345 678", "ES", "+34612345678", Repair.SEPARATORS | Repair.COUNTRY_ADDED),
        ("07400 123456", "GB", "+447400123456", Repair.SEPARATORS | Repair.COUNTRY_ADDED),
        ("(201) 555-0123", "US", "+12015550123", Repair.SEPARATORS | Repair.COUNTRY_ADDED),
        ("12015550123", "US", "+12015550123", Repair.PLUS_ADDED),
        ("8 (912) 345-67-89", "RU", "+79123456789", Repair.SEPARATORS | Repair.COUNTRY_ADDED),
        ("0151 23456789", "DE", "+4915123456789", Repair.SEPARATORS | Repair.COUNTRY_ADDED),
    ],
)
def test_the_tables_answer(
    automaton: Automaton, text: str, region: str, recipient: str, repairs: Repair
) -> None:
    recogniser = Recogniser(automaton, region)
    answers = recogniser.read(pa.array([text], pa.large_string()))

    assert not answers.open[0]
    found = answered_by(recogniser, answers)
    assert (found.recipient[0], Repair(int(found.repairs[0]))) == (recipient, repairs)


def test_every_mobile_is_an_integer() -> None:
    """A calling code and the longest mobile that the library knows have no more digits than 64 bits can hold."""
    longest = max(
        len(region.calling_code) + max(description.possible_length, default=0)
        for regions in all_regions()
        for region in regions
        if (description := region.description(MOBILE)) is not None
    )

    assert longest <= 18


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "+", "12", "05/12/2026", "5.12.26", "3331234567.0", "3331234567.50", "-3331234567"),
        *("++393331234567", "333+1234567", "+44 (0)7400 123456", "+44 ( 0 ) 7400 123456", "3331234567 (8)"),
        *("333123456 / 7", "02/1234567 333/1234567", "3331234567x5", "333\u00a01234567", "tel:3331234567"),
        *("３３３1234567", "333\x001234567", "+4407400123456", "01139333123456", "3" * 300),
    ],
)
def test_the_tables_leave_the_unusual_to_the_rule(automaton: Automaton, text: str) -> None:
    assert Recogniser(automaton, "IT").read(pa.array([text], pa.large_string())).open[0]


@pytest.mark.parametrize("text", ["20.12.2026", "20/12/2026", "20-12-2026"])
def test_a_date_that_is_a_mobile_without_its_marks(automaton: Automaton, text: str) -> None:
    cells = pa.array([text, "20122026", "20 12 20 26"], pa.large_string())

    assert Recogniser(automaton, "DK").read(cells).open.tolist() == [True, False, False]
    assert read_phone(text, "DK").reason is Reason.PHONE_IS_DATE


def test_a_slash_after_a_whole_number_is_left_to_the_rule(automaton: Automaton) -> None:
    """4072 is a whole number of Niue and 8884012 another; together they are a Romanian mobile without its plus."""
    cells = pa.array(["4072/8884012", "40728884012"], pa.large_string())

    assert Recogniser(automaton, "NU").read(cells).open.tolist() == [True, False]
    assert read_phone("4072/8884012", "NU").reason is Reason.PHONE_TWO_NUMBERS


def values(column: PhoneColumn) -> list[tuple[object, ...]]:
    return list(zip(column.recipient, column.country, column.reason, column.repairs.tolist(), strict=True))


def by_the_rule(cells: list[str | None], region: str) -> list[tuple[object, ...]]:
    phones = (read_phone(cell or "", region) for cell in cells)
    return [(phone.recipient, phone.country, phone.reason, phone.repairs.value) for phone in phones]


@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=20), st.text("+0123456789 ().-/", max_size=24)), max_size=8
    )
)
def test_any_text_and_any_slice_of_a_column(automaton: Automaton, cells: list[str | None]) -> None:
    column = pa.array(["+39 333 1234567", *cells, None], pa.large_string()).slice(1)

    assert values(read_text_cells(column, Recogniser(automaton, "IT"), "IT")) == by_the_rule(
        [*cells, None], "IT"
    )


LONG = ["+393331234567", "333 1234567", None, "fax 02 1234567", "02 12345678", "３３３1234567", ""] * 2_000


@pytest.mark.parametrize("dtype", [object, "str", "string", pd.ArrowDtype(pa.string()), "category"])
def test_a_long_column_of_every_kind(dtype: Any, kept: Path) -> None:
    column = read_phones(pd.Series(LONG, dtype=dtype), "IT")

    assert values(column) == by_the_rule(LONG[:7], "IT") * 2_000


def test_a_long_column_builds_the_tables_and_a_short_one_uses_what_is_kept(
    automaton: Automaton, machine: Path
) -> None:
    folder = user_cache_path("dispatcher", appauthor=False)
    read_phones(pd.Series(LONG[:1_000], dtype=object), "IT")
    assert not kept_file(folder).exists()

    read_phones(pd.Series(LONG, dtype=object), "IT")
    assert folder.is_relative_to(machine)
    assert same(kept_automaton(folder, build=_never), automaton)


@pytest.mark.parametrize("odd", [393331234567.0, b"3331234567", 5])
def test_numbers_are_refused_in_a_long_column(odd: object, kept: Path) -> None:
    with pytest.raises(TypeError, match="a phone column holds text"):
        read_phones(pd.Series([*LONG, odd], dtype=object), "IT")


def test_half_a_surrogate_pair_in_a_long_column(kept: Path) -> None:
    column = read_phones(pd.Series([*LONG, "333\ud8001234567"], dtype=object), "IT")

    assert column.reason[-1] is Reason.PHONE_NOT_VALID
    assert column.recipient[0] == "+393331234567"


@pytest.fixture
def kept(automaton: Automaton, machine: Path) -> Path:
    """The file with the tables, as a program that ran before left it."""
    folder = user_cache_path("dispatcher", appauthor=False)
    return stored(automaton, folder)


def stored(automaton: Automaton, folder: Path) -> Path:
    file = kept_file(folder)
    folder.mkdir(parents=True)
    arrays = {field.name: getattr(automaton, field.name) for field in fields(Automaton)}
    np.savez_compressed(file, **arrays)
    return file


def same(one: Automaton, other: Automaton) -> bool:
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Automaton)
    )


def _never() -> Automaton:
    raise AssertionError("built although it was kept")


def test_what_was_built_is_kept_and_read_back(automaton: Automaton, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"

    assert kept_automaton(folder, build=lambda: automaton) is automaton
    assert same(kept_automaton(folder, build=_never), automaton)
    assert [file.name for file in folder.iterdir()] == [kept_file(folder).name]
    assert phonenumbers.__version__ in kept_file(folder).name


def _cut(file: Path, _: Automaton) -> None:
    file.write_bytes(file.read_bytes()[:5_000])


def _turned(file: Path, _: Automaton) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def _emptied(file: Path, _: Automaton) -> None:
    file.write_bytes(b"")


def _something_else(file: Path, _: Automaton) -> None:
    with file.open("wb") as other:
        np.savez(other, regions=np.array(["IT"]))


def _pickled(file: Path, _: Automaton) -> None:
    with file.open("wb") as other:
        np.savez(other, regions=np.array([object()], dtype=object))


def _pointing_outside(file: Path, automaton: Automaton) -> None:
    arrays = {field.name: getattr(automaton, field.name) for field in fields(Automaton)}
    arrays["following"] = np.full_like(arrays["following"], len(automaton.label))
    with file.open("wb") as other:
        np.savez(other, **arrays)


@pytest.mark.parametrize("damage", [_cut, _turned, _emptied, _something_else, _pickled, _pointing_outside])
def test_a_damaged_file_is_built_anew(
    automaton: Automaton, damage: Callable[[Path, Automaton], None], tmp_path: Path
) -> None:
    file = stored(automaton, tmp_path / "cache")
    whole = file.stat().st_size
    damage(file, automaton)

    assert kept_automaton(file.parent, build=lambda: automaton) is automaton
    assert file.stat().st_size == whole
    assert same(kept_automaton(file.parent, build=_never), automaton)


def test_without_a_place_to_keep_it(automaton: Automaton, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    assert kept_automaton(tmp_path / "file" / "cache", build=lambda: automaton) is automaton


def metadata_patterns() -> list[str]:
    found = set()
    for regions in all_regions():
        for region in regions:
            described = (region.description(name) for name in (GENERAL, *OTHERS, FIXED, MOBILE))
            found.update(one.national_number_pattern for one in described if one is not None)
    return sorted(pattern for pattern in found if pattern)


def test_patterns_match_what_regular_expressions_match() -> None:
    rng = random.Random(7)
    expressions = Expressions()
    matches = 0
    for pattern in metadata_patterns():
        start = expressions.read(pattern)
        for _ in range(6):
            text, rest = "", start
            while len(text) < 16 and not (expressions.matches_empty(rest) and rng.random() < 0.5):
                # mostly a digit with which it can still match
                digit = rng.choice([d for d in range(10) if expressions.derive(rest, d) != NOTHING] or [0])
                digit = rng.randrange(10) if rng.random() < 0.03 else digit
                text, rest = f"{text}{digit}", expressions.derive(rest, digit)
            matched = re.fullmatch(pattern, text) is not None
            assert expressions.matches_empty(rest) == matched, (pattern, text)
            matches += matched
    assert matches > 3_000


@pytest.mark.parametrize(
    "pattern", ["(?=1)2", "1*", "1+", "[^1]", ".1", "\\w", "(1", "1)", "?", "a", "[1-]", "(?!1)"]
)
def test_patterns_in_another_language_are_not_guessed(pattern: str) -> None:
    with pytest.raises(UnknownSyntax):
        Expressions().read(pattern)


def test_an_absent_pattern_matches_nothing() -> None:
    assert (Expressions().read(None), Expressions().read("")) == (NOTHING, NOTHING)
