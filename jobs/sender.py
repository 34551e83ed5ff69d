"""Following a campaign from this process: its lanes, here or in workers elsewhere, and its rows in doubt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType

from dispatcher.errors import DispatcherError
from dispatcher.ledger.failures import is_busy
from dispatcher.sending.dispatch import LaneLimits
from dispatcher.sending.reconcile import Outlook, Reconciler
from dispatcher.sending.services import Services
from jobs.crew import Crew
from jobs.queue import embedded_queue


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
        self.failure: BaseException | None = None
        self._start_elsewhere = start_elsewhere
        self._crew = Crew(
            services,
            reconciler,
            close,
            queue=embedded_queue(),
            gateway=gateway,
            guard=guard,
            failed=self._failed,
            stopping=stopping,
            limits=limits,
        )

    def __enter__(self) -> EmbeddedSender:
        self._crew.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._crew.__exit__(kind, error, trace)

    def enqueue(self, campaign_id: int) -> None:
        """Start the campaign's lanes, unless they are running or queued."""
        if self._start_elsewhere is None:
            self._crew.start_lane(campaign_id, 0)
        else:
            self._start_elsewhere(campaign_id)

    def reconcile(self, campaign_id: int) -> Outlook | None:
        """Look for the campaign's rows in doubt when it is time to; gives what the last look showed.

        None before the first look.  An outlook whose every row is stuck will not change by itself.
        """
        return self._crew.doubts.look(campaign_id)

    def gave_up(self, campaign_id: int) -> DispatcherError | None:
        """Why looking for rows in doubt is of no use for now: the listing cannot be had."""
        return self._crew.doubts.gave_up(campaign_id)

    def _failed(self, campaign_id: int, error: BaseException) -> None:
        if not is_busy(error):  # else what is known is kept, and the next start of the lane goes on with it
            self.failure = self.failure or error
