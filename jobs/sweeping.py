"""A worker beside something else in one process: it looks after its campaigns on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dispatcher.errors import DispatcherError
from dispatcher.interrupts import unbroken
from jobs.service import WorkerService


@contextmanager
def swept(
    worker: WorkerService, tell: Callable[[DispatcherError | None], None]
) -> Iterator[Callable[[], None]]:
    """The worker serves while the block lasts; what it failed with is raised by the function given here.

    So a file that takes minutes to plan keeps nobody from getting a text that is due.
    """
    over = threading.Event()
    failures: list[BaseException] = []

    def sweep() -> None:
        try:
            worker.serve(tell, over)
        except BaseException as error:  # noqa: BLE001 - raised again where it can end the process in order
            failures.append(error)

    def check() -> None:
        if failures:
            raise failures[0]

    thread = threading.Thread(target=sweep, name="sweep")
    try:
        # interrupted while it starts, nobody would tell it to end, and the process would never
        with unbroken():
            thread.start()
        yield check
    finally:
        over.set()
        if thread.is_alive():
            thread.join()
