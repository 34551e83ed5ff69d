"""Sending inside this process: the embedded broker, its worker, and the lanes they run."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType

from dispatcher.ledger import CampaignView
from dispatcher.sending.dispatch import CampaignFacts, Lane, LaneEnd
from dispatcher.sending.guards import Breaker
from dispatcher.sending.services import Services
from jobs.actors import declare_send_lane
from jobs.broker import embedded_broker
from jobs.worker import EmbeddedWorker


class EmbeddedSender:
    """Runs lanes while its ``with`` block lasts; leaving it settles what is in flight.

    ``stopping`` is asked before every claim and request.  ``close`` is awaited on the worker's event loop at the end.
    """

    def __init__(
        self,
        services: Services,
        stopping: Callable[[], bool],
        close: Callable[[], Awaitable[None]],
        *,
        guard: timedelta,
    ) -> None:
        self._services = services
        self._stopping = stopping
        self._guard = guard
        self._lock = threading.Lock()
        self._queued: set[int] = set()
        self._breakers: dict[int, Breaker] = {}
        self.failure: BaseException | None = None
        broker = embedded_broker()
        self._enqueue = declare_send_lane(broker, self._run_lane, self._failed)
        self._worker = EmbeddedWorker(broker, close)

    def __enter__(self) -> EmbeddedSender:
        self._worker.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.__exit__(kind, error, trace)

    def enqueue(self, campaign_id: int) -> None:
        """Start a lane of the campaign, unless one is running or queued here."""
        with self._lock:
            if campaign_id in self._queued:
                return
            self._queued.add(campaign_id)
        self._enqueue(campaign_id, 0)

    async def _run_lane(self, campaign_id: int, lane: int) -> LaneEnd:
        campaign = await self._services.ledger(self._services.ledger.ledger.queries.campaign, campaign_id)
        # one breaker a campaign for the life of the process: a run of refusals does not begin anew with each time slice
        breaker = self._breakers.setdefault(campaign_id, Breaker())
        end = LaneEnd.STOPPED
        try:
            end = await Lane(self._services, self._facts(campaign), self._stopping, breaker=breaker).run()
        finally:
            if end is not LaneEnd.MORE:
                with self._lock:
                    self._queued.discard(campaign_id)
        return end

    def _facts(self, campaign: CampaignView) -> CampaignFacts:
        ledger_id = self._services.ledger.ledger.id
        return CampaignFacts(
            id=campaign.id,
            gateway=campaign.gateway,
            account=campaign.account,
            single_part=bool(campaign.options.get("single_part")),
            guard_since=None if campaign.options.get("again") else self._services.clock.now() - self._guard,
            row_key=lambda row: f"{ledger_id}.{campaign.id}.{row}",
        )

    def _failed(self, campaign_id: int, error: BaseException) -> None:
        self.failure = self.failure or error
