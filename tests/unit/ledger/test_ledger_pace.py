"""The pace: never more than the limit in any 60 seconds, nearly all of it used, whatever the clock does."""

from __future__ import annotations

import multiprocessing
from bisect import bisect_right
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.errors import Unreachable
from dispatcher.ledger.pace import (
    LATENESS,
    MAX_SLOW_DOWN,
    WINDOW,
    SqlitePace,
    interval_for,
    reach_for,
)

NOON = 1_772_445_600.0


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def most_in_a_window(times: list[float], late: float = 0.0) -> int:
    """The most requests in any 60 seconds when the first of a window was ``late`` and the others were on time."""
    ordered = sorted(times)
    return max(bisect_right(ordered, start + late + WINDOW - 1e-6) - i for i, start in enumerate(ordered))


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(path: Path, clock: Any, limit: int = 600) -> SqlitePace:
    return SqlitePace(path / "pace.db", limit_per_minute=limit, clock=clock)


def settled(path: Path, clock: Clock, limit: int = 600) -> SqlitePace:
    """A pace whose first wait is over."""
    pace = make(path, clock, limit)
    first = pace.reserve("k", 1)
    assert first.times == []
    clock.now = first.retry_at + pace.reach
    return pace


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 60, 100, 1_000, 10_000])
def test_the_rate_holds_the_limit_with_the_worst_lateness(limit: int) -> None:
    interval = interval_for(limit)
    slots = [NOON + i * interval for i in range(3 * limit)]
    assert most_in_a_window(slots, LATENESS) <= limit
    if limit >= 1_000:
        assert WINDOW / interval >= 0.989 * limit


def run(path: Path, limit: int, share: int, shared: Any, together: Any, out: Any) -> None:
    """One process: reserve as fast as it can; every look at the shared clock moves it on a little."""

    def clock() -> float:
        with shared.get_lock():
            shared.value += 0.05
            return NOON + float(shared.value)

    pace = SqlitePace(path, limit_per_minute=limit, clock=clock, busy_seconds=60)
    times: list[float] = []
    together.wait(60)
    while len(times) < share:
        times += pace.reserve("k", 16).times
    pace.close()
    out.put(times)


