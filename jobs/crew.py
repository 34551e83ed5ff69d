"""What sends in one process: its lanes, its look-outs for rows in doubt and for deliveries, and their worker."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from dispatcher.delivery.ages import FIRST, FIRST_BESIDE_CALLBACKS
from dispatcher.delivery.polling import Poller
from dispatcher.sending.dispatch import LaneLimits
from dispatcher.sending.reconcile import Reconciler
from dispatcher.sending.services import LedgerThread, Services
from jobs.actors import declare_send_lane
from jobs.doubts import Doubts
from jobs.garbage import collected_seldom
from jobs.lanes import Lanes
from jobs.polls import Polls
from jobs.queue import Queue
from jobs.rescreening import Rescreening
from jobs.worker import EmbeddedWorker


class Crew:
    """Works while its ``with`` block lasts; leaving it starts no further request and settles what is in flight.

    ``stopping`` is asked before every claim and request.  ``close`` is awaited on the worker's event loop at the end.
    ``failed`` hears, on that loop, what a lane or a look failed with, and the campaign's id.
    """

    def __init__(
        self,
        services: Services,
        reconciler: Reconciler,
        close: Callable[[], Awaitable[None]],
        *,
        queue: Queue,
        gateway: str,
        guard: timedelta,
        failed: Callable[[int, BaseException], None],
        stopping: Callable[[], bool] = lambda: False,
        limits: LaneLimits | None = None,
        forbid_file: Path | None = None,
    ) -> None:
        self._leaving = False
        self._stopping = stopping
        self._close = close
        self._lanes = Lanes(
            services, self._must_stop, failed, gateway=gateway, guard=guard, limits=limits or LaneLimits()
        )
        self.start_lane = declare_send_lane(queue, self._lanes.run, failed)
        self._worker = EmbeddedWorker(queue.broker, self._finish)
        self._entered = ExitStack()
        self.doubts = Doubts(
            reconciler, services.clock, self._must_stop, spawn=self._worker.spawn, failed=failed
        )
        first = FIRST if services.callbacks is None else FIRST_BESIDE_CALLBACKS
        # looking through what awaits may take a while: no lane is to wait for it
        self._aside = LedgerThread(services.ledger.ledger)
        self.polls = Polls(
            Poller(replace(services, ledger=self._aside), gateway),
            services.clock,
            self._must_stop,
            spawn=self._worker.spawn,
            first=first,
        )
        self.rescreening = Rescreening(services, self._worker.spawn, failed, random.Random(), forbid_file)

    def __enter__(self) -> Crew:
        with ExitStack() as entered:
            entered.enter_context(collected_seldom())
            entered.enter_context(self._worker)
            self._entered = entered.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        self._entered.__exit__(kind, error, trace)

    def _must_stop(self) -> bool:
        return self._leaving or self._stopping()

    async def _finish(self) -> None:
        # lanes that were between two slices have requests in flight; nobody else settles them
        await self._lanes.finish()
        await self._close()
        self._aside.close()
