"""The composition root: settings become a ledger, a gateway, a pace, a sender, and are handed to the rest."""

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
from types import TracebackType

from sqlalchemy.engine import make_url

from dispatcher.campaign.forbidden import ForbiddenWords
from dispatcher.campaign.prices import Funds, PriceBook
from dispatcher.errors import UsageError
from dispatcher.gateway.client import Gateway, GatewayConfig
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread, published_prices
from dispatcher.intake.house import House
from dispatcher.ledger import CampaignView, Ledger
from dispatcher.ledger.database import create_file
from dispatcher.ledger.pace import SqlitePace
from dispatcher.report.campaign import Reporter
from dispatcher.report.write import ReportWritten
from dispatcher.sending.owners import OwnerLock, is_dead
from dispatcher.sending.reconcile import Reconciler
from dispatcher.sending.services import LedgerThread, Services, Slots, SystemClock
from dispatcher.settings import Configuration, GatewayKind, Target, choose_target
from dispatcher.wording import Wording
from jobs.sender import EmbeddedSender

QUIET_AFTER_DEATH = timedelta(
    seconds=30
)  # on top of the request time-out, for a claim whose owner is proved dead


class Application:
    """One process's parts, closed together at the end of a ``with`` block."""

    def __init__(self, configuration: Configuration, wording: Wording) -> None:
        self.configuration = configuration
        self.settings = configuration.settings
        self.wording = wording
        self.clock = SystemClock()
        self._stack = ExitStack()
        check_pairing(self.settings.broker, self.settings.ledger)

    def __enter__(self) -> Application:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def folder(self) -> Path:
        """The folder of the ledger, where everything that belongs to it lies."""
        return ledger_folder(self.settings.ledger)

    def ledger(self) -> Ledger:
        """The ledger, created when there is none yet."""
        ledger = Ledger.open(self.settings.ledger, create=True)
        self._stack.callback(ledger.dispose)
        return ledger

    def existing_ledger(self) -> Ledger | None:
        """The ledger if there is one; looking never creates it."""
        ledger = Ledger.open_existing(self.settings.ledger)
        if ledger is not None:
            self._stack.callback(ledger.dispose)
        return ledger

    def required_ledger(self) -> Ledger:
        """The ledger; UsageError when there is none, for commands that only look back."""
        ledger = self.existing_ledger()
        if ledger is None:
            raise UsageError(
                "no_ledger", found=make_url(self.settings.ledger).render_as_string(hide_password=True)
            )
        return ledger

    def price_book(self) -> PriceBook:
        """The operator's own prices; against the simulator, unless there are any, the simulator's."""
        if self.settings.prices is not None:
            return PriceBook.load(self.settings.prices)
        if choose_target(self.configuration).kind is GatewayKind.SIMULATOR:
            return PriceBook.from_entries(
                (str(route), country, price) for route, country, price in published_prices(SimulatorConfig())
            )
        return PriceBook.from_entries(())

    def gateway_config(self) -> GatewayConfig:
        """How to call the chosen gateway; starts the embedded simulator when that is the one."""
        target = choose_target(self.configuration)
        url = target.base_url
        if target.kind is GatewayKind.SIMULATOR:
            create_file(self.folder / "simulator.db")  # it holds numbers and texts: for its owner's eyes
            config = SimulatorConfig(
                state=self.folder / "simulator.db", token=target.token.get_secret_value()
            )
            url = self._stack.enter_context(SimulatorThread(config)).url
        assert url is not None  # every other kind has one
        return GatewayConfig(
            base_url=url, token=target.token, proxy=self.settings.proxy, ca_file=self.settings.ca_file
        )

    def reporter(self, ledger: Ledger) -> Reporter:
        """Writes reports."""
        return Reporter(
            ledger, self.wording, self.settings.zone, simulated=frozenset({GatewayKind.SIMULATOR})
        )

    def _owner(self, ledger: Ledger) -> OwnerLock:
        """This process as an owner of claims, alive for as long as its lock is held."""
        owner = self._stack.enter_context(OwnerLock(self.folder / "owners"))
        ledger.processes.register(
            owner.id,
            pid=os.getpid(),
            host=socket.gethostname(),
            role="run",
            lock_path=str(owner.path),
            now=self.clock.now(),
        )
        self._stack.callback(ledger.processes.forget, owner.id)
        return owner

    def reconciler(
        self, ledger: Ledger, target: Target, services: Services, absent_after: timedelta | None = None
    ) -> Reconciler:
        """Settles doubts; with the embedded simulator, whose listing is complete at once, time is proof enough."""
        quiet = timedelta(seconds=self.settings.quiet_seconds)
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

    def house(self, funds: Funds) -> House:
        """Everything a launch works with."""
        target = choose_target(self.configuration)
        words = self.settings.forbid_file
        forbidden = None if words is None else ForbiddenWords.load(words)
        ledger = self.ledger()
        owner = self._owner(ledger)
        config = self.gateway_config()
        reporter = self.reporter(ledger)
        limit = self.settings.rate_per_minute
        pace = ThreadedPace(
            SqlitePace(self.folder / "pace.db", limit_per_minute=limit, clock=time.time), target.name
        )
        self._stack.callback(pace.close)

        def open_services() -> tuple[Services, Gateway]:
            gateway = Gateway(config)
            services = Services(
                ledger=LedgerThread(ledger),
                gateway=gateway,
                pace=pace,
                clock=self.clock,
                owner=owner.id,
                request_timeout=config.timeout,
                callback_url=self.settings.callback_url,
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
                reconciler = self.reconciler(ledger, target, parts)
                with EmbeddedSender(parts, reconciler, stop.is_set, gateway.aclose, guard=guard) as running:
                    yield running
            finally:
                parts.ledger.close()

        def write_report(campaign: CampaignView, report_dir: Path | None) -> ReportWritten:
            return reporter.write(campaign, report_dir, now=self.clock.now())

        guard = timedelta(days=self.settings.guard_days)
        return House(
            ledger=ledger,
            gateway=target.name,
            default_region=self.settings.default_region,
            clock=self.clock,
            owner=owner.id,
            inputs=self.folder / "inputs",
            book=self.price_book(),
            funds=funds,
            guard=guard,
            rng=random.Random(),
            services=services,
            reconciler=partial(self.reconciler, ledger, target),
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


def check_pairing(broker: str, ledger: str) -> None:
    """The broker and the ledger must be of one kind: both embedded, or both servers."""
    embedded = broker == "embedded"
    sqlite = ledger.startswith("sqlite:")
    if embedded != sqlite or not (embedded or broker.startswith(("redis://", "rediss://"))):
        shown = make_url(ledger).render_as_string(hide_password=True) if "://" in ledger else ledger
        raise UsageError("settings_pairing", broker=broker.split("@")[-1], ledger=shown)


def ledger_folder(url: str) -> Path:
    """The folder of a SQLite ledger."""
    database = make_url(url).database
    if not database or database == ":memory:":
        raise UsageError("settings_invalid", setting="ledger", found=url, source="", problem="not a file")
    return Path(database).resolve().parent
