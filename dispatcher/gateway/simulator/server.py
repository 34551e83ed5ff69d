"""The stand-in as a server: one per event loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from dispatcher.errors import UsageError
from dispatcher.gateway.simulator.account_calls import AccountCalls, is_account_call
from dispatcher.gateway.simulator.arrivals import Arrival, Arrivals
from dispatcher.gateway.simulator.callbacks import Callbacks, CallbackTally
from dispatcher.gateway.simulator.config import SimulatorConfig
from dispatcher.gateway.simulator.faults import Faults, faults_from_json
from dispatcher.gateway.simulator.handlers import Gateway
from dispatcher.gateway.simulator.inspection import Received, as_json, received_from, sends_by_text
from dispatcher.gateway.simulator.messages import micros, microseconds
from dispatcher.gateway.simulator.store import Store, euro
from dispatcher.ports import free_port, is_taken, problem_of

_INSPECTION = "/_simulator/"
BACKLOG = 1_024  # a lane connects hundreds of times in a moment; whom the system turns away tries again a second later


def utc_now() -> datetime:
    """The time now, aware."""
    return datetime.now(UTC)


class Simulator:
    """A stand-in for the gateway, over real HTTP.

    ``start`` and ``stop`` belong to one event loop; everything else may be called from any thread, before,
    between and after them.  ``clock`` is the gateway's time, ``sleep`` waits between tries of a callback.
    ``acknowledged`` hears, on that loop, the id and the state of each message whose callback was answered with 200.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        acknowledged: Callable[[str, str], None] = lambda message_id, state: None,
    ) -> None:
        self.config = config
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._acknowledged = acknowledged
        self._faults = config.faults
        self._arrivals = Arrivals(config.arrivals_kept, clock, monotonic)
        self._kept: bytes | None = None
        self._store: Store | None = None
        self._gateway: Gateway | None = None
        self._account: AccountCalls | None = None
        self._callbacks: Callbacks | None = None
        self._posting: asyncio.Task[None] | None = None
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen (port 0: any free one) and return the base URL.

        Raises UsageError ``simulator_port_taken``, ``simulator_address_unusable`` or ``simulator_state_unusable``.
        """
        self._store = Store(self.config, self._kept)
        self._gateway = Gateway(
            self.config,
            self._store,
            self._arrivals,
            self._faults,
            clock=self._clock,
            monotonic=self._monotonic,
        )
        self._account = AccountCalls(self.config, self._store, self._clock)
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, backlog=BACKLOG).start()
        except OSError as error:
            await self.stop()
            if is_taken(error):
                raise UsageError(
                    "simulator_port_taken", found=str(port), host=host, free=free_port(host, port)
                ) from error
            raise UsageError(
                "simulator_address_unusable", host=host, port=port, found=problem_of(error)
            ) from error
        self._callbacks = Callbacks(
            self.config,
            self._store,
            now=lambda: microseconds(self._clock()),
            sleep=self._sleep,
            acknowledged=self._acknowledged,
        )
        self._posting = asyncio.create_task(self._callbacks.run())
        bound = self._runner.addresses[0][1]
        return f"http://{f'[{host}]' if ':' in host else host}:{bound}"

    async def stop(self) -> None:
        """Stop listening, finish what is being answered, keep everything received."""
        if self._gateway:
            self._gateway.stop()
        if self._posting:
            self._posting.cancel()
            with suppress(asyncio.CancelledError):
                await self._posting
            self._posting = None
        if self._runner:
            await self._runner.cleanup()
            self._runner = None
        if self._store:
            store, self._store, self._gateway = self._store, None, None
            self._kept = store.close()

    def set_faults(self, faults: Faults) -> None:
        """Change the faults, running or not; their windows and schedule count from now."""
        self._faults = faults
        if self._gateway:
            self._gateway.set_faults(faults)

    def top_up(self, amount: Decimal) -> None:
        """Pay into the wallet of ``username``, running or not."""
        with self._opened() as store:
            store.top_up(self.config.username, micros(amount))

    def received(self, skip: int = 0, limit: int = -1) -> list[Received]:
        """Everything the gateway took in, oldest first: real sends, dry runs, blocked messages."""
        with self._opened() as store:
            return [received_from(message) for message in store.everything(skip, limit)]

    def sends(self) -> Counter[tuple[str, str]]:
        """How often each (recipient, text) was accepted for delivery; above 1 is a double send."""
        return sends_by_text(self.received())

    def arrivals(self) -> list[Arrival]:
        """When the last requests arrived, oldest first; inspection does not count."""
        return self._arrivals.recent()

    def busiest(self, seconds: float = 60.0) -> int:
        """The most requests in any stretch of that many seconds."""
        return self._arrivals.busiest(seconds)

    def stats(self) -> dict[str, Any]:
        """Counts, money and pace as JSON values; money is a decimal string."""
        received = self.received()
        accepted = [message for message in received if message.accepted]
        tally = self._callbacks.tally if self._callbacks else CallbackTally()
        with self._opened() as store:
            accounts, waiting = store.accounts(), store.callbacks_waiting()
        return {
            "requests": self._arrivals.total,
            "busiest_minute": self.busiest(),
            "accepted": len(accepted),
            "dry_runs": sum(message.dry_run for message in received),
            "blocked": sum(message.blocked for message in received),
            "sent_more_than_once": sum(times > 1 for times in sends_by_text(received).values()),
            "parts": sum(message.parts for message in accepted),
            "callbacks": {
                "delivered": tally.delivered,
                "failed": tally.failed,
                "lost": tally.lost,
                "waiting": waiting + tally.under_way,
            },
            "accounts": {
                account.username: {
                    "wallet": str(euro(account.wallet)),
                    "blocklisted": account.blocklisted,
                    "bundles": account.bundles,
                }
                for account in accounts
            },
        }

    @contextmanager
    def _opened(self) -> Iterator[Store]:
        if self._store is not None:
            yield self._store
            return
        store = Store(self.config, self._kept)
        try:
            yield store
        finally:
            self._kept = store.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(_INSPECTION):
            return await self._inspect(request, request.path.removeprefix(_INSPECTION))
        if self._gateway is None or self._account is None:  # a request that was read while stop() ran
            return web.Response(status=503)
        if is_account_call(request.path):
            return await self._account.handle(request)
        return await self._gateway.handle(request)

    async def _inspect(self, request: web.BaseRequest, name: str) -> web.Response:
        match request.method, name:
            case "GET", "received":
                try:
                    skip, limit = int(request.query.get("skip", 0)), int(request.query.get("limit", -1))
                except ValueError:
                    return web.json_response({"found": request.query_string}, status=422)
                return web.json_response([as_json(message) for message in self.received(skip, limit)])
            case "GET", "stats":
                return web.json_response(self.stats())
            case "GET", "arrivals":
                return web.json_response(self.arrivals())
            case "POST", "faults":
                try:
                    self.set_faults(faults_from_json(json.loads(await request.read())))
                except (UsageError, ValueError) as error:
                    return web.json_response({"found": str(error)}, status=422)
                return web.json_response({})
        return web.json_response({"found": name}, status=404)
