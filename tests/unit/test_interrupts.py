"""An interruption waits for the end of what must not be interrupted, and is not lost there."""

from __future__ import annotations

import signal

import pytest

from dispatcher.interrupts import unbroken


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def block(done: list[str], error: Exception | None = None) -> None:
    with unbroken():
        interrupt()
        done.append("all of it")
        if error is not None:
            raise error


def test_it_comes_at_the_end_of_the_block() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        block(done)
    assert done == ["all of it"]


def test_it_is_not_lost_with_an_error_of_the_block() -> None:
    """Who catches the error, to try again, would never hear of it."""
    with pytest.raises(KeyboardInterrupt) as raised:
        block([], OSError("busy"))
    assert isinstance(raised.value.__context__, OSError)


def test_it_comes_where_it_is_asked_for_and_only_once() -> None:
    with unbroken() as check:
        check()
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            check()
        check()


def test_an_error_without_one_stays_what_it_is() -> None:
    with pytest.raises(OSError, match="busy"), unbroken():
        raise OSError("busy")


def test_handlers_are_as_they_were() -> None:
    before = signal.getsignal(signal.SIGINT)
    with unbroken():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
