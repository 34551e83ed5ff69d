"""One HTTP request to one host, exactly once; what goes wrong is told in httpx's exceptions.

Why not a client library: the difference between "never left" and "we do not know" must not depend on the names that
somebody else gives their exceptions.  Here it depends on the PLACE: what fails before a connection is there
(``dialling``) was never written to a gateway; everything after it (``wire``) is in doubt.  And why not httpx' pool or
aiohttp's client: docs/decisions.md has what they cost.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NewType

import httpx

from dispatcher.gateway.causes import Cause
from dispatcher.gateway.dialling import Dialler
from dispatcher.gateway.wire import Answer, Connection

Head = NewType("Head", bytes)
"""The first lines of a request, ready to be sent any number of times, but for the length of its body."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds.  ``connect`` bounds the wait for a free connection and its making, ``total`` the request as
    a whole.

    ``connect`` has to be the smaller one: when only the total has run out nobody can say how far the
    request came.
    """

    total: float = 30.0
    connect: float = 10.0

    @classmethod
    def within(cls, total: float) -> Timeouts:
        """Time-outs that end within ``total`` seconds."""
        return cls(total=total, connect=min(10.0, total / 2))


_CLOSED = Cause.NOT_CONNECTED.of("the client is closed")


class Transport:
    """Sends each request exactly once: no retries, redirects, cookies, environment proxies or HTTP/2.

    Raises only httpx exceptions, each with its Cause as text.  ConnectError, ConnectTimeout, PoolTimeout and ProxyError
    mean that nothing of the request was written; all others leave that open.  Belongs to the event loop of its first
    request.

    ``origin`` is the URL that every request's target is relative to, with ``connections`` to it at most.
    ``keepalive_expiry`` (seconds) has to be shorter than the server's.
    """

    def __init__(
        self,
        origin: httpx.URL,
        *,
        connections: int,
        ssl_context: ssl.SSLContext | None = None,
        proxy: httpx.URL | None = None,
        keepalive_expiry: float = 4.0,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._origin = str(origin).rstrip("/")
        self._host = origin.netloc.decode("ascii")
        self._dialler = Dialler(origin, ssl_context=ssl_context, proxy=proxy)
        self._timeouts = timeouts or Timeouts()
        self._keepalive_expiry = keepalive_expiry
        self._slots = asyncio.Semaphore(connections)
        self._connections: set[Connection] = set()
        self._idle: deque[tuple[float, Connection]] = deque()  # since when; the longest first
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    def head(self, method: str, target: str, headers: Mapping[str, str]) -> Head:
        """The head of a request for ``target``, which is a path with or without a query.

        Raises httpx.InvalidURL, and ValueError for a header that is none.
        """
        path = httpx.URL(f"{self._origin}{target}").raw_path.decode("ascii")
        fields = {"Host": self._host, **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        if not all(line.isascii() and line.isprintable() for line in lines):
            raise ValueError("a header has characters that cannot be sent")
        return Head("\r\n".join([*lines, ""]).encode("ascii"))

    async def exchange(self, head: Head, content: bytes | None = None, *, max_body: int) -> Answer:
        """The answer, read to its end; one longer than ``max_body`` bytes ends in RemoteProtocolError."""
        began = asyncio.get_running_loop().time()
        request = head + (
            b"\r\n" if content is None else b"Content-Length: %d\r\n\r\n%b" % (len(content), content)
        )
        await self._take_slot(began)
        try:
            connection = self._kept() or await self._new(began)
            try:
                answer = await connection.exchange(
                    request, max_body=max_body, deadline=began + self._timeouts.total
                )
            finally:
                self._keep(connection)
        finally:
            self._slots.release()
        return answer.decoded(max_body)

    async def aclose(self) -> None:
        """Close all connections; later requests end in ConnectError."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        connections = list(self._connections)
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.wait_lost()

    async def _take_slot(self, began: float) -> None:
        if not self._slots.locked():
            await self._slots.acquire()  # at once
            return
        try:
            async with asyncio.timeout_at(began + self._timeouts.connect):
                await self._slots.acquire()
        except TimeoutError as exc:
            raise httpx.PoolTimeout(Cause.NO_FREE_CONNECTION) from exc

    async def _new(self, began: float) -> Connection:
        if self._closed:
            raise httpx.ConnectError(_CLOSED)
        try:
            async with asyncio.timeout_at(began + self._timeouts.connect):
                connection = await self._dialler.dial()
        except TimeoutError as exc:
            raise httpx.ConnectTimeout(Cause.CONNECTION_LATE) from exc
        self._connections.add(connection)
        if self._closed or not connection.ready:
            self._drop(connection)
            raise httpx.ConnectError(_CLOSED if self._closed else Cause.HUNG_UP)
        return connection

    def _kept(self) -> Connection | None:
        """The connection that was used last, if it can be used again."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            since, connection = self._idle.pop()
            if connection.ready and since + self._keepalive_expiry > now and connection.quiet:
                return connection
            self._drop(connection)
        return None

    def _keep(self, connection: Connection) -> None:
        if not connection.ready:
            self._drop(connection)
            return
        loop = asyncio.get_running_loop()
        self._idle.append((loop.time(), connection))
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._keepalive_expiry, self._sweep)

    def _sweep(self) -> None:
        """Hang up what nobody has needed for a while; a gateway may have better uses for a connection."""
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0][0] + self._keepalive_expiry <= loop.time():
            self._drop(self._idle.popleft()[1])
        self._sweeping = loop.call_later(self._keepalive_expiry, self._sweep) if self._idle else None

    def _drop(self, connection: Connection) -> None:
        connection.abort()
        self._connections.discard(connection)
