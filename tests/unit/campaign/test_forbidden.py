"""The operator's own list of words: what it finds, what it does not, and files that are no list."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.forbidden import MAX_BYTES, ForbiddenWords
from dispatcher.errors import UsageError


@pytest.mark.parametrize(
    ("entry", "text", "found"),
    [
        ("casino", "Al CASINO!", True),
        ("casino", "c.a.s.i.n.o", True),
        ("casino", "c a s i n o", True),
        ("casino", "vai al ca-sino_oggi", True),
        ("casino", "cas\u200bino", True),
        ("casino", "cas\u00adino", True),
        ("casino", "\uff43asino", True),
        ("casino", "(casino)", True),
        ("casino", "casinos", False),
        ("casino", "ilcasino", False),
        ("casino", "cas", False),
        ("casino", "no casi", False),
        ("Casinò", "CASINO\u0300", True),
        ("Casinò", "casino", False),
        ("gratis bonus", "il tuo gratis, BONUS", True),
        ("gratis bonus", "gratisbonus", True),
        ("gratis bonus", "gratis un bonus", False),
        ("straße", "STRASSE", True),
        ("18+", "solo 18 anni", True),
        ("🔞", "solo 🔞!", True),
        ("$$$", "vinci $$$$", True),
        ("$$$", "costa 5 $", False),
        ("赌场", "赌 场", True),
    ],
)
def test_what_is_found(entry: str, text: str, found: bool) -> None:
    assert ForbiddenWords(["nothing", entry, "nothing else"]).find(text) == (entry if found else None)


@given(
    st.lists(st.text("abcde", min_size=1, max_size=6), min_size=1, max_size=8),
    st.lists(st.text("abcde", min_size=1, max_size=4), max_size=10),
    st.sampled_from([" ", ".", "-", "\n", "_", "\u200b"]),
)
def test_an_entry_is_found_exactly_where_whole_words_join_to_it(
    entries: list[str], words: list[str], separator: str
) -> None:
    joined = {"".join(words[a:b]) for a in range(len(words)) for b in range(a + 1, len(words) + 1)}

    found = ForbiddenWords(entries).find(separator.join(words).upper())

    assert (found is not None) == bool(joined & set(entries))
    assert found is None or found in entries


def test_a_list_has_comments_blank_lines_and_a_mark_of_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes("# no gambling\r\n\r\n  Casinò \r\nbonus gratis # free\r\n".encode("utf-8-sig"))

    words = ForbiddenWords.load(path)

    assert words.find("il casinò") == "Casinò"
    assert words.find("gambling") is None
    assert words.find("BONUS GRATIS") is None  # a comment has a line of its own


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "forbid_file"),
        (b"casin\xf2\n", "forbid_file"),
        (b"x" * (MAX_BYTES + 1), "forbid_file"),
        (b"\n# nothing\n", "forbid_file_empty"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError) as refused:
        ForbiddenWords.load(path)

    assert refused.value.code == code
    assert refused.value.file == str(path)
