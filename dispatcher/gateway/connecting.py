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
    """Connections to ``base_url``; ``timeout`` is seconds for a request as a whole.

    ``ca_file`` (PEM) is trusted in addition to the public authorities.  ``proxy`` is not used for loopback addresses.
    Raises UsageError for either when it cannot be used.
    """
    origin, through = _address(base_url), None if proxy is None else _address(proxy)
    if origin is None:
        raise UsageError("gateway_url_invalid", found=masked(base_url))
    if proxy is not None and through is None:
        raise UsageError("gateway_proxy_invalid", found=masked(proxy))
    return Transport(
        origin,
        connections=connections,
        ssl_context=_ssl_context(ca_file) if origin.scheme == "https" else None,
        proxy=None if is_loopback(base_url) else through,
        timeouts=Timeouts.within(timeout),
    )


def _address(url: str) -> httpx.URL | None:
    """The URL, if it names a host that HTTP can be spoken with."""
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    usable = read.scheme in ("http", "https") and read.host and (read.port or 0) < 65_536
    return read if usable else None


def check_base_url(url: str) -> None:
    """Raise UsageError unless ``url`` is https, or http on loopback, with a host and nothing but a path
    after it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # an unreadable port raises here
    except ValueError:
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
