"""What is made ahead comes in order, failures too."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dispatcher.campaign.ahead import ahead, made_ahead
from dispatcher.errors import FileError, UsageError


def raws(count: int, fails: bool = False) -> Iterator[int]:
    yield from range(count)
    if fails:
        raise FileError("sheet_changed", file="people.csv")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_all_come_in_order(count: int) -> None:
    assert list(made_ahead(raws(count), lambda raw: raw * 2)) == [raw * 2 for raw in range(count)]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_what_comes_before_a_failure_comes_first(count: int) -> None:
    found = made_ahead(raws(count, fails=True), str)

    assert [next(found) for _ in range(count)] == [str(raw) for raw in range(count)]
    with pytest.raises(FileError):
        next(found)


def test_the_first_of_two_failures_counts() -> None:
    def make(raw: int) -> int:
        if raw == 1:
            raise UsageError("template_too_much_work")
        return raw

    found = made_ahead(raws(3, fails=True), make)

    assert next(found) == 0
    with pytest.raises(UsageError):
        next(found)


def test_making_is_another_threads_and_taking_is_ours() -> None:
    takers, makers = set(), set()

    def taken() -> Iterator[int]:
        for raw in range(4):
            takers.add(threading.get_ident())
            yield raw

    def make(raw: int) -> int:
        makers.add(threading.get_ident())
        return raw

    assert list(made_ahead(taken(), make)) == [0, 1, 2, 3]
    assert takers == {threading.get_ident()}
    assert len(makers) == 1
    assert not takers & makers


def test_nothing_goes_on_when_nobody_asks_for_more() -> None:
    made: list[int] = []
    found = made_ahead(raws(1_000), lambda raw: made.append(raw))
    next(found)
    found.close()

    assert len(made) < 10
    for thread in threading.enumerate():
        if thread.name.startswith("making"):
            thread.join(30)
            assert not thread.is_alive()


def test_what_is_left_behind_is_closed_without_waiting_for_a_threads_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The garbage collector closes it in any thread, also in one that holds what joining waits for."""
    joined: list[threading.Thread] = []
    found = [ahead(raws(1_000)), made_ahead(raws(1_000), int)]
    for items in found:
        next(items)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", lambda thread, timeout=None: joined.append(thread))
        for items in found:
            items.close()
    assert not joined


def test_the_thread_that_makes_items_may_close_them() -> None:
    """It is where the garbage collector may come to what is left behind."""
    ready, closed = threading.Event(), threading.Event()

    def taken() -> Iterator[int]:
        yield 0
        ready.wait(30)
        found.close()
        closed.set()
        yield 1

    found = ahead(taken())
    next(found)
    ready.set()
    assert closed.wait(30)
