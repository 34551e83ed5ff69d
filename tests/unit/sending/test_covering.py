"""A covering set holds every word and every two neighbouring words; what it folds is said."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.sending.covering import Covering, Kind, fold, folded_part
from dispatcher.sending.folded import Folded, folded_in

Text = tuple[str, str | None, str]  # route, sender, text

WORDS = st.sampled_from(
    ["Ciao", "ciao", "Anna", "ROSSI", "c.a.s.a", "è", "x", "y", "bis-", "(bis)", "\u200bz", "好"]
)
VALUES = st.sampled_from(["12", "7", "10:30", "9:05", "A1B2", "AB-12", "99,50€"])
LINKS = st.sampled_from(
    ["https://a.example/x", "https://a.example/Yz", "b.example/k7", "https://b.example/?q=1"]
)
TEXTS = st.tuples(
    st.sampled_from(["IT", "WW"]),
    st.sampled_from([None, "ACME", "ACME Shop"]),
    st.lists(st.one_of(WORDS, WORDS, VALUES, LINKS), min_size=1, max_size=8).map(" ".join),
)


def chosen(texts: list[Text], covering: Covering | None = None) -> list[Text]:
    covering = covering or Covering()
    return [text for text in texts if covering.offer(*text)]


def shape(word: str) -> str:
    """The rule a second time, for the words that these tests use."""
    link = re.match(r"(?:https://)?[ab]\.example(?=/)", word)
    if link:
        path = word[link.end() :]
        return link[0] + re.sub(r"[A-Za-z\d]+", lambda m: "9" if m[0].isdigit() else "a", path)
    return "a9" if word == "A1B2" else re.sub(r"\d", "9", word.lower())


def pairs(text: Text) -> set[tuple[str, str | None, str, str]]:
    route, sender, words = text
    before = sender.lower().split()[-1] if sender else "^"
    return {(route, sender, *pair) for pair in pairwise([before, *map(shape, words.split())])}


@given(st.lists(TEXTS, max_size=40))
def test_every_word_and_every_neighbour_is_in_a_chosen_text_of_its_route_and_sender(
    texts: list[Text],
) -> None:
    texts = [text for text in texts if "k7" not in text[2]]  # the mixed path is below
    held = set().union(*map(pairs, chosen(texts)))

    assert set().union(*map(pairs, texts)) <= held


@given(st.lists(TEXTS, max_size=40))
def test_no_text_is_chosen_that_adds_nothing(texts: list[Text]) -> None:
    twice = chosen(texts + texts)

    assert twice == chosen(texts)
    assert len(set(twice)) == len(twice)


def forbidden_hits(texts: list[Text], bad: str) -> list[Text]:
    """As a filter finds words: in any case, with any punctuation around them."""
    whole = re.compile(rf"(?<!\w){re.escape(bad)}(?!\w)", re.IGNORECASE)
    return [text for text in texts if whole.search(f"{text[1] or ''} {text[2]}")]


@given(
    st.lists(TEXTS, min_size=1, max_size=30),
    st.lists(
        st.tuples(
            st.integers(0, 29),
            st.integers(0, 8),
            st.sampled_from(["{}", "({})", "{}!", "«{}»", "pre-{}", "{}/x"]),
            st.sampled_from(["bet", "BET", "Bet"]),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["bet", "bet big"]),
)
def test_a_forbidden_word_or_pair_planted_anywhere_is_always_met(
    texts: list[Text], places: list[tuple[int, int, str, str]], bad: str
) -> None:
    for which, at, around, word in places:
        route, sender, text = texts[which % len(texts)]
        words = text.split()
        planted = word if bad == "bet" else f"{word} big"
        words.insert(at % (len(words) + 1), around.format(planted))
        texts[which % len(texts)] = (route, sender, " ".join(words))

    hit = {text[:2] for text in forbidden_hits(texts, bad)}

    assert hit
    assert {text[:2] for text in forbidden_hits(chosen(texts), bad)} == hit


@given(
    st.lists(st.sampled_from(["a", "b.", "c", "-", "word"]), min_size=1, max_size=9),
    st.lists(TEXTS, max_size=9),
)
def test_a_word_spelled_out_letter_by_letter_is_a_word(spelled: list[str], others: list[Text]) -> None:
    text: Text = ("IT", None, " ".join(["Hi", "b", "e", "t", *spelled]))
    neighbours: list[Text] = [
        ("IT", None, f"Hi {one} {two}") for one, two in pairwise(["Hi", *text[2].split()])
    ]

    # every pair of its letters has been seen, and still it is looked at
    assert text in chosen([*others, *neighbours, text])


def test_texts_of_a_template_need_a_few_of_their_rows() -> None:
    names = ["Anna", "Bruno", "Carla"]
    texts: list[Text] = [
        ("IT", "ACME", f"Ciao {names[n % 3]}, il {n % 28 + 1:02}/03/2026") for n in range(500)
    ]

    assert [text[2].split()[1] for text in chosen(texts)] == ["Anna,", "Bruno,", "Carla,"]


def test_the_sender_is_part_of_it() -> None:
    texts: list[Text] = [("IT", "Big", "one two"), ("IT", "Bet", "one two"), ("WW", "Bet", "one two")]

    assert chosen(texts) == texts
    assert chosen([("IT", None, "one two"), ("IT", "", "one two")]) == [("IT", None, "one two")]


def test_a_text_beyond_what_can_be_remembered_is_chosen() -> None:
    covering = Covering(max_units=4)
    texts: list[Text] = [("IT", None, f"word{'abcdefgh'[n % 8]} x") for n in range(40)]

    picked = [covering.offer(*text) for text in texts]

    assert picked[:2] == [True, True]
    assert picked[8:10] == [False, False]  # seen, and remembered
    assert all(picked[n] for n in range(40) if n % 8 > 1)


@pytest.mark.parametrize(
    ("word", "compared_as", "kinds", "start"),
    [
        ("Casino,", "casino,", "", 0),
        ("STRASSE", "strasse", "", 0),
        ("c.a.s.i.n.o", "c.a.s.i.n.o", "", 0),
        ("cas\u200bino", "cas\u200bino", "", 0),
        ("12/05/2026", "99/99/9999", "number", 0),
        ("+393331234567", "+999999999999", "number", 0),
        ("٣٤", "99", "number", 0),
        ("99,50€", "99,99€", "number", 0),
        ("casino-777", "casino-999", "number", 0),
        ("c4sino", "a9", "code", 0),
        ("RSSMRA85T10A562S", "a9", "code", 0),
        ("B12/77", "a9/99", "code number", 0),
        ("https://x.example/Ab3d/Q?z=12", "https://x.example/a9/a?a=9", "link", 17),
        ("(http://a1.example/Xy)", "(http://a1.example/a)", "link", 18),
        ("https://casino.example/", "https://casino.example/", "", 22),
        ("bit.example/AbCd", "bit.example/a", "link", 11),
        ("bit.example:8080/7", "bit.example:8080/9", "link", 16),
        ("Sig.ra/Rossi", "sig.ra/rossi", "", 0),
        ("and/or", "and/or", "", 0),
        ("anna@mail.example", "anna@mail.example", "", 0),
    ],
)
def test_what_a_word_is_compared_by(word: str, compared_as: str, kinds: str, start: int) -> None:
    assert fold(word) == compared_as
    assert folded_part(word) == (frozenset(map(Kind, kinds.split())), start)


@given(st.text(min_size=1).filter(lambda word: len(word.split()) == 1))
def test_a_word_without_digits_and_links_is_compared_as_written(word: str) -> None:
    if not re.search(r"\d|[/?#]", word):
        assert fold(word) == word.casefold()


@pytest.mark.parametrize(
    ("template", "text", "found"),
    [
        (
            "Ciao {{ Nome }},\n il {{ Data | upper }} alle {{ Ora }}: https://x.example/{{ Codice }} o 06 123",
            "Ciao Bo, il 12/03/2026 alle dieci: https://x.example/Ab o 06 123",
            [("Codice", "link"), ("Data", "number")],
        ),
        ("{{ A }}{{ B }} fine", "x1 fine", [("A, B", "code")]),
        ("{{ A }} 12", "Bo 12", []),
        ("Tavolo {{ N }}", "Tavolo 7", [("N", "number")]),
        ("{% if A %}{{ A }}{% endif %} 7", "3 7", [(None, "number")]),
        ("Sono {{ A }}", "Tutt'altro 7", [(None, "number")]),
        (None, "alle 9, codice A1", [(None, "code"), (None, "number")]),
        (None, "solo parole", []),
    ],
)
def test_what_was_folded_is_named_by_its_field(
    template: str | None, text: str, found: list[tuple[str | None, str]]
) -> None:
    assert folded_in(template, [text]) == [Folded(field, Kind(kind)) for field, kind in found]
