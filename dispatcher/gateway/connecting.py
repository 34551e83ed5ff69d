"""The connections of one client to one host: which address may have secrets, and who is trusted to be it."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from dispatcher.errors import UsageError
from dispatcher.gateway.transport import Timeouts, Transport
from dispatcher.settings import is_loopback, masked

_LAST_PORT = 65_535


class Connected:
    """A client over a transport of its own, which is closed at the end of an ``async with`` block."""

    _transport: Transport

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def open_transport(
    base_url: str, *, connections: int, timeout: float, proxy: str | None, ca_file: Path | None
) -> Transport:
    """Connections to ``base_url``, which was checked; ``timeout`` is seconds for a request as a whole.

    ``ca_file`` (PEM) is trusted in addition to the public authorities.  ``proxy`` is not used for loopback addresses.
    Raises UsageError for either when it cannot be used.
    """
    origin, through = httpx.URL(base_url), None if proxy is None else _proxy(proxy)
    return Transport(
        origin,
        connections=connections,
        ssl_context=_ssl_context(ca_file) if origin.scheme == "https" else None,
        proxy=None if is_loopback(base_url) else through,
        timeouts=Timeouts.within(timeout),
    )


def _proxy(url: str) -> httpx.URL:
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        raise UsageError("gateway_proxy_invalid", found=masked(url)) from None
    if read.scheme not in ("http", "https") or not read.host or (read.port or 0) > _LAST_PORT:
        raise UsageError("gateway_proxy_invalid", found=masked(url))
    return read


def check_base_url(url: str) -> None:
    """Raise UsageError unless ``url`` is https, or http on loopback, with a host and nothing but a path
    after it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # an unreadable port raises here
        httpx.URL(url)  # and a host name that cannot be one
    except (ValueError, httpx.InvalidURL):
        raise UsageError("gateway_url_invalid", found=masked(url)) from None
    if parts.username is not None or parts.password is not None:
        raise UsageError("gateway_url_invalid", found=masked(url))
    if not host or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise UsageError("gateway_url_invalid", found=url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise UsageError("gateway_url_insecure", found=url)


def _ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError):
            raise UsageError("gateway_ca_file", file=str(ca_file)) from None
    return context
