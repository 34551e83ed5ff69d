"""The GSM-7 tables, row by row."""

from __future__ import annotations

import unicodedata

import pytest

from dispatcher.campaign.alphabet import BASIC, EXTENSION, is_gsm7, offending

_CONTROL_NAMES = {"\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\f": "FORM FEED"}


@pytest.mark.parametrize(("septet", "character", "name"), [*BASIC, *EXTENSION])
def test_names_are_those_of_unicode(septet: int, character: str, name: str) -> None:
    assert unicodedata.name(character, _CONTROL_NAMES.get(character, "")) == name
    assert 0 <= septet < 128
    assert is_gsm7(character)


def test_the_basic_table_is_complete_but_for_the_escape() -> None:
    assert {septet for septet, _, _ in BASIC} == set(range(128)) - {0x1B}
    assert len({character for _, character, _ in (*BASIC, *EXTENSION)}) == 127 + 10


def test_ascii_letters_and_digits_keep_their_codes() -> None:
    codes = {character: septet for septet, character, _ in BASIC}
    assert all(codes[c] == ord(c) for c in "0123456789ABCXYZabcxyz !\"#%&'()*+,-./:;<=>?")


@pytest.mark.parametrize("character", "àèéìòùñÑüÜöÖäÄÇÉ¿¡€£§@_^{}[]~|\\\n\r\f")
def test_in(character: str) -> None:
    assert is_gsm7(character)


@pytest.mark.parametrize("character", "áíóúÁÍÓÚÀÈÌÒÙçêÿ“”‘’–—…\u00a0`\t\x1b\x00😀Жω°«»")
def test_not_in(character: str) -> None:
    assert not is_gsm7(character)
    assert offending(f"a{character}b{character}") == [character] * 2


def test_the_composed_form_counts() -> None:
    assert is_gsm7("perche\u0301")
    assert offending("cami\u0301a") == ["í"]