def test_four_processes_together_hold_the_limit_and_use_it(tmp_path: Path) -> None:
    limit, share = 10_000, 4_000
    context = multiprocessing.get_context("spawn")
    shared, together, out = context.Value("d", 0.0), context.Barrier(4), context.Queue()
    arguments = (tmp_path / "pace.db", limit, share, shared, together, out)
    processes = [context.Process(target=run, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    taken = [out.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    times = sorted(time for each in taken for time in each)
    assert all(len(each) >= share for each in taken)
    assert most_in_a_window(times, LATENESS) <= limit
    full = [time for time in times if NOON + 10 <= time < NOON + 70]
    assert len(full) >= 0.989 * limit
    assert min(b - a for a, b in pairwise(times)) > 0.9 * interval_for(limit)


def test_a_missing_time_starts_after_the_longest_reservation(tmp_path: Path, clock: Clock) -> None:
    pace = make(tmp_path, clock)
    for key in ("k", "another"):
        nothing = pace.reserve(key, 3)
        assert nothing.times == []
        clock.now = nothing.retry_at
        assert pace.reserve(key, 1).times == pytest.approx([nothing.now + pace.reach + pace.interval])


def test_no_slot_is_further_ahead_than_the_reach(tmp_path: Path, clock: Clock) -> None:
    pace = settled(tmp_path, clock)
    first = pace.reserve("k", 1_000)
    assert 0 < len(first.times) < 1_000
    assert first.times[-1] <= clock.now + pace.reach
    empty = pace.reserve("k", 1)
    assert empty.times == []
    clock.now = empty.retry_at + 0.001
    again = pace.reserve("k", 1)
    assert again.times == pytest.approx([first.times[-1] + pace.interval])


def test_idle_time_saves_up_no_burst(tmp_path: Path, clock: Clock) -> None:
    pace = settled(tmp_path, clock)
    clock.now += 3_600
    times = pace.reserve("k", 5).times
    assert times == pytest.approx([clock.now + i * pace.interval for i in range(5)])


@pytest.mark.parametrize("lost", ["file", "row", "clock_back", "far_ahead"])
def test_after_a_loss_nobody_gets_a_slot_somebody_holds(tmp_path: Path, clock: Clock, lost: str) -> None:
    pace = settled(tmp_path, clock)
    held = pace.reserve("k", 1_000).times
    if lost == "file":
        for file in tmp_path.iterdir():
            file.unlink()
    elif lost == "row":
        pace._connected().execute("DELETE FROM pace")
    elif lost == "far_ahead":
        pace._connected().execute("UPDATE pace SET next_at = next_at + 100")
    else:
        clock.now -= 7_200
    assert pace.reserve("k", 1).times == []
    clock.now += pace.reach
    after = pace.reserve("k", 1)
    assert after.times == pytest.approx([clock.now + pace.interval])
    if lost != "clock_back":
        assert after.times[0] >= held[-1] + pace.interval - 1e-6


def test_a_429_slows_everybody_down(tmp_path: Path, clock: Clock) -> None:
    pace, other = settled(tmp_path, clock), make(tmp_path, clock)
    until = clock.now + 30
    other.slow_down("k", until)
    other.slow_down("k", until - 20)
    nothing = pace.reserve("k", 5)
    assert nothing.times == []
    assert nothing.retry_at == pytest.approx(until - pace.reach)
    clock.now = until
    assert pace.reserve("k", 2).times == pytest.approx([until, until + pace.interval])


def test_a_slow_down_ends_and_survives_a_step_of_the_clock(tmp_path: Path, clock: Clock) -> None:
    pace = settled(tmp_path, clock)
    pace.slow_down("k", clock.now + 10 * MAX_SLOW_DOWN)
    clock.now += MAX_SLOW_DOWN + 1
    assert pace.reserve("k", 1).times
    pace.slow_down("k", clock.now + 60)
    clock.now -= 2 * MAX_SLOW_DOWN
    assert pace.reserve("k", 1).retry_at == pytest.approx(clock.now + pace.interval)


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.floats(0, 3), st.integers(1, 40), st.sampled_from(["", "", "", "row", "slow"])),
        max_size=60,
    ),
    limit=st.sampled_from([5, 60, 600]),
)
def test_any_use_holds_the_limit(tmp_path_factory: pytest.TempPathFactory, steps: Any, limit: int) -> None:
    clock = Clock()
    pace = make(tmp_path_factory.mktemp("pace"), clock, limit)
    times: list[float] = []
    for wait, n, event in steps:
        clock.now += wait
        if event == "row":
            pace._connected().execute("DELETE FROM pace")
        if event == "slow":
            pace.slow_down("k", clock.now + 5)
        reservation = pace.reserve("k", n)
        assert all(
            reservation.now <= time <= reservation.now + pace.reach + 1e-6 for time in reservation.times
        )
        assert reservation.times or reservation.retry_at > clock.now
        times += reservation.times
    pace.close()
    assert times == sorted(times)
    assert not times or most_in_a_window(times, LATENESS) <= limit


def test_unreachable_means_no_slots(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "pace.db").mkdir()
    with pytest.raises(Unreachable):
        make(tmp_path, clock).reserve("k", 1)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "pace.db").write_bytes(b"no database" * 1_000)
    with pytest.raises(Unreachable, match="pace_unreachable"):
        make(tmp_path / "b", clock).reserve("k", 1)


@pytest.mark.parametrize("limit", [0, -5])
def test_no_limit_is_no_pace(tmp_path: Path, clock: Clock, limit: int) -> None:
    with pytest.raises(ValueError, match="at least 1 a minute"):
        make(tmp_path, clock, limit)


def test_slots_far_apart_reach_far() -> None:
    assert reach_for(interval_for(10_000)) == 1.0
    assert reach_for(interval_for(10)) > 3 * interval_for(10)
