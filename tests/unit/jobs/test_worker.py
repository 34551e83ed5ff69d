"""The worker inside a process: it comes to an end whatever happens at its beginning."""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from typing import Any

import pytest
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread

from jobs.broker import embedded_broker
from jobs.garbage import ALLOCATIONS, collected_seldom
from jobs.worker import EmbeddedWorker


async def nothing() -> None:
    """To close with."""


def loops() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if isinstance(thread, EventLoopThread)]


def test_a_process_has_one_worker() -> None:
    with EmbeddedWorker(embedded_broker(), nothing):
        with pytest.raises(RuntimeError, match="one worker"):
            EmbeddedWorker(embedded_broker(), nothing).__enter__()
        assert get_event_loop_thread() is not None
    with EmbeddedWorker(embedded_broker(), nothing):
        assert len(loops()) == 1
    assert loops() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_worker_that_could_not_start_leaves_no_thread_that_keeps_the_process(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = EmbeddedWorker(embedded_broker(), nothing)

    started = worker._worker.start

    def start() -> None:
        started()
        raise error

    monkeypatch.setattr(worker._worker, "start", start)
    with pytest.raises(error):
        worker.__enter__()
    for thread in loops():
        thread.join(timeout=10)
    assert loops() == []
    assert get_event_loop_thread() is None


def test_a_loop_that_starts_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dramatiq's own limit is a second; a loaded machine may need longer."""
    waited: list[Any] = []
    start = EventLoopThread.start

    def slow(self: EventLoopThread, *, timeout: float | None = None) -> None:
        waited.append(timeout)
        start(self, timeout=timeout)

    monkeypatch.setattr(EventLoopThread, "start", slow)
    with EmbeddedWorker(embedded_broker(), nothing):
        assert get_event_loop_thread() is not None
    assert waited == [None]


def test_garbage_is_collected_as_before_once_sending_ends() -> None:
    before = gc.get_threshold()
    with suppress(MemoryError), collected_seldom():
        during, frozen = gc.get_threshold(), gc.get_freeze_count()
        raise MemoryError
    assert during == (ALLOCATIONS, *before[1:])
    assert frozen > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
