"""The line from this process to one gateway: a client, the limit, and an owner of claims."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from dispatcher.errors import UsageError
from dispatcher.gateway.client import Gateway, GatewayConfig
from dispatcher.ledger import Ledger
from dispatcher.ledger.pace import SqlitePace
from dispatcher.presence import BEAT_SECONDS, Presence, present
from dispatcher.sending.pacing import SharedPace, ThreadedPace
from dispatcher.sending.reconcile import Reconciler, Standing
from dispatcher.sending.services import LedgerThread, Services, SystemClock
from dispatcher.settings import GatewayKind, Target, masked
from dispatcher.simulating import embedded_simulator
from jobs.pacing import RedisPace

if TYPE_CHECKING:
    from dispatcher.application import Application

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
        presence = stack.enter_context(present(application, ledger, role, target.name))
        self.owners, self.owner = presence.owners, presence.owner
        self._callbacks = application.callbacks(ledger)
        self._config = _gateway_config(application, target, stack)
        self._pace = ThreadedPace(_shared_pace(application, ledger, presence, stack), target.name)
        stack.callback(self._pace.close)

    def open(self) -> tuple[Services, Gateway]:
        """New services; close the gateway on the loop that used it, and the services' ledger thread."""
        gateway = Gateway(self._config)
        services = Services(
            ledger=LedgerThread(self._ledger),
            gateway=gateway,
            pace=self._pace,
            clock=self.clock,
            owner=self.owner,
            request_timeout=self._config.timeout,
            callbacks=self._callbacks,
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
        url = embedded_simulator(application, target, stack)
    assert url is not None  # every other kind has one
    return GatewayConfig(
        base_url=url,
        token=target.token,
        proxy=application.settings.proxy,
        ca_file=application.settings.ca_file,
    )


def _shared_pace(
    application: Application, ledger: Ledger, presence: Presence, stack: ExitStack
) -> SharedPace:
    """The global limit, where every process of the ledger finds it.

    UsageError when those at work find it elsewhere: two limits would be twice the limit.
    """
    limit, agreement = application.settings.rate_per_minute, ledger.agreement("pace")
    if not application.distributed:
        agreement.reach("sqlite", replace=True)  # the file lies beside the ledger: there is no other
        presence.register()
        return SqlitePace(application.folder / "pace.db", limit_per_minute=limit, clock=time.time)
    url = application.settings.broker
    pace = RedisPace(url, limit_per_minute=limit, clock=time.time, monotonic=time.monotonic)
    stack.callback(pace.close)
    with _one_at_a_time(ledger):
        alone = presence.is_alone()
        name = _server_name(pace, patient=not alone)
        if name is None and alone:
            pace.call_server(secrets.token_hex(8))
            name = pace.server_name()
        if name is None or agreement.reach(name, replace=alone) != name:
            raise UsageError("settings_other_pace", found=masked(url))
        presence.register()
    # a server that lost everything is called by its name again
    stack.enter_context(presence.beating(partial(pace.call_server, name)))
    return pace


@contextmanager
def _one_at_a_time(ledger: Ledger) -> Iterator[None]:
    """Two that begin at once must not both find nobody at work."""
    turn = ledger.leader("beginning")
    try:
        while not turn.leads():
            time.sleep(0.1)
        yield
    finally:
        turn.resign()


def _server_name(pace: RedisPace, *, patient: bool) -> str | None:
    """One that was emptied while others work gets its name again with their next sign of life."""
    until = time.monotonic() + (3 * BEAT_SECONDS if patient else 0.0)
    while (name := pace.server_name()) is None and time.monotonic() < until:
        time.sleep(0.2)
    return name
