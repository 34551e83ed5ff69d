"""Sending inside this process: the embedded broker, its worker, and the lanes and reconciling they run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType

from dispatcher.errors import DispatcherError
from dispatcher.ledger import CampaignView
from dispatcher.sending.books import CampaignFacts
from dispatcher.sending.dispatch import Lane, LaneEnd, LaneLimits
from dispatcher.sending.guards import Brake, Breaker
from dispatcher.sending.reconcile import Outlook, Reconciler
from dispatcher.sending.services import Services
from jobs.actors import declare_reconcile, declare_send_lane
from jobs.broker import embedded_broker
from jobs.worker import EmbeddedWorker

FIRST_PASS = 1.0  # seconds after a doubt appears
PASSES = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0)  # seconds between passes; the last one repeats
PROOF_PASS = 1.0  # seconds before the pass that may complete a proof
ASK_TO_STOP = 0.2  # seconds between two looks at whether to stop, while the listing is read
FAILURES_IN_A_ROW = 5  # passes without an answer after which waiting for doubts is given up


@dataclass
class _Doubts:
    """The reconciling of one campaign in this process."""

    outlook: Outlook | None = None
    next_pass: float = 0.0
    passes: int = 0
    failures: int = 0
    queued: bool = False
    last_error: DispatcherError | None = field(default=None)


class EmbeddedSender:
    """Runs lanes while its ``with`` block lasts; leaving it starts no further request and settles what is in flight.

    ``stopping`` is asked before every claim and request.  ``close`` is awaited on the worker's event loop at the
    end.
    """

    def __init__(
        self,
        services: Services,
        reconciler: Reconciler,
        stopping: Callable[[], bool],
        close: Callable[[], Awaitable[None]],
        *,
        guard: timedelta,
        limits: LaneLimits | None = None,
    ) -> None:
        self._services = services
        self._reconciler = reconciler
        self._stopping = stopping
        self._guard = guard
        self._limits = limits or LaneLimits()
        self._lock = threading.Lock()
        self._queued: set[int] = set()
        self._lanes: dict[int, Lane] = {}
        self._breakers: dict[int, Breaker] = {}
        self._brake = Brake()
        self._leaving = False
        self._close = close
        self._doubts: dict[int, _Doubts] = {}
        self.failure: BaseException | None = None
        broker = embedded_broker()
        self._enqueue_lane = declare_send_lane(broker, self._run_lane, self._failed)
        self._enqueue_reconcile = declare_reconcile(broker, self._run_reconcile, self._failed)
        self._worker = EmbeddedWorker(broker, self._finish)

    def __enter__(self) -> EmbeddedSender:
        self._worker.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        self._worker.__exit__(kind, error, trace)

    def enqueue(self, campaign_id: int) -> None:
        """Start a lane of the campaign, unless one is running or queued here."""
        with self._lock:
            if campaign_id in self._queued:
                return
            self._queued.add(campaign_id)
        self._enqueue_lane(campaign_id, 0)

    def reconcile(self, campaign_id: int) -> Outlook | None:
        """Look for the campaign's rows in doubt when it is time to; gives what the last look showed.

        None before the first look.  An outlook whose every row is stuck will not change by itself.
        """
        now = self._services.clock.monotonic()
        with self._lock:
            doubts = self._doubts.setdefault(campaign_id, _Doubts(next_pass=now + FIRST_PASS))
            if doubts.queued or now < doubts.next_pass:
                return doubts.outlook
            doubts.queued = True
        self._enqueue_reconcile(campaign_id)
        return doubts.outlook

    def gave_up(self, campaign_id: int) -> DispatcherError | None:
        """Why looking for rows in doubt is of no use for now: the listing cannot be had."""
        doubts = self._doubts.get(campaign_id)
        return doubts.last_error if doubts and doubts.failures >= FAILURES_IN_A_ROW else None

    def _must_stop(self) -> bool:
        return self._leaving or self._stopping()

    async def _run_lane(self, campaign_id: int, lane: int) -> LaneEnd:
        end = LaneEnd.STOPPED
        try:
            if campaign_id not in self._lanes:
                self._lanes[campaign_id] = await self._new_lane(campaign_id)
            end = await self._lanes[campaign_id].run()
        finally:
            if end is not LaneEnd.MORE:
                self._let_go(campaign_id)
        return end

    def _let_go(self, campaign_id: int) -> None:
        lane = self._lanes.get(campaign_id)
        if lane is not None and not lane.owes:
            # one that could not write everything down does so when it is run again, or at the end
            del self._lanes[campaign_id]
        with self._lock:
            self._queued.discard(campaign_id)

    async def _new_lane(self, campaign_id: int) -> Lane:
        campaign = await self._services.ledger(self._services.ledger.ledger.queries.campaign, campaign_id)
        # one breaker a campaign for the life of the process: a run of refusals does not begin anew with a lane
        breaker = self._breakers.setdefault(campaign_id, Breaker())
        if self._brake.pulled and not any(lane.owes_account_stop for lane in self._lanes.values()):
            # the stop is in the ledger, which gives no rows until a person has looked at it
            self._brake = Brake()
        facts = self._facts(campaign)
        return Lane(self._services, facts, self._must_stop, self._limits, breaker, self._brake)

    async def _finish(self) -> None:
        """Lanes that were between two slices have requests in flight; nobody else settles them."""
        for campaign_id, lane in self._lanes.items():
            try:
                await lane.finish()
            except Exception as error:  # noqa: BLE001 - kept for whoever left, and the others are settled too
                self._failed(campaign_id, error)
        await self._close()

    async def _run_reconcile(self, campaign_id: int) -> None:
        doubts = self._doubts[campaign_id]
        step = asyncio.ensure_future(self._reconciler.step([campaign_id]))
        while not step.done() and not self._must_stop():
            await asyncio.wait([step], timeout=ASK_TO_STOP)
        if not step.done():
            # a long listing, or a pace that was slowed down for minutes, must not keep a person waiting
            step.cancel()
            await asyncio.wait([step])
            return
        try:
            doubts.outlook = step.result()
            doubts.failures = 0
        except DispatcherError as error:
            # the listing cannot be had now: nothing is proved, and nothing is lost by looking again
            doubts.failures += 1
            doubts.last_error = error
        doubts.next_pass = self._services.clock.monotonic() + self._until_next_pass(doubts)
        doubts.passes += 1
        doubts.queued = False

    def _until_next_pass(self, doubts: _Doubts) -> float:
        outlook = doubts.outlook
        wait = PASSES[min(doubts.passes, len(PASSES) - 1)]
        if outlook is None or doubts.failures:
            return wait
        if outlook.proving:
            return PROOF_PASS
        if outlook.until is not None:
            left = (outlook.until - self._services.clock.now()).total_seconds()
            return max(PROOF_PASS, min(wait, left + 0.1))
        return wait

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
