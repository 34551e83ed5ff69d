"""Following a campaign from this process: its lanes, here or in workers elsewhere, and its rows in doubt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType

from dispatcher.errors import DispatcherError
from dispatcher.sending.dispatch import LaneLimits
from dispatcher.sending.reconcile import Outlook, Reconciler
from dispatcher.sending.services import Services
from jobs.actors import declare_send_lane
from jobs.board import LocalBoard
from jobs.broker import embedded_broker
from jobs.doubts import Doubts
from jobs.lanes import Lanes
from jobs.worker import EmbeddedWorker


class EmbeddedSender:
    """Runs lanes while its ``with`` block lasts; leaving it starts no further request and settles what is in flight.

    ``stopping`` is asked before every claim and request.  ``close`` is awaited on the worker's event loop at the end.
    ``start_elsewhere`` starts a campaign's lanes where workers are; then this process only looks for rows in doubt.
    """

    def __init__(
        self,
        services: Services,
        reconciler: Reconciler,
        stopping: Callable[[], bool],
        close: Callable[[], Awaitable[None]],
        *,
        gateway: str,
        guard: timedelta,
        limits: LaneLimits | None = None,
        start_elsewhere: Callable[[int], None] | None = None,
    ) -> None:
        self._stopping = stopping
        self._leaving = False
        self._close = close
        self.failure: BaseException | None = None
        broker = embedded_broker()
        self._lanes = Lanes(
            services,
            self._must_stop,
            self._failed,
            gateway=gateway,
            guard=guard,
            limits=limits or LaneLimits(),
        )
        start_here = declare_send_lane(broker, LocalBoard(), self._lanes.run, self._failed)
        self._start = start_elsewhere or (lambda campaign_id: start_here(campaign_id, 0))
        self._worker = EmbeddedWorker(broker, self._finish)
        self._doubts = Doubts(
            reconciler, services.clock, self._must_stop, spawn=self._worker.spawn, failed=self._failed
        )

    def __enter__(self) -> EmbeddedSender:
        self._worker.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        self._worker.__exit__(kind, error, trace)

    def enqueue(self, campaign_id: int) -> None:
        """Start the campaign's lanes, unless they are running or queued."""
        self._start(campaign_id)

    def reconcile(self, campaign_id: int) -> Outlook | None:
        """Look for the campaign's rows in doubt when it is time to; gives what the last look showed.

        None before the first look.  An outlook whose every row is stuck will not change by itself.
        """
        return self._doubts.look(campaign_id)

    def gave_up(self, campaign_id: int) -> DispatcherError | None:
        """Why looking for rows in doubt is of no use for now: the listing cannot be had."""
        return self._doubts.gave_up(campaign_id)

    def _must_stop(self) -> bool:
        return self._leaving or self._stopping()

    async def _finish(self) -> None:
        # lanes that were between two slices have requests in flight; nobody else settles them
        await self._lanes.finish()
        await self._close()

    def _failed(self, campaign_id: int, error: BaseException) -> None:
        self.failure = self.failure or error
