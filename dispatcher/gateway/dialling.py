"""Making a connection.  Nothing of a request is written here, so whatever fails here proves that it never left.

Addresses are tried as RFC 8305 says (aiohappyeyeballs): a broken IPv6 costs a quarter of a second, not the time-out.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

import httpx
from aiohappyeyeballs import AddrInfoType, start_connection

from dispatcher.gateway.causes import Cause, not_connected
from dispatcher.gateway.wire import Connection

_HEAD_START = 0.25  # seconds, of one address before the next (RFC 8305)
_ADDRESSES_HOLD = 10.0  # seconds; many connections are made within a moment
_MAX_PROXY_ANSWER = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
_HEAD_END = b"\r\n\r\n"
_PORTS = {"http": 80, "https": 443}

# what sockets, TLS and names fail with; a name may be one that cannot be encoded
_FAILURES = (OSError, UnicodeError)

_AnyProtocol = TypeVar("_AnyProtocol", bound=asyncio.BaseProtocol)


class Dialler:
    """Makes connections to ``origin``; through ``proxy``, if there is one, in a tunnel.

    ``ssl_context`` is for whichever of the two is https.  Only an https origin may have a proxy.
    """

    def __init__(
        self, origin: httpx.URL, *, ssl_context: ssl.SSLContext | None, proxy: httpx.URL | None
    ) -> None:
        self._origin = _Host(origin, ssl_context)
        self._proxy = _Host(proxy, ssl_context) if proxy is not None else None
        self._credentials = _credentials(proxy) if proxy is not None else ""

    async def dial(self) -> Connection:
        """A connection over which nothing was said yet, TLS done.  Raises ConnectError and ProxyError."""
        try:
            if self._proxy is None:
                return await self._origin.connect(Connection)
            return await self._through(await self._tunnel(self._proxy))
        except _FAILURES as exc:
            raise httpx.ConnectError(not_connected(exc)) from exc

    async def _tunnel(self, proxy: _Host) -> asyncio.Transport:
        target = self._origin.authority
        request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{self._credentials}\r\n"
        try:
            tunnel = await proxy.connect(_Tunnel)
        except _FAILURES as exc:
            raise httpx.ProxyError(Cause.PROXY_NOT_CONNECTED.of(not_connected(exc))) from exc
        return await tunnel.opened(request.encode("ascii"))

    async def _through(self, tunnel: asyncio.Transport) -> Connection:
        assert self._origin.ssl is not None
        connection = Connection()
        try:
            transport = await asyncio.get_running_loop().start_tls(
                tunnel, connection, self._origin.ssl, server_hostname=self._origin.name
            )
        except TypeError as exc:  # asyncio of some versions, when TLS inside of TLS breaks off
            raise ConnectionResetError from exc
        if transport is None:  # asyncio: the proxy hung up during the handshake
            raise ConnectionResetError
        connection.connection_made(transport)
        return connection


class _Host:
    """One host to connect to; its addresses are looked up once for all connections of a few seconds."""

    def __init__(self, url: httpx.URL, ssl_context: ssl.SSLContext | None) -> None:
        self.name = url.raw_host.decode("ascii")
        self.port = _PORTS[url.scheme] if url.port is None else url.port
        self.ssl = ssl_context if url.scheme == "https" else None
        self._lookup: asyncio.Task[list[AddrInfoType]] | None = None
        self._looked_up = 0.0

    @property
    def authority(self) -> str:
        """The name with the port, as a request for a tunnel needs it."""
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"

    async def connect(self, protocol: Callable[[], _AnyProtocol]) -> _AnyProtocol:
        sock = await start_connection(await self._addresses(), happy_eyeballs_delay=_HEAD_START)
        try:
            _, connected = await asyncio.get_running_loop().create_connection(
                protocol, sock=sock, ssl=self.ssl, server_hostname=self.name if self.ssl else None
            )
        except UnicodeError:
            sock.close()  # asyncio leaves it open when the name is none that TLS can ask for
            raise
        return connected

    async def _addresses(self) -> list[AddrInfoType]:
        loop = asyncio.get_running_loop()
        if self._lookup is None or _failed(self._lookup) or self._looked_up + _ADDRESSES_HOLD < loop.time():
            self._lookup, self._looked_up = loop.create_task(self._look_up()), loop.time()
            self._lookup.add_done_callback(_failed)  # perhaps everybody has given up by then
        # who gives up waiting leaves it to the others
        return await asyncio.shield(self._lookup)

    async def _look_up(self) -> list[AddrInfoType]:
        found = await asyncio.get_running_loop().getaddrinfo(self.name, self.port, type=socket.SOCK_STREAM)
        return list(found)


class _Tunnel(asyncio.Protocol):
    """The talk with a proxy before it passes everything on."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def opened(self, request: bytes) -> asyncio.Transport:
        """The connection, once the proxy has agreed.  Raises ProxyError."""
        if self._transport is None:
            raise httpx.ProxyError(Cause.PROXY_HUNG_UP)
        self._transport.write(request)
        try:
            await self._answered
            if not self._complete:
                raise httpx.ProxyError(Cause.PROXY_HUNG_UP)
            status = _STATUS_LINE.match(self._head)
            if status is None or _HEAD_END not in self._head:
                raise httpx.ProxyError(Cause.PROXY_NOT_HTTP)
            if not status[1].startswith(b"2"):
                raise httpx.ProxyError(Cause.PROXY_ANSWERED.of(int(status[1])))
        except BaseException:
            self._transport.abort()
            raise
        return self._transport

    @property
    def _complete(self) -> bool:
        return _HEAD_END in self._head or len(self._head) > _MAX_PROXY_ANSWER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if self._complete and not self._answered.done():
            self._answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_result(None)


def _failed(lookup: asyncio.Task[list[AddrInfoType]]) -> bool:
    return lookup.done() and (lookup.cancelled() or lookup.exception() is not None)


def _credentials(proxy: httpx.URL) -> str:
    if not proxy.username and not proxy.password:
        return ""
    encoded = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    return f"Proxy-Authorization: Basic {encoded}\r\n"
