"""A worker beside something else ends with it, whenever that is interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from jobs.service import WorkerService
from jobs.sweeping import swept


class Worker:
    """Serves until it is over, or fails."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.serving, self.ended = threading.Event(), threading.Event()
        self._failure = failure

    def serve(self, tell: Callable[[Any], None], over: threading.Event) -> None:
        self.serving.set()
        if self._failure is not None:
            raise self._failure
        over.wait(20)  # a failing test shall end too
        if over.is_set():
            self.ended.set()


def beside(worker: Worker) -> Any:
    return swept(cast(WorkerService, worker), lambda error: None)


def test_it_serves_while_the_block_lasts() -> None:
    worker = Worker()
    with beside(worker):
        assert worker.serving.wait(10)
        assert not worker.ended.is_set()
    assert worker.ended.is_set()


def test_what_it_failed_with_is_raised_where_it_is_asked_for() -> None:
    worker = Worker(RuntimeError("a bug"))
    with beside(worker) as check:
        for thread in [each for each in threading.enumerate() if each.name == "sweep"]:
            thread.join(10)
        with pytest.raises(RuntimeError, match="a bug"):
            check()


def test_an_interruption_as_it_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread is no daemon: one that nobody ends keeps the process for ever."""
    worker = Worker()
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        beside(worker).__enter__()
    assert worker.ended.wait(10)


def test_a_thread_that_cannot_be_started_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    with pytest.raises(RuntimeError, match="new thread"):
        beside(Worker()).__enter__()
