"""``dispatcher schedule run``: a process that fires ticks, and sends what they begin, until it is told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from dispatcher.errors import DispatcherError, Unreachable
from dispatcher.schedules.scheduler import Scheduler
from jobs.service import WorkerService
from jobs.sweeping import swept

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
        with swept(self._worker, tell) as check:
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
