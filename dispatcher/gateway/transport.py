"""One HTTP request over aiohttp, exactly once; what goes wrong is told in httpx's exceptions.

Why not httpx itself: its pool walks all connections for every request and spends ten times the CPU at 64 in
flight, and its requests and answers alone are much of a sender's work.  Why not a ready-made bridge: the
difference between "never left" and "we do not know" must not depend on the names that aiohttp gives its
exceptions.  Here it depends on the PLACE: what fails inside the connector's ``connect`` was never written to a
gateway; everything after it is in doubt.
"""

from __future__ import annotations

import errno
import math
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import httpx
from aiohttp.http import HttpProcessingError
from yarl import URL

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_FOREIGN = (aiohttp.ClientError, HttpProcessingError, OSError, EOFError, UnicodeError)


def address(url: str) -> URL:
    """Where requests go; read once and kept, because taking a URL apart is a tenth of what a request costs.

    Raises httpx.InvalidURL.
    """
    return URL(str(httpx.URL(url)), encoded=True)


class Answer(NamedTuple):
    """An answer read to its end; ``headers`` finds a name in any case, ``content`` is decompressed."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


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


class _NeverLeft(Exception):
    """No connection came about; the cause says why."""


class _Interrupted(Exception):
    """Something failed once there was a connection; the cause says what."""


class _Connector(aiohttp.TCPConnector):
    """Marks every failure to get a connection, by its place."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        try:
            return await super().connect(req, traces, timeout)
        except _FOREIGN as exc:
            raise _NeverLeft from exc


async def _exactly_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # aiohttp sends an idempotent request again when a kept-alive connection turns out dead, without a slot
    # of the pace.  It recognises that case by exception class; under another name there is nothing to
    # recognise.
    try:
        return await handler(request)
    except _FOREIGN as exc:
        raise _Interrupted from exc


class AiohttpTransport:
    """Sends each request exactly once: no retries, redirects, cookies, environment proxies or HTTP/2.

    Raises only httpx exceptions.  ConnectError, ConnectTimeout, PoolTimeout and ProxyError mean that
    nothing of the request was written; all others leave that open.  Belongs to the event loop of its first
    request. ``keepalive_expiry`` (seconds) has to be shorter than the server's.
    """

    def __init__(
        self,
        *,
        connections: int,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        keepalive_expiry: float = 4.0,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._connections = connections
        self._ssl = ssl_context
        self._proxy = proxy
        self._keepalive_expiry = keepalive_expiry
        limits = timeouts or Timeouts()
        self._timeout = aiohttp.ClientTimeout(
            total=limits.total, connect=limits.connect, sock_connect=limits.connect, ceil_threshold=math.inf
        )
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._in_flight = 0

    async def exchange(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        content: bytes | None = None,
        *,
        max_body: int,
    ) -> Answer:
        """The answer, read to its end; one longer than ``max_body`` bytes ends in RemoteProtocolError."""
        session = self._open_session()
        self._in_flight += 1
        try:
            async with session.request(
                method,
                url,
                data=content or None,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
            ) as answer:
                return Answer(answer.status, answer.headers, await _read(answer, max_body))
        except _NeverLeft as exc:
            raise self._connect_error(exc.__cause__) from exc
        except (_Interrupted, *_FOREIGN) as exc:
            cause = exc.__cause__ if isinstance(exc, _Interrupted) else exc
            raise interruption(cause) from exc
        finally:
            self._in_flight -= 1

    async def aclose(self) -> None:
        """Close all connections; later requests end in ConnectError."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise httpx.ConnectError("the client is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(
                    limit=self._connections,
                    keepalive_timeout=self._keepalive_expiry,
                    ssl=self._ssl if self._ssl is not None else True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                trust_env=False,
                middlewares=(_exactly_once,),
            )
        return self._session

    def _connect_error(self, cause: BaseException | None) -> httpx.TransportError:
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return httpx.ProxyError(f"it answered {cause.status}")
        if isinstance(cause, aiohttp.ClientProxyConnectionError):
            return httpx.ProxyError(_reason(cause))
        if isinstance(cause, TimeoutError):
            return httpx.PoolTimeout("") if self._in_flight > self._connections else httpx.ConnectTimeout("")
        return httpx.ConnectError(_reason(cause))


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    stream = answer.content
    first = await stream.readany()  # nearly always all of it
    if stream.at_eof() and len(first) <= limit:
        return first
    body = bytearray(first)
    while not stream.at_eof() and len(body) <= limit:
        body += await stream.readany()
    if len(body) > limit:
        answer.close()
        raise aiohttp.ClientPayloadError("the answer is too long")
    return bytes(body)


def interruption(cause: BaseException | None) -> httpx.TransportError:
    """The httpx exception for a failure after the connection was there; all that come out mean "in doubt"."""
    if isinstance(cause, TimeoutError):
        return httpx.ReadTimeout("no answer in time")
    if isinstance(cause, aiohttp.ClientConnectionResetError):  # aiohttp: "cannot write to closing transport"
        return httpx.WriteError("the connection was closing")
    if isinstance(cause, aiohttp.ClientConnectionError | OSError) and not isinstance(
        cause, aiohttp.ServerDisconnectedError
    ):
        return httpx.ReadError("the connection broke")
    return httpx.RemoteProtocolError("no proper answer")


def _reason(cause: BaseException | None) -> str:
    """Why there is no connection, without addresses: a proxy's may hold a password."""
    inner: BaseException | None = cause
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return "the host name was not found"
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        inner = cause.certificate_error
    elif isinstance(cause, aiohttp.ClientConnectorError):
        inner = cause.os_error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"the TLS certificate was not accepted ({inner.verify_message})"
    if isinstance(inner, ssl.SSLError):
        return f"the TLS handshake failed ({inner.reason})"
    if isinstance(inner, OSError) and inner.errno is not None and inner.errno in errno.errorcode:
        return os.strerror(inner.errno).lower()
    return type(inner).__name__
