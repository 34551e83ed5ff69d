"""``dispatcher schedule run``: a process that fires ticks, and sends what they begin, until it is told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dispatcher.errors import DispatcherError, Unreachable
from dispatcher.schedules.scheduler import Scheduler
from jobs.service import WorkerService

STEP_SECONDS = 1.0


class ScheduleService:
    """A scheduler beside a worker: campaigns are begun on the caller's thread and looked after on another one.

    So a file that takes minutes to plan keeps nobody from getting a text that is due.
    """

    def __init__(self, scheduler: Scheduler, worker: WorkerService) -> None:
        self._scheduler = scheduler
        self._worker = worker

    @property
    def gateway(self) -> str:
        """The gateway it sends through."""
        return self._worker.gateway

    def serve(self, tell: Callable[[DispatcherError | None], None]) -> None:
        """Look once in :data:`STEP_SECONDS` until interrupted.

        ``tell`` hears once of a server that cannot be reached, and None when it can again: nothing is lost meanwhile.
        """
        told = False
        with self._sweeping(tell) as check:
            while True:
                check()
                try:
                    self._scheduler.step()
                    told = False
                except Unreachable as error:
                    if not told:
                        tell(error)
                    told = True
                time.sleep(STEP_SECONDS)

    @contextmanager
    def _sweeping(self, tell: Callable[[DispatcherError | None], None]) -> Iterator[Callable[[], None]]:
        """The worker looks after its campaigns on a thread; what it fails with is raised by the function given here."""
        over = threading.Event()
        failures: list[BaseException] = []

        def sweep() -> None:
            try:
                self._worker.serve(tell, over)
            except BaseException as error:  # noqa: BLE001 - raised again where it can end the process in order
                failures.append(error)

        def check() -> None:
            if failures:
                raise failures[0]

        thread = threading.Thread(target=sweep, name="sweep")
        thread.start()
        try:
            yield check
        finally:
            over.set()
            thread.join()
