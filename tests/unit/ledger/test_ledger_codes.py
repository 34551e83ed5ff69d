"""Codes are counted before they are asked for, by number and by range, and leave no number behind."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher.ledger import CodeLimit, CodeLimits, Ledger, TooManyCodes
from dispatcher.ledger.codes import KEPT, range_of
from tests.unit.loaded import START

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SELF, NEIGHBOUR, FAR = "+393331234567", "+393331999999", "+393399000000"
LIMITS = CodeLimits(
    per_number=(CodeLimit(2, HOUR), CodeLimit(3, DAY)), per_prefix=(CodeLimit(4, timedelta(minutes=10)),)
)
PROCESSES = 4


def count(ledger: Ledger, recipient: str, minutes: float, limits: CodeLimits = LIMITS) -> int | TooManyCodes:
    return ledger.codes.count("sandbox", recipient, limits, START + timedelta(minutes=minutes))


def test_a_number_is_sent_so_many_codes_and_then_has_to_wait(ledger: Ledger) -> None:
    counted = [count(ledger, SELF, minutes) for minutes in (0, 10, 20, 59)]
    assert [isinstance(each, int) for each in counted] == [True, True, False, False]
    refused = counted[2]
    assert isinstance(refused, TooManyCodes)
    assert (refused.per_number, refused.limit, refused.until) == (True, CodeLimit(2, HOUR), START + HOUR)
    assert isinstance(count(ledger, FAR, 20), int)
    assert isinstance(count(ledger, SELF, 60), int)
    by_day = count(ledger, SELF, 60 * 5)
    assert isinstance(by_day, TooManyCodes)
    assert (by_day.limit, by_day.until) == (CodeLimit(3, DAY), START + DAY)
    assert isinstance(count(ledger, SELF, 60 * 24), int)


def test_a_range_is_sent_so_many_codes_whoever_asks(ledger: Ledger) -> None:
    recipients = [f"+39333100000{n}" for n in range(6)]
    counted = [count(ledger, each, 0) for each in recipients]
    assert [isinstance(each, int) for each in counted] == [True] * 4 + [False] * 2
    refused = counted[-1]
    assert isinstance(refused, TooManyCodes)
    assert (refused.per_number, refused.until) == (False, START + timedelta(minutes=10))
    assert range_of(recipients[0]) == range_of(NEIGHBOUR) != range_of(FAR)
    assert isinstance(count(ledger, NEIGHBOUR, 9), TooManyCodes)
    assert isinstance(count(ledger, FAR, 9), int)
    assert isinstance(count(ledger, NEIGHBOUR, 10), int)


def test_another_gateway_has_its_own_count(ledger: Ledger) -> None:
    one = CodeLimits(per_number=(CodeLimit(1, DAY),))
    assert isinstance(ledger.codes.count("simulator", SELF, one, START), int)
    assert isinstance(ledger.codes.count("sandbox", SELF, one, START), int)
    assert isinstance(ledger.codes.count("sandbox", SELF, one, START), TooManyCodes)


def test_a_code_that_never_left_is_taken_back(ledger: Ledger) -> None:
    one = CodeLimits(per_number=(CodeLimit(1, DAY),))
    counted = count(ledger, SELF, 0, one)
    assert isinstance(counted, int)
    ledger.codes.take_back(counted)
    assert isinstance(count(ledger, SELF, 1, one), int)
    assert isinstance(count(ledger, SELF, 2, one), TooManyCodes)


def test_what_no_limit_looks_at_is_forgotten(desk: Any) -> None:
    ledger: Ledger = desk.ledger
    none = CodeLimits()
    ledger.codes.count("sandbox", SELF, none, START + 2 * KEPT + DAY)  # by a clock that was wrong
    for days in range(3):
        ledger.codes.count("sandbox", SELF, none, START + days * DAY)
    assert desk.raw("SELECT count(*) FROM codes_sent") == [(3,)]
    ledger.codes.forget_old(START + KEPT + 2 * DAY)
    assert desk.raw("SELECT count(*) FROM codes_sent") == [(1,)]
    ledger.codes.count("sandbox", SELF, none, START + KEPT + 3 * DAY)
    assert desk.raw("SELECT count(*) FROM codes_sent") == [(1,)]


def test_the_number_is_not_kept_and_its_hash_is_this_ledgers_own(
    desk: Any, new_desk: type[Any], tmp_path: Path
) -> None:
    count(desk.ledger, SELF, 0)
    ((hashed, prefix),) = desk.raw("SELECT recipient_hash, prefix FROM codes_sent")
    assert (len(bytes(hashed)), prefix) == (16, "+393331")
    assert SELF[-6:] not in str(desk.raw("SELECT * FROM codes_sent"))
    other = new_desk(Ledger.open(f"sqlite:///{tmp_path / 'other.db'}", create=True))
    count(other.ledger, SELF, 0)
    assert bytes(other.raw("SELECT recipient_hash FROM codes_sent")[0][0]) != bytes(hashed)
    other.ledger.dispose()


def test_of_many_at_once_no_two_take_the_last_place(ledger_url: str) -> None:
    most, each = 6, 5
    limits = CodeLimits(per_prefix=(CodeLimit(most, HOUR),))
    Ledger.open(ledger_url, create=True).dispose()
    together = threading.Barrier(PROCESSES)

    def process(number: int) -> list[int | TooManyCodes]:
        ledger = Ledger.open(ledger_url)
        together.wait(30)
        try:
            return [count(ledger, f"+3933310{number}0{n:03d}", 0, limits) for n in range(each)]
        finally:
            ledger.dispose()

    with ThreadPoolExecutor(PROCESSES) as threads:
        counted = [one for found in threads.map(process, range(PROCESSES)) for one in found]
    taken = [one for one in counted if isinstance(one, int)]
    assert len(taken) == len(set(taken)) == most
    assert len(counted) == PROCESSES * each


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    waits=st.lists(st.integers(0, 90), min_size=1, max_size=25),
    limits=st.lists(
        st.builds(
            CodeLimit, st.integers(1, 4), st.sampled_from([timedelta(minutes=30), HOUR, timedelta(hours=3)])
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_no_window_ever_holds_more_than_its_limit(
    tmp_path_factory: pytest.TempPathFactory, waits: list[int], limits: list[CodeLimit]
) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('codes') / 'l.db'}", create=True)
    minute, sent = 0, []
    for wait in waits:
        minute += wait
        if isinstance(count(ledger, SELF, minute, CodeLimits(per_number=limits)), int):
            sent.append(START + timedelta(minutes=minute))
    ledger.dispose()
    assert sent[0] == START + timedelta(minutes=waits[0])
    for limit in limits:
        for end in sent:
            assert sum(end - limit.within < at <= end for at in sent) <= limit.most
