"""``dispatcher worker``: a process that sends for every campaign of a ledger, until it is told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from dispatcher.errors import DispatcherError
from dispatcher.interrupts import unbroken
from dispatcher.ledger import Ledger
from dispatcher.sending.reconcile import Reconciler
from dispatcher.sending.services import Services
from dispatcher.sending.stops import Stop
from jobs.crew import Crew
from jobs.metrics import Metrics
from jobs.queue import Queue
from jobs.sweep import Sweep

SWEEP_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Post:
    """Where a worker stands: which ledger it serves, through which queue, for which gateway."""

    ledger: Ledger
    gateway: str
    queue: Queue
    guard: timedelta
    gone: Callable[[str], bool]
    forbid_file: Path | None = None


class WorkerService:
    """Runs jobs while its ``with`` block lasts, and looks after the campaigns while :meth:`serve` runs.

    Leaving starts no further request and settles what is in flight; ``close`` is awaited on the event loop at the end.
    """

    def __init__(
        self,
        services: Services,
        post: Post,
        reconciler: Reconciler,
        close: Callable[[], Awaitable[None]],
        metrics: Metrics,
    ) -> None:
        self._clock = services.clock
        self._post = post
        self._crew = Crew(
            services,
            reconciler,
            close,
            queue=post.queue,
            gateway=post.gateway,
            guard=post.guard,
            failed=self._failed,
            forbid_file=post.forbid_file,
        )
        self._leader = post.ledger.leader(f"sweep {post.gateway}")
        self._sweep = Sweep(
            post.ledger,
            post.gateway,
            services.clock,
            leader=self._leader,
            gone=post.gone,
            start_lane=self._crew.start_lane,
            look_for_doubts=self._crew.doubts.look,
            screen=self._crew.rescreening.screen,
            poll=self._crew.polls.look,
            tell=metrics.open_rows,
        )

    def __enter__(self) -> WorkerService:
        self._crew.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._crew.__exit__(kind, error, trace)
        finally:
            self._leader.resign()

    @property
    def gateway(self) -> str:
        """The gateway it sends through."""
        return self._post.gateway

    def serve(
        self, tell: Callable[[DispatcherError | None], None], over: threading.Event | None = None
    ) -> None:
        """Sweep once in :data:`SWEEP_SECONDS` until interrupted, or until ``over`` is set.

        ``tell`` hears once of a server that cannot be reached, and None when it can again: nothing is lost meanwhile.
        """
        told: str | None = None
        while over is None or not over.is_set():
            try:
                with unbroken():  # an interruption inside a transaction would keep the ledger locked
                    self._sweep.step()
            except DispatcherError as error:
                if error.code != told:
                    told = error.code
                    tell(error)
            else:
                if told is not None:
                    told = None
                    tell(None)
            if over is None:
                time.sleep(SWEEP_SECONDS)
            else:
                over.wait(SWEEP_SECONDS)

    def _failed(self, campaign_id: int, error: BaseException) -> None:
        """A server that did not answer only needs time; a bug is for a person to look at."""
        facts = {"campaign": campaign_id, "reason": str(Stop.BUG)}
        if isinstance(error, DispatcherError):
            return  # whoever failed has said so, and is started again
        log.error("campaign_stopped", extra={**facts, "state": "held"}, exc_info=error)
        # called on the event loop, which is everybody's
        threading.Thread(target=self._hold, args=(campaign_id,), name="hold").start()

    def _hold(self, campaign_id: int) -> None:
        try:
            self._post.ledger.campaigns.hold(campaign_id, str(Stop.BUG), self._clock.now())
        except DispatcherError as unwritten:
            log.error("campaign_not_held", extra={"campaign": campaign_id, "error": unwritten.code})
