"""The six calls over HTTP: from a request to an answer, faults included."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from dispatcher.gateway.models import Route
from dispatcher.gateway.simulator import answers, damage
from dispatcher.gateway.simulator.answers import Refused
from dispatcher.gateway.simulator.arrivals import Arrivals
from dispatcher.gateway.simulator.config import SimulatorConfig
from dispatcher.gateway.simulator.faults import Fault, Faults
from dispatcher.gateway.simulator.messages import Message, micros, microseconds, view
from dispatcher.gateway.simulator.orders import Order, asks_dry_run, read_json, read_order
from dispatcher.gateway.simulator.otp import CodeOrder, make_code, read_code_order
from dispatcher.gateway.simulator.scopes import scope_of
from dispatcher.gateway.simulator.store import Store

_ROUTES: Mapping[str, Route] = {f"/{route.value}-messages": route for route in Route}
_BEFORE = frozenset({Fault.ERROR_BEFORE, Fault.RESET_BEFORE, Fault.HANG_BEFORE, Fault.THROTTLED})


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks: an account, and the token where that is one it had made, with limits."""

    account: str
    token: str | None = None


class Counter:
    """The counter where orders are handed in: those of one turn of the event loop share a transaction."""

    def __init__(self, store: Store, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self._waiting: list[tuple[Holder, Order | Refused, asyncio.Future[Message]]] = []

    async def hand_in(self, holder: Holder, order: Order | Refused) -> Message:
        """The message an order became, kept for good.  Raises Refused."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._decide)
        decided: asyncio.Future[Message] = loop.create_future()
        self._waiting.append((holder, order, decided))
        return await decided

    def _decide(self) -> None:
        batch, self._waiting = self._waiting, []
        outcomes: list[Message | Refused]
        try:
            asked = [(holder.account, holder.token, order) for holder, order, _ in batch]
            outcomes = self._store.submit(asked, self._now())
        except sqlite3.Error as error:
            outcomes = [Refused(500, 500, f"Nothing was kept: {error}")] * len(batch)
        for (_, _, decided), outcome in zip(batch, outcomes, strict=True):
            if decided.done():
                continue
            if isinstance(outcome, Refused):
                decided.set_exception(Refused(outcome.status, outcome.code, outcome.message))
            else:
                decided.set_result(outcome)


class Gateway:
    """The stand-in's front: authenticates, counts, breaks what is to be broken, answers."""

    def __init__(
        self,
        config: SimulatorConfig,
        store: Store,
        arrivals: Arrivals,
        faults: Faults,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._config = config
        self._usernames = config.usernames
        self._store = store
        self._arrivals = arrivals
        self._clock = clock
        self._monotonic = monotonic
        self._counter = Counter(store, self._now)
        self._stopping = asyncio.Event()
        self.set_faults(faults)

    def set_faults(self, faults: Faults) -> None:
        """Change the faults; windows and schedules count from here."""
        self._faults = faults
        self._affected = 0
        self._faults_since = self._monotonic()

    def stop(self) -> None:
        """Let go of the requests that hang."""
        self._stopping.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        wait = self._arrivals.note(self._config.requests_per_minute)
        try:
            body = await request.read()
            if wait is not None:
                return self._throttled(wait, self._config.limit_status)
            return await self._through_faults(request, self._holder(request), body)
        except Refused as refused:
            return self._refusal(refused)
        except web.HTTPException as error:  # a body above the size limit
            return self._refusal(Refused(error.status, error.status, error.reason))

    async def _through_faults(
        self, request: web.BaseRequest, holder: Holder, body: bytes
    ) -> web.StreamResponse:
        fault, latency = self._next_fault(request, body)
        if latency:
            await asyncio.sleep(latency)
        if fault is Fault.LATE and not await self._hang():
            return damage.reset(request)
        if fault in _BEFORE:
            return await self._broken(fault, request, b"")
        try:
            answer = await self._answer(request, holder, body)
            status = 201 if request.method == "POST" else 200
        except Refused as refused:
            status, answer = refused.status, _error_body(refused)
            if holder.token is not None:
                self._store.passes.failed(holder.token)
        if fault is Fault.LATE_ANSWER and await self._hang():
            return self._response(status, answer)
        if fault is not None and fault is not Fault.LATE:
            return await self._broken(fault, request, answer)
        return self._response(status, answer)

    def _next_fault(self, request: web.BaseRequest, body: bytes) -> tuple[Fault | None, float]:
        faults = self._faults
        if faults.only_sends and not _is_real_send(request, body):
            return None, 0.0
        self._affected += 1
        elapsed = self._monotonic() - self._faults_since
        return faults.decide(self._config.seed, self._affected, elapsed)

    async def _broken(
        self, fault: Fault | None, request: web.BaseRequest, answer: bytes
    ) -> web.StreamResponse:
        match fault:
            case Fault.THROTTLED:
                return self._throttled(self._faults.retry_after, 429)
            case Fault.ERROR_BEFORE | Fault.ERROR_AFTER:
                status = self._faults.error_status
                return self._refusal(Refused(status, status, "Something went wrong"))
            case Fault.CLOSE_AFTER:
                return damage.close(request)
            case Fault.HALF_HEADER:
                return damage.half_header(request)
            case Fault.HALF_ANSWER:
                return damage.half_answer(request, answer)
            case Fault.GARBAGE:
                return damage.garbage()
            case Fault.HANG_BEFORE | Fault.HANG_AFTER:
                await self._hang()
        return damage.reset(request)

    async def _hang(self) -> bool:
        """Stay silent; True when the time is up, False when the simulator stops."""
        try:
            await asyncio.wait_for(self._stopping.wait(), self._faults.hang_seconds)
        except TimeoutError:
            return True
        return False

    async def _answer(self, request: web.BaseRequest, holder: Holder, body: bytes) -> bytes:
        path, method, username = request.path, request.method, holder.account
        if method == "POST" and (path in _ROUTES or path == "/otp"):
            message = await self._counter.hand_in(holder, self._order(path, username, body))
            return _data(view(message, message.created))
        if method == "GET" and path == "/messages":
            return _data(self._page(request, username))
        if method == "GET" and path.startswith("/messages/"):
            found = self._store.message(username, path.removeprefix("/messages/"))
            if found is not None:
                return _data(view(found, self._now()))
        raise answers.not_found()

    def _order(self, path: str, username: str, body: bytes) -> Order | Refused:
        try:
            data = read_json(body)
            if path == "/otp":
                return self._code_order(username, read_code_order(data))
            return read_order(_ROUTES[path], data)
        except Refused as refused:
            return refused  # a blocklisted account hears of that first

    def _code_order(self, username: str, wanted: CodeOrder) -> Order:
        now, number = self._now(), wanted.recipient.number
        code = self._store.remembered_code(username, number, wanted.length, wanted.alphanumeric, now)
        if code is None:
            code = make_code(wanted, self._config.seed, now)
            if wanted.cache_seconds and not wanted.options["dryRun"]:
                expires = now + micros(wanted.cache_seconds)
                self._store.remember_code(username, number, code, wanted.alphanumeric, expires)
        return wanted.order(code)

    def _page(self, request: web.BaseRequest, username: str) -> list[dict[str, Any]]:
        skip, limit = _whole(request, "skip", 0), _whole(request, "limit", 100)
        now = self._now()
        shown_until = now - micros(self._config.listing_lag)
        page = self._store.listing(username, skip, min(limit, self._config.limit_cap), shown_until)
        return [view(message, now) for message in page]

    def _holder(self, request: web.BaseRequest) -> Holder:
        scheme, _, written = request.headers.get("Authorization", "").partition(" ")
        token = written.strip()
        if scheme.lower() != "bearer":
            raise answers.unauthorized()
        if (username := self._usernames.get(token)) is not None:
            return Holder(username)
        scope = scope_of(request.method, request.path)
        account = self._store.passes.use(token, scope, self._now(), self._config.token_limit_status)
        return Holder(account, token)

    def _now(self) -> int:
        return microseconds(self._clock())

    def _refusal(self, refused: Refused) -> web.Response:
        return self._response(refused.status, _error_body(refused))

    def _throttled(self, wait: float | None, status: int) -> web.Response:
        response = self._refusal(Refused(status, status, "Too many requests"))
        if wait is not None:
            response.headers["Retry-After"] = str(max(1, math.ceil(wait)))
        return response

    def _response(self, status: int, body: bytes) -> web.Response:
        date = format_datetime(self._clock().astimezone(UTC), usegmt=True)
        headers = {"Content-Type": "application/json", "Date": date}
        return web.Response(status=status, body=body, headers=headers)


def _is_real_send(request: web.BaseRequest, body: bytes) -> bool:
    if request.method != "POST":
        return False
    # parsing a body twice is dear at thousands a second, and one without these letters asks for no dry run
    if b"dryRun" not in body and b"\\" not in body:
        return True
    try:
        return not asks_dry_run(read_json(body))
    except Refused:
        return True


def _whole(request: web.BaseRequest, name: str, default: int) -> int:
    written = request.query.get(name)
    if written is None:
        return default
    if not (written.isascii() and written.isdigit() and len(written) < 16):
        raise answers.invalid(name, "a whole number, not negative")
    return int(written)


def _data(content: object) -> bytes:
    return json.dumps({"data": content}).encode()


def _error_body(refused: Refused) -> bytes:
    return json.dumps({"code": refused.code, "message": refused.message}).encode()
