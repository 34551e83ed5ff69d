"""Where a connection is made to: names, ports and addresses of IPv6, as a URL has them; nothing is connected here."""

from __future__ import annotations

import asyncio
import socket
import ssl

import httpx
import pytest

from dispatcher.gateway.causes import Cause
from dispatcher.gateway.dialling import Dialler
from tests.servers.scripted import Conversation, Server, http


@pytest.mark.parametrize(
    ("origin", "proxy", "asked"),
    [
        ("http://gateway.example", None, ("gateway.example", 80)),
        ("https://gateway.example", None, ("gateway.example", 443)),
        ("https://gateway.example:8443", None, ("gateway.example", 8443)),
        ("https://gäteway.example", None, ("xn--gteway-bua.example", 443)),
        ("https://[2001:db8::1]:9", None, ("2001:db8::1", 9)),
        ("https://gateway.example", "http://proxy.example", ("proxy.example", 80)),
        ("https://gateway.example", "https://proxy.example", ("proxy.example", 443)),
        ("https://gateway.example", "http://proxy.example:3128", ("proxy.example", 3128)),
    ],
)
def test_who_is_looked_up(
    origin: str, proxy: str | None, asked: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups: list[object] = []

    async def unknown(host: str, port: int, **_: int) -> object:
        lookups.append((host, port))
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async def test() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
        through = httpx.URL(proxy) if proxy else None
        dialler = Dialler(httpx.URL(origin), ssl_context=ssl.create_default_context(), proxy=through)
        with pytest.raises((httpx.ConnectError, httpx.ProxyError), match=Cause.HOST_UNKNOWN):
            await dialler.dial()

    asyncio.run(test())
    assert lookups == [asked]


@pytest.mark.parametrize(
    ("origin", "authority"),
    [
        ("https://gateway.example", b"gateway.example:443"),
        ("https://192.0.2.1:8443", b"192.0.2.1:8443"),
        ("https://[2001:db8::1]", b"[2001:db8::1]:443"),
    ],
)
def test_whom_a_proxy_is_asked_for(origin: str, authority: bytes) -> None:
    async def refuse(talk: Conversation) -> None:
        await talk.request()
        await talk.write(http("403 Forbidden"))

    async def test() -> None:
        async with Server(refuse).running() as server:
            proxy = httpx.URL(f"http://:only-a-password@127.0.0.1:{server.port}")
            dialler = Dialler(httpx.URL(origin), ssl_context=ssl.create_default_context(), proxy=proxy)
            with pytest.raises(httpx.ProxyError, match=Cause.PROXY_ANSWERED.of(403)):
                await dialler.dial()
            assert server.requests == [
                b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n" % (authority, authority)
                + b"Proxy-Authorization: Basic Om9ubHktYS1wYXNzd29yZA==\r\n\r\n"
            ]

    asyncio.run(test())


def test_reasons_that_differ_by_address_are_not_told_as_a_class_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def several(*_: object, **__: object) -> object:
        raise OSError("Multiple exceptions: [Errno 101] …, [Errno 111] …")

    async def test() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", several)
        dialler = Dialler(httpx.URL("http://gateway.example"), ssl_context=None, proxy=None)
        with pytest.raises(httpx.ConnectError, match=Cause.CONNECTION_REFUSED):
            await dialler.dial()

    asyncio.run(test())
