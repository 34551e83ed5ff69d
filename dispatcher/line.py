"""The line from this process to one gateway: a client, the limit, and an owner of claims."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dispatcher.errors import DispatcherError, UsageError
from dispatcher.gateway.client import Gateway, GatewayConfig
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.ledger import Ledger
from dispatcher.ledger.database import create_file
from dispatcher.ledger.pace import SqlitePace
from dispatcher.sending.owners import OwnerLock, Owners
from dispatcher.sending.pacing import SharedPace, ThreadedPace
from dispatcher.sending.reconcile import Reconciler, Standing
from dispatcher.sending.services import LedgerThread, Services, SystemClock
from dispatcher.settings import GatewayKind, Target, masked
from jobs.pacing import RedisPace

if TYPE_CHECKING:
    from dispatcher.application import Application

BEAT_SECONDS = 5.0
log = logging.getLogger(__name__)
# on top of the request time-out, for a claim whose owner is proved dead
QUIET_AFTER_DEATH = timedelta(seconds=30)


class Line:
    """Open while the stack it was made with is; ``role`` is what this process registers as."""

    def __init__(
        self, application: Application, ledger: Ledger, target: Target, role: str, stack: ExitStack
    ) -> None:
        self._application = application
        self._ledger = ledger
        self._target = target
        self.clock = SystemClock()
        self.owners = _owners(application, ledger)
        self.owner = _register(application, ledger, self.owners.place, role, stack)
        self._config = _gateway_config(application, target, stack)
        self._agree_on_pace()
        self._pace = _pace(application, target.name, stack)

    def _agree_on_pace(self) -> None:
        """Two paces would be twice the limit: who is set up otherwise than those at work does not start."""
        settings, now = self._application.settings, self._application.now()
        mine = masked(settings.broker) if self._application.distributed else "sqlite"
        others = [p.owner for p in self._ledger.processes.all() if p.owner != self.owner.id]
        alone = all(self.owners.is_gone(each) or self.owners.is_silent(each, now) for each in others)
        theirs = self._ledger.agreement("pace").reach(mine, replace=alone)
        if theirs != mine:
            raise UsageError("settings_other_pace", found=mine, pace=theirs)

    def open(self) -> tuple[Services, Gateway]:
        """New services; close the gateway on the loop that used it, and the services' ledger thread."""
        gateway = Gateway(self._config)
        services = Services(
            ledger=LedgerThread(self._ledger),
            gateway=gateway,
            pace=self._pace,
            clock=self.clock,
            owner=self.owner.id,
            request_timeout=self._config.timeout,
            callback_url=self._application.settings.callback_url,
        )
        return services, gateway

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Services]:
        """Services for the length of a block, on one event loop."""
        parts, gateway = self.open()
        try:
            async with gateway:
                yield parts
        finally:
            parts.ledger.close()

    def reconciler(self, services: Services, absent_after: timedelta | None = None) -> Reconciler:
        """Settles doubts; with the embedded simulator, whose listing is complete at once, time is proof enough."""
        quiet = timedelta(seconds=self._application.settings.quiet_seconds)
        after_death = min(quiet, timedelta(seconds=services.request_timeout) + QUIET_AFTER_DEATH)

        def standing(owner: str) -> Standing:
            if self.owners.is_gone(owner):
                return Standing(may_live=False, quiet=after_death)
            silent = self.owners.is_silent(owner, self.clock.now())
            # a silent one may be frozen: its rows wait the whole quiet period all the same
            return Standing(may_live=not silent, quiet=quiet, elsewhere=not self.owners.is_here(owner))

        if absent_after is None and self._target.kind is GatewayKind.SIMULATOR:
            absent_after = timedelta(0)
        return Reconciler(
            services,
            self._target.name,
            standing=standing,
            absent_after=absent_after,
        )


def _gateway_config(application: Application, target: Target, stack: ExitStack) -> GatewayConfig:
    """How to call the chosen gateway; starts the embedded simulator when that is the one."""
    url = target.base_url
    if target.kind is GatewayKind.SIMULATOR:
        if application.distributed:
            raise UsageError("settings_simulator_shared")
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


def _pace(application: Application, key: str, stack: ExitStack) -> ThreadedPace:
    """The global limit, where every process of the ledger finds it."""
    limit = application.settings.rate_per_minute
    shared: SharedPace
    if application.distributed:
        url = application.settings.broker
        shared = RedisPace(url, limit_per_minute=limit, clock=time.time, monotonic=time.monotonic)
    else:
        shared = SqlitePace(application.folder / "pace.db", limit_per_minute=limit, clock=time.time)
    pace = ThreadedPace(shared, key)
    stack.callback(pace.close)
    return pace


def _owners(application: Application, ledger: Ledger) -> Owners:
    silence = timedelta(seconds=application.settings.quiet_seconds)
    return Owners(ledger, application.folder / "owners", silence)


def _register(application: Application, ledger: Ledger, place: str, role: str, stack: ExitStack) -> OwnerLock:
    """This process as an owner of claims, alive for as long as its lock is held; elsewhere its beats say so."""
    owner = stack.enter_context(OwnerLock(application.folder / "owners"))

    def register() -> None:
        ledger.processes.register(
            owner.id, pid=os.getpid(), host=place, role=role, lock_path=str(owner.path), now=application.now()
        )

    register()
    stack.callback(_forget, ledger, owner.id)
    if application.distributed:
        stack.enter_context(_beating(ledger, owner.id, application.now, register))
    return owner


def _forget(ledger: Ledger, owner: str) -> None:
    with suppress(DispatcherError):  # a lock that is gone, or silence, says the same later
        ledger.processes.forget(owner)


@contextmanager
def _beating(
    ledger: Ledger, owner: str, now: Callable[[], datetime], register: Callable[[], None]
) -> Iterator[None]:
    """Signs of life while the block lasts: processes of other machines cannot see this one's lock."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            try:
                if not ledger.processes.seen(owner, now()):
                    register()  # somebody took it for dead
            except Exception as error:  # noqa: BLE001 - a thread that ends would make a living process silent
                log.warning("no sign of life could be given: %s", type(error).__name__)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=BEAT_SECONDS)
