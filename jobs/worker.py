"""The embedded worker: Dramatiq's worker threads and event loop inside this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any

from dramatiq import Broker, Middleware, Worker
from dramatiq.asyncio import get_event_loop_thread, set_event_loop_thread

THREADS = (
    8  # each running lane blocks one; lanes take turns, so this bounds campaigns sending at the same moment
)


class _CloseOnLoop(Middleware):
    """Closes what lives on the worker's event loop while the loop still runs."""

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self._close = close
        self.spawned: set[Future[None]] = set()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        wait(list(self.spawned))
        if loop := get_event_loop_thread():
            loop.run_coroutine(self._close())


class EmbeddedWorker:
    """Runs the broker's actors until the ``with`` block ends; leaving waits until running lanes have settled.

    ``close`` runs on the worker's event loop, after the lanes and before the loop stops.
    """

    def __init__(self, broker: Broker, close: Callable[[], Awaitable[None]]) -> None:
        # "after" hooks run from the last middleware to the first: behind AsyncIO means while the loop is still there
        self._closing = _CloseOnLoop(close)
        broker.add_middleware(self._closing)
        self._worker = Worker(broker, worker_threads=THREADS, worker_timeout=100)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine on the worker's event loop; leaving waits for it.  Nothing runs before the block begins."""
        loop_thread = get_event_loop_thread()
        if loop_thread is None:
            work.close()
            return
        future = asyncio.run_coroutine_threadsafe(work, loop_thread.loop)
        self._closing.spawned.add(future)
        future.add_done_callback(self._closing.spawned.discard)

    def __enter__(self) -> EmbeddedWorker:
        if get_event_loop_thread() is not None:
            raise RuntimeError("a process has one worker: Dramatiq knows one event loop")
        try:
            self._worker.start()
        except BaseException:
            _stop_loop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Dramatiq's loop thread is no daemon: without stop() a failing program would hang
        try:
            self._worker.stop()
        except BaseException:
            # told to leave at once, by a second Ctrl-C: what is in flight is in doubt, and nothing keeps the process
            _stop_loop()
            raise


def _stop_loop() -> None:
    """Its thread is no daemon."""
    if loop_thread := get_event_loop_thread():
        loop_thread.loop.call_soon_threadsafe(loop_thread.loop.stop)
        set_event_loop_thread(None)
