"""The same text to the same number: found in a file by fingerprints exactly where guard keys would find it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.campaign.phones import Recipients
from dispatcher.campaign.repeated import GuardKeys, fingerprints, guard_key, guard_keys, pairs_of
from dispatcher.campaign.seen import Seen

SEED = 0x1234_5678_9ABC_DEF0
NUMBERS = st.sampled_from(["+39312345678", "+39312345679", "+34612345678", "+4474001234567"])
#: Short ones, some that differ in a NUL, an end or a place beyond the first words only.
TEXTS = st.one_of(
    st.text("ab\0è", max_size=3),
    st.text("ab", min_size=15, max_size=18),
    st.integers(0, 40).map(lambda place: "a" * place + "b" + "a" * (40 - place)),
    st.text(max_size=40),
)
MESSAGES = st.lists(st.tuples(NUMBERS, TEXTS), max_size=30)


@given(MESSAGES, st.integers(1, 10))
def test_fingerprints_find_what_guard_keys_find(messages: list[tuple[str, str]], size: int) -> None:
    seen, known = Seen(), set()
    for start in range(0, len(messages), size):
        chunk = messages[start : start + size]
        numbers = Recipients.of([number for number, _ in chunk]).numbers
        texts = pa.array(["not of this chunk", *(text for _, text in chunk)], pa.string()).slice(1)
        found = seen.before(fingerprints(numbers, texts, SEED)).tolist()
        for (number, text), repeated in zip(chunk, found, strict=True):
            assert repeated == (guard_key(number, text) in known)
            known.add(guard_key(number, text))


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8), max_size=12))
def test_what_was_seen_is_known_even_where_halves_are_alike(chunks: list[list[tuple[int, int]]]) -> None:
    seen, known = Seen(), set[tuple[int, int]]()
    for chunk in chunks:
        found = seen.before(np.array(chunk, np.uint64).reshape(-1, 2)).tolist()
        for pair, repeated in zip(chunk, found, strict=True):
            assert repeated == (pair in known)
            known.add(pair)


def test_what_was_seen_stays_known_while_the_table_grows() -> None:
    pairs = np.random.default_rng(5).integers(0, 300, (150_000, 2)).astype(np.uint64)
    seen, known = Seen(), set[tuple[int, int]]()
    for chunk in np.split(pairs, [3, 40_000, 40_001, 110_000]):
        found = seen.before(chunk).tolist()
        for first, second, repeated in zip(*chunk.T.tolist(), found, strict=True):
            assert repeated == ((first, second) in known)
            known.add((first, second))
    assert len(known) > 70_000  # more than half of what the table begins with


def test_other_seeds_give_other_fingerprints() -> None:
    numbers, texts = Recipients.of(["+39312345678"]).numbers, pa.array(["Ciao"])
    one, other = (fingerprints(numbers, texts, seed) for seed in (SEED, SEED + 1))

    assert one[0, 0] != other[0, 0]


def test_sixteen_bytes_are_a_pair() -> None:
    keys = [guard_key("+39312345678", text) for text in ("a", "b", "a")]

    assert Seen().before(pairs_of(keys)).tolist() == [False, False, True]
    assert len(pairs_of([])) == 0


def test_guard_keys_are_made_when_they_are_asked_for_and_once() -> None:
    asked = []

    def make() -> list[bytes]:
        asked.append(1)
        return guard_keys(pa.array(["+39312345678"]), pa.array(["Ciao"]))

    keys = GuardKeys(2, np.array([1]), make)
    coming = keys.of(np.array([1]))

    assert (len(keys), asked) == (2, [])
    assert list(coming) == [guard_key("+39312345678", "Ciao")]
    assert keys.tolist() == list(keys) == [None, keys[1]]
    assert asked == [1]
