"""Builds the house: everything that talks to a gateway, put together from one application's settings."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dispatcher.campaign.forbidden import ForbiddenWords
from dispatcher.campaign.prices import Funds
from dispatcher.gateway.client import Gateway, GatewayConfig
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.intake.house import House
from dispatcher.ledger import CampaignView, Ledger
from dispatcher.ledger.database import create_file
from dispatcher.ledger.pace import SqlitePace
from dispatcher.report.write import ReportWritten
from dispatcher.sending.owners import OwnerLock, is_dead
from dispatcher.sending.reconcile import Reconciler
from dispatcher.sending.services import LedgerThread, Services, Slots, SystemClock
from dispatcher.settings import GatewayKind, Target, choose_target
from jobs.sender import EmbeddedSender

if TYPE_CHECKING:
    from dispatcher.application import Application

# on top of the request time-out, for a claim whose owner is proved dead
QUIET_AFTER_DEATH = timedelta(seconds=30)


def gateway_config(application: Application, stack: ExitStack) -> GatewayConfig:
    """How to call the chosen gateway; starts the embedded simulator when that is the one."""
    target = choose_target(application.configuration)
    url = target.base_url
    if target.kind is GatewayKind.SIMULATOR:
        create_file(application.folder / "simulator.db")  # it holds numbers and texts: for its owner's eyes
        config = SimulatorConfig(
            state=application.folder / "simulator.db", token=target.token.get_secret_value()
        )
        url = stack.enter_context(SimulatorThread(config)).url
    assert url is not None  # every other kind has one
    return GatewayConfig(
        base_url=url,
        token=target.token,
        proxy=application.settings.proxy,
        ca_file=application.settings.ca_file,
    )


def register_owner(application: Application, ledger: Ledger, stack: ExitStack) -> OwnerLock:
    """This process as an owner of claims, alive for as long as its lock is held."""
    owner = stack.enter_context(OwnerLock(application.folder / "owners"))
    ledger.processes.register(
        owner.id,
        pid=os.getpid(),
        host=socket.gethostname(),
        role="run",
        lock_path=str(owner.path),
        now=application.now(),
    )
    stack.callback(ledger.processes.forget, owner.id)
    return owner


def make_reconciler(
    application: Application,
    ledger: Ledger,
    target: Target,
    services: Services,
    absent_after: timedelta | None = None,
) -> Reconciler:
    """Settles doubts; with the embedded simulator, whose listing is complete at once, time is proof enough."""
    quiet = timedelta(seconds=application.settings.quiet_seconds)
    quiet_after_death = timedelta(seconds=services.request_timeout) + QUIET_AFTER_DEATH

    def alive(owner: str) -> bool:
        registered = {process.owner: process for process in ledger.processes.all()}
        process = registered.get(owner)
        return process is not None and not (process.lock_path and is_dead(Path(process.lock_path)))

    def quiet_for(owner_alive: bool) -> timedelta:
        return quiet if owner_alive else min(quiet, quiet_after_death)

    if absent_after is None and target.kind is GatewayKind.SIMULATOR:
        absent_after = timedelta(0)
    return Reconciler(services, target.name, alive=alive, quiet=quiet_for, absent_after=absent_after)


def build_house(application: Application, funds: Funds, stack: ExitStack) -> House:
    """Everything a launch works with; what has to be closed again goes onto ``stack``."""
    clock = SystemClock()
    target = choose_target(application.configuration)
    words = application.settings.forbid_file
    forbidden = None if words is None else ForbiddenWords.load(words)
    ledger = application.ledger()
    owner = register_owner(application, ledger, stack)
    config = gateway_config(application, stack)
    reporter = application.reporter(ledger)
    limit = application.settings.rate_per_minute
    pace = ThreadedPace(
        SqlitePace(application.folder / "pace.db", limit_per_minute=limit, clock=time.time), target.name
    )
    stack.callback(pace.close)

    def open_services() -> tuple[Services, Gateway]:
        gateway = Gateway(config)
        services = Services(
            ledger=LedgerThread(ledger),
            gateway=gateway,
            pace=pace,
            clock=clock,
            owner=owner.id,
            request_timeout=config.timeout,
            callback_url=application.settings.callback_url,
        )
        return services, gateway

    @asynccontextmanager
    async def services() -> AsyncIterator[Services]:
        parts, gateway = open_services()
        try:
            async with gateway:
                yield parts
        finally:
            parts.ledger.close()

    @contextmanager
    def sender(stop: threading.Event) -> Iterator[EmbeddedSender]:
        parts, gateway = open_services()
        try:
            reconciler = make_reconciler(application, ledger, target, parts)
            with EmbeddedSender(parts, reconciler, stop.is_set, gateway.aclose, guard=guard) as running:
                yield running
        finally:
            parts.ledger.close()

    def write_report(campaign: CampaignView, report_dir: Path | None) -> ReportWritten:
        return reporter.write(campaign, report_dir, now=application.now())

    guard = timedelta(days=application.settings.guard_days)
    return House(
        ledger=ledger,
        gateway=target.name,
        default_region=application.settings.default_region,
        clock=clock,
        owner=owner.id,
        inputs=application.folder / "inputs",
        book=application.price_book(),
        funds=funds,
        guard=guard,
        rng=random.Random(),
        services=services,
        reconciler=partial(make_reconciler, application, ledger, target),
        sender=sender,
        write_report=write_report,
        forbidden=forbidden,
    )


class ThreadedPace:
    """The SQLite pace for asynchronous code: asked on one thread of its own, its times become seconds from now."""

    def __init__(self, pace: SqlitePace, key: str) -> None:
        self._pace = pace
        self._key = key
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pace")

    @property
    def rate(self) -> float | None:
        """Slots a second."""
        return 1 / self._pace.interval

    async def reserve(self, n: int) -> Slots:
        """Up to ``n`` slots."""
        loop = asyncio.get_running_loop()
        reservation = await loop.run_in_executor(self._thread, self._pace.reserve, self._key, n)
        now = time.time()
        return Slots(
            offsets=[max(0.0, at - now) for at in reservation.times],
            retry_in=max(0.01, reservation.retry_at - now),
        )

    async def slow_down(self, seconds: float) -> None:
        """Nobody takes a slot for so long."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._pace.slow_down, self._key, time.time() + seconds)

    def close(self) -> None:
        """Give the file back."""
        self._thread.shutdown(wait=True)
        self._pace.close()
