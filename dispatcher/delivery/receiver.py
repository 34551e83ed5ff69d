"""The address that the gateway posts to: what comes is believed only with its signature, and answered once it is kept.

What a request comes to is an :class:`Outcome`; :data:`STATUSES` says how it is answered.  Whatever is not 200 the
gateway tries again, as often as it was asked to.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dispatcher.delivery.batches import Batches
from dispatcher.delivery.bounds import Bucket, read_within
from dispatcher.delivery.callbacks import read_callback
from dispatcher.delivery.filing import Told, told_of
from dispatcher.delivery.reports import place_of
from dispatcher.errors import DispatcherError
from dispatcher.gateway.signing import SIGNATURE_HEADER, Signer

PATH = "/callbacks"
HEALTH_PATH = "/health"
log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What a request came to."""

    STORED = "stored"
    MALFORMED = "malformed"
    REFUSED = "refused"  # no signature, or not of the row it names: nothing is stored
    TOO_SLOW = "too_slow"
    TOO_LONG = "too_long"
    MISDIRECTED = "misdirected"  # signed with our secret, about a row of another ledger
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"  # the ledger cannot take it now


STATUSES: Mapping[Outcome, int] = {
    Outcome.STORED: 200,
    Outcome.MALFORMED: 400,
    Outcome.REFUSED: 401,
    Outcome.TOO_SLOW: 408,
    Outcome.TOO_LONG: 413,
    Outcome.MISDIRECTED: 421,
    Outcome.LIMITED: 429,
    Outcome.UNAVAILABLE: 503,
}
_SAID = {outcome: json.dumps({"outcome": outcome}).encode() for outcome in Outcome}
_LATER = (Outcome.LIMITED, Outcome.UNAVAILABLE)


class Clock(Protocol):
    """The two clocks of a machine."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


@dataclass(frozen=True)
class Bounds:
    """How much is taken in: requests a second (and at once), bytes and seconds of one."""

    rate: float = 2_000.0  # several times of what a ledger in a file is asked to take
    burst: int = 4_000
    body: int = 64 * 1024  # the longest text with all that comes with it takes 4 KiB
    seconds: float = 10.0


@dataclass(frozen=True)
class Ledgers:
    """What a receiver needs of its ledger, called on the ledger's own thread.  Both raise Unreachable."""

    id: str
    file: Callable[[Sequence[Told]], Awaitable[None]]
    tidy: Callable[[], Awaitable[None]]
    tidy_seconds: float = 15.0


class Receiver:
    """The ASGI application ``app`` of one ledger; ``count`` hears what every request came to.

    ``healthy`` is False from when the ledger could not be reached, or what it was told broke, until it goes on again.
    """

    def __init__(
        self,
        ledger: Ledgers,
        signer: Signer,
        clock: Clock,
        *,
        count: Callable[[Outcome], None],
        bounds: Bounds | None = None,
    ) -> None:
        self._ledger = ledger
        self._signer = signer
        self._clock = clock
        self._count = count
        self._bounds = bounds or Bounds()
        self._bucket = Bucket(self._bounds.rate, self._bounds.burst, clock.monotonic)
        self._batches = Batches(self._file)
        self.healthy = True
        routes = [Route(PATH, self._receive, methods=["POST"]), Route(HEALTH_PATH, self._health)]
        self.app = Starlette(routes=routes, lifespan=self._living)
        # behind a TLS proxy it would lead numbers and texts to plain http
        self.app.router.redirect_slashes = False

    async def _receive(self, request: Request) -> Response:
        outcome = await self._outcome(request)
        self._count(outcome)
        headers = {"Retry-After": "1"} if outcome in _LATER else None
        return Response(_SAID[outcome], STATUSES[outcome], headers, "application/json")

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"ok": self.healthy}, 200 if self.healthy else 503)

    async def _outcome(self, request: Request) -> Outcome:
        if not self._bucket.take():
            return Outcome.LIMITED
        signature = request.headers.get(SIGNATURE_HEADER)
        if signature is None:
            return Outcome.REFUSED  # nothing of it is read
        try:
            async with asyncio.timeout(self._bounds.seconds):
                body = await read_within(request.stream(), self._bounds.body)
        except (TimeoutError, ClientDisconnect):
            return Outcome.TOO_SLOW
        if body is None:
            return Outcome.TOO_LONG
        callback = await read_callback(request.headers, body)
        if callback is None:
            return Outcome.MALFORMED
        if callback.row_key is None or not self._signer.is_ours(callback.row_key, signature):
            return Outcome.REFUSED
        place = place_of(callback.row_key, self._ledger.id)
        if place is None:
            return Outcome.MISDIRECTED
        told = told_of(callback, place, self._ledger.id, self._clock.now())
        try:
            await self._batches.put(told)
        except Exception:  # noqa: BLE001 - full, or told by _watched: the gateway brings it again
            return Outcome.UNAVAILABLE
        return Outcome.STORED

    async def _file(self, told: Sequence[Told]) -> None:
        await self._watched(self._ledger.file(told))

    async def _watched(self, work: Awaitable[None]) -> None:
        """The ledger's failures change what ``/health`` says, and are logged when they begin and end."""
        try:
            await work
        except DispatcherError as error:
            if self.healthy:
                log.warning("callbacks_wait", extra={"error": error.code})
            self.healthy = False
            raise
        except Exception:
            log.exception("callbacks_broken")
            self.healthy = False
            raise
        if not self.healthy:
            log.info("callbacks_go_on")
        self.healthy = True

    async def _keep_tidy(self) -> None:
        while True:
            with suppress(Exception):  # _watched has told it; the next round may do
                await self._watched(self._ledger.tidy())
            await asyncio.sleep(self._ledger.tidy_seconds)

    @asynccontextmanager
    async def _living(self, app: Starlette) -> AsyncIterator[None]:
        writer = asyncio.create_task(self._batches.run())
        tidying = asyncio.create_task(self._keep_tidy())
        try:
            yield
        finally:
            tidying.cancel()
            self._batches.close()
            await writer
