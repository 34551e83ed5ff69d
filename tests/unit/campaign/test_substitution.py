"""What ``--gsm7`` changes, and what it would save."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.campaign.alphabet import is_gsm7
from dispatcher.campaign.segments import measure, measure_column
from dispatcher.campaign.substitution import Savings, substitute, to_gsm7, to_gsm7_column

_PIECES = st.sampled_from(
    ["a", "à", "á", "È", "’", "…", "½", "\u00a0", "e\u0301", "i\u0301", "😀", "Ж", "\u200b", " "]
)
TEXTS = st.one_of(st.text(max_size=100), st.lists(_PIECES, max_size=200).map("".join))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("È aperto, perché à è ì ò ù sono in GSM-7", "E' aperto, perché à è ì ò ù sono in GSM-7"),
        ("À È Ì Ò Ù É", "A' E' I' O' U' É"),
        ("á í ó ú Á Í Ó Ú ç ê ñ ¿", "a i o u A I O U c e ñ ¿"),
        ("“ciao” ‘ciao’ l’amico „a‟", '"ciao" \'ciao\' l\'amico "a"'),
        ("«ciao»", '"ciao"'),
        ("uno – due — tre … fine", "uno - due - tre ... fine"),
        ("10\u00a0€\u202f!", "10 € !"),
        ("a\u200bb\ufeffc\u00ad", "abc"),
        ("1ª 2º 20°", "1a 2o 20o"),
        ("3½ m²", "3 1/2 m^2"),
        ("Łódź, Đorđe, œuvre, Škoda", "Lodz, Dorde, oeuvre, Skoda"),
        ("ﬁne ＡＢ１", "fine AB1"),
        ("cami\u0301a", "camia"),
        ("x\u0302", "x"),
        ("`a`\t´b´", "'a' 'b'"),
    ],
)
def test_substitutes(text: str, expected: str) -> None:
    assert to_gsm7(text) == expected
    assert is_gsm7(to_gsm7(text))


@pytest.mark.parametrize("text", ["È Natale 🎄", "Привет – ciao", "你好…", "ωμέγα á", "½" * 70, "\u200b"])
def test_left_alone_where_nothing_is_gained(text: str) -> None:
    assert to_gsm7(text) == unicodedata.normalize("NFC", text)


@settings(deadline=None)
@given(TEXTS)
def test_the_result_is_gsm7_or_the_text_itself(text: str) -> None:
    composed, result = unicodedata.normalize("NFC", text), to_gsm7(text)
    assert result == composed or is_gsm7(result)
    assert measure(result).parts <= measure(text).parts
    assert to_gsm7(result) == result


@settings(deadline=None)
@given(st.characters())
def test_a_substitute_is_in_the_alphabet(character: str) -> None:
    plain = substitute(character)
    assert plain is None or is_gsm7(plain)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), TEXTS), max_size=20))
def test_column_equals_scalar(texts: list[str | None]) -> None:
    column = to_gsm7_column(np.array([*texts, None], dtype=object)[:-1])
    expected = [None if text is None else to_gsm7(text) for text in texts]
    assert [None if text is None else unicodedata.normalize("NFC", text) for text in column] == expected


def saved_on(texts: Sequence[str | None], parts: Sequence[int]) -> Savings:
    found = Savings()
    for text, count in zip(texts, parts, strict=True):
        if text is not None:
            found.add(unicodedata.normalize("NFC", text), count)
    return found


def test_savings_blame_the_characters() -> None:
    rows = ["a" * 100 + "á", "a" * 145 + "íá", "á" + "a" * 20, "à" * 150, "😀" + "a" * 100 + "í"]
    texts = np.array(rows, dtype=object)
    found = saved_on(rows, measure_column(texts).parts.tolist())
    # 2 -> 1, 3 -> 1, 1 -> 1; the row in GSM-7 does not count, the one with an emoji cannot be saved
    assert (found.rows, found.parts, found.ucs2_rows, found.ucs2_parts) == (2, 3, 4, 8)
    saved = {character: (of.substitute, of.rows, of.parts) for character, of in found.characters.items()}
    assert saved == {"á": ("a", 3, 3), "í": ("i", 2, 2), "😀": (None, 1, 0)}


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=12))
def test_what_would_be_saved_is_what_replacing_saves(texts: list[str]) -> None:
    rows = np.array([*texts, None], dtype=object)[:-1]
    parts = measure_column(rows).parts
    replaced = measure_column(to_gsm7_column(rows)).parts
    assert saved_on(texts, parts.tolist()).parts == int(parts.sum()) - int(replaced.sum())
