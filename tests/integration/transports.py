"""A transport to a server on loopback, and what tests say through it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx

from dispatcher.gateway.transport import Timeouts, Transport
from dispatcher.gateway.wire import Answer
from tests.servers.scripted import Conversation, Script, Server, http

T = TypeVar("T")
HELLO = http("200 OK", b"hello")
KEPT = 0.3  # seconds
TIMEOUTS = Timeouts(total=20.0, connect=10.0)  # nothing here is meant to run out of time


def run(test: Coroutine[object, object, T]) -> T:
    unhandled: list[object] = []

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        return await asyncio.wait_for(test, 30)

    result = asyncio.run(watched())
    assert unhandled == []
    return result


@asynccontextmanager
async def transport(
    origin: str,
    *,
    connections: int = 4,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = None,
    keepalive_expiry: float = KEPT,
) -> AsyncIterator[Transport]:
    made = Transport(
        httpx.URL(origin),
        connections=connections,
        ssl_context=ssl_context,
        proxy=None if proxy is None else httpx.URL(proxy),
        keepalive_expiry=keepalive_expiry,
        timeouts=TIMEOUTS,
    )
    try:
        yield made
    finally:
        await made.aclose()


async def ask(transport: Transport, content: bytes | None = b"{}") -> Answer:
    return await transport.exchange(transport.head("POST", "/path", {}), content, max_body=1000)


def of(server: Server, scheme: str = "http", host: str = "127.0.0.1") -> str:
    return f"{scheme}://{host}:{server.port}"


def answering_when(go_on: asyncio.Event) -> Script:
    async def script(talk: Conversation) -> None:
        while True:
            await talk.request()
            await go_on.wait()
            await talk.write(HELLO)

    return script
