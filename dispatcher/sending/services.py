"""What sending needs from outside, as protocols; the composition root hands the real ones in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, Protocol, TypeVar

from pydantic import SecretStr

from dispatcher.gateway.client import Page
from dispatcher.gateway.models import Callback, Message, OtpRequest, Route, SendRequest
from dispatcher.gateway.outcomes import Verdict
from dispatcher.ledger import Ledger

P = ParamSpec("P")
R = TypeVar("R")

STARTS_WITHIN = 0.25  # seconds after its slot in which a request starts or gives it up; the pace allows more
SETTLE_AGAIN = (0.5, 2.0, 5.0)  # seconds between tries to write down what must not be forgotten


class Clock(Protocol):
    """The two clocks of a machine, and waiting.  Monotonic time stops while a laptop sleeps; wall time does not."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


@dataclass(frozen=True)
class Slots:
    """When requests may start: seconds from now, ascending, perhaps none; then ``retry_in`` says when to ask again."""

    offsets: Sequence[float]
    retry_in: float


class Pace(Protocol):
    """The global limit.  Raises Unreachable when it cannot be asked: then nothing may be sent."""

    @property
    def rate(self) -> float | None:
        """Slots a second, None when there is no limit."""

    async def reserve(self, n: int) -> Slots:
        """Up to ``n`` slots."""

    async def slow_down(self, seconds: float) -> None:
        """Nobody takes a slot for so long: the gateway said it is too much."""


class Sms(Protocol):
    """The gateway client, as far as sending needs it; each call is exactly one request."""

    def with_token(self, token: SecretStr) -> Sms:
        """The same gateway, called with another token."""

    async def send(self, route: Route, request: SendRequest) -> Verdict: ...

    async def send_otp(self, request: OtpRequest) -> Verdict: ...

    async def messages(self, skip: int = 0, limit: int = 100) -> Page: ...

    async def message(self, message_id: str) -> Message | None: ...


class LedgerThread:
    """The ledger for asynchronous code: every call runs on one thread of its own, so SQLite never blocks the event
    loop.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    async def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """End the thread after what it is doing."""
        self._thread.shutdown(wait=True)


@dataclass(frozen=True)
class Services:
    """Everything a sender works with."""

    ledger: LedgerThread
    gateway: Sms
    pace: Pace
    clock: Clock
    owner: str
    request_timeout: float = 30.0
    callbacks: Callable[[str], Callback] | None = None  # by row key; None asks for none

    async def now(self) -> datetime:
        """The time by the ledger's clock, which dates claims and doubts; every machine's own is a little different."""
        return await self.ledger(self.ledger.ledger.now, self.clock.now())

    async def slot(self) -> None:
        """Wait for one slot of the pace: every request takes one.  A slot that was missed is given up for another."""
        while True:
            slots = await self.pace.reserve(1)
            if not slots.offsets:
                await self.clock.sleep(slots.retry_in)
                continue
            wait = slots.offsets[0]
            at, wall = self.clock.monotonic() + wait, self.clock.now() + timedelta(seconds=wait)
            await self.clock.sleep(wait)
            # both clocks: monotonic time stops while a laptop sleeps
            late = max(self.clock.monotonic() - at, (self.clock.now() - wall).total_seconds())
            if late <= STARTS_WITHIN:
                return
