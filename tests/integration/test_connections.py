"""Connections that are kept, given up, encrypted and tunnelled, against servers on loopback that do as they like."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
import pytest
import trustme

from dispatcher.gateway.transport import Timeouts, Transport
from dispatcher.gateway.wire import Answer
from tests.servers.ports import free_port
from tests.servers.scripted import Conversation, Script, Server, answering, http, once

T = TypeVar("T")
HELLO = http("200 OK", b"hello")
KEPT = 0.3  # seconds
TIMEOUTS = Timeouts(total=2.0, connect=1.0)


def run(test: Coroutine[object, object, T]) -> T:
    return asyncio.run(asyncio.wait_for(test, 30))


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


# --- requests ------------------------------------------------------------


def test_a_request_is_written_as_it_was_asked_for() -> None:
    async def test() -> list[bytes]:
        async with Server(answering(HELLO)).running() as server:
            async with transport(of(server) + "/behind/a/prefix/") as made:
                post = made.head("POST", "/ünd?skip=1&x=a b", {"Accept": "application/json"})
                await made.exchange(post, b"body", max_body=10)
                await made.exchange(post, b"", max_body=10)
                await made.exchange(made.head("GET", "/get", {}), max_body=10)
            port = str(server.port).encode()
            return [request.replace(port, b"PORT") for request in server.requests]

    start = b"POST /behind/a/prefix/%C3%BCnd?skip=1&x=a%20b HTTP/1.1\r\n"
    start += b"Host: 127.0.0.1:PORT\r\nAccept: application/json\r\n"
    assert run(test()) == [
        start + b"Content-Length: 4\r\n\r\nbody",
        start + b"Content-Length: 0\r\n\r\n",
        b"GET /behind/a/prefix/get HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
    ]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "tökén", "a\0b"])
def test_a_header_cannot_smuggle_another_one_in(value: str) -> None:
    async def test() -> None:
        async with transport("http://127.0.0.1:1") as made:
            with pytest.raises(ValueError, match="header"):
                made.head("GET", "/", {"X": value})

    run(test())


# --- kept connections ------------------------------------------------------------


def test_a_connection_is_used_again_but_not_for_ever() -> None:
    async def test() -> None:
        async with Server(answering(HELLO)).running() as server, transport(of(server)) as made:
            for _ in range(5):
                assert (await ask(made)).content == b"hello"
            assert server.connections == 1
            await asyncio.sleep(KEPT * 1.1)
            await ask(made)
            assert (server.connections, len(server.requests)) == (2, 6)

    run(test())


def test_a_connection_that_nobody_needs_is_hung_up() -> None:
    ended = asyncio.Event()

    async def until_the_end(talk: Conversation) -> None:
        await talk.request()
        await talk.write(HELLO)
        assert await talk.reader.read() == b""
        ended.set()

    async def test() -> None:
        async with Server(until_the_end).running() as server, transport(of(server)) as made:
            await ask(made)
            await asyncio.wait_for(ended.wait(), 10 * KEPT)

    run(test())


async def close_behind_the_answer(talk: Conversation) -> None:
    await talk.request()
    await talk.write(HELLO)


async def speak_unasked(talk: Conversation) -> None:
    await talk.request()
    await talk.write(HELLO)
    await asyncio.sleep(0.05)
    await talk.write(http("408 Request Timeout"))
    await talk.reader.read()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(close_behind_the_answer, id="closed"),
        pytest.param(speak_unasked, id="speaks unasked"),
        pytest.param(answering(http("200 OK", b"hello", "Connection: close")), id="announced"),
        pytest.param(answering(HELLO + b"x"), id="says too much"),
        pytest.param(answering(HELLO + HELLO), id="answers twice"),
        pytest.param(answering(HELLO.replace(b"HTTP/1.1", b"HTTP/1.0")), id="HTTP/1.0"),
        pytest.param(once(b"HTTP/1.1 200 OK\r\n\r\nhello"), id="ends its answer by closing"),
    ],
)
def test_a_connection_that_has_ended_is_no_doubt_for_the_next_request(script: Script) -> None:
    async def test() -> None:
        async with Server(script).running() as server, transport(of(server), keepalive_expiry=5) as made:
            for n in range(3):
                assert (await ask(made)).content == b"hello"
                assert (server.connections, len(server.requests)) == (n + 1, n + 1)
                await asyncio.sleep(0.15)

    run(test())


def test_no_more_connections_than_allowed_and_the_first_to_wait_is_first() -> None:
    order: list[int] = []

    async def slowly(talk: Conversation) -> None:
        while True:
            request = await talk.request()
            order.append(int(request.rpartition(b"\r\n\r\n")[2]))
            await asyncio.sleep(0.01)
            await talk.write(HELLO)

    async def test() -> None:
        async with Server(slowly).running() as server, transport(of(server), connections=2) as made:
            await asyncio.gather(*(ask(made, b"%d" % n) for n in range(20)))
            assert server.connections == 2
        assert [sorted(order[n : n + 2]) for n in range(0, 20, 2)] == [[n, n + 1] for n in range(0, 20, 2)]

    run(test())


def test_who_gives_up_waiting_takes_no_connection_from_the_others() -> None:
    go_on = asyncio.Event()

    async def when_told(talk: Conversation) -> None:
        while True:
            await talk.request()
            await go_on.wait()
            await talk.write(HELLO)

    async def test() -> None:
        async with Server(when_told).running() as server, transport(of(server), connections=1) as made:
            tasks = [asyncio.create_task(ask(made)) for _ in range(10)]
            await asyncio.sleep(0.1)
            for task in tasks[1:9]:
                task.cancel()
            go_on.set()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(end) for end in ended] == [Answer, *[asyncio.CancelledError] * 8, Answer]
            assert (await ask(made)).content == b"hello"
            assert (server.connections, len(server.requests)) == (1, 3)

    run(test())


@pytest.mark.parametrize("held", [True, False])
def test_closing_ends_what_waits_for_a_connection_too(held: bool) -> None:
    async def hang(talk: Conversation) -> None:
        await talk.reader.read()

    async def test() -> None:
        async with Server(hang).running() as server, transport(of(server), connections=1) as made:
            asking = [asyncio.create_task(ask(made)) for _ in range(3)]
            if held:
                await asyncio.sleep(0.1)
            await made.aclose()
            first, *others = await asyncio.gather(*asking, return_exceptions=True)
            assert isinstance(first, httpx.ReadError if held else httpx.ConnectError)
            assert [type(other) for other in others] == [httpx.ConnectError, httpx.ConnectError]

    run(test())


# --- names ------------------------------------------------------------


def test_a_name_with_addresses_where_nobody_listens_is_reached() -> None:
    """localhost may be ::1 first, where the server does not listen."""

    async def test() -> bytes:
        async with (
            Server(answering(HELLO)).running() as server,
            transport(of(server, host="localhost")) as made,
        ):
            return (await ask(made)).content

    assert run(test()) == b"hello"


def test_a_name_is_looked_up_once_for_connections_made_together(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> int:
        lookups: list[object] = []
        loop = asyncio.get_running_loop()
        look_up = loop.getaddrinfo

        async def counted(*args: object, **kwargs: object) -> object:
            lookups.append(args)
            return await look_up(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(loop, "getaddrinfo", counted)
        async with Server(answering(HELLO)).running() as server:
            async with transport(of(server, host="localhost"), connections=20) as made:
                await asyncio.gather(*(ask(made) for _ in range(20)))
            assert server.connections == 20
        return len(lookups)

    assert run(test()) == 1


def test_a_name_that_was_not_found_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> bytes:
        loop = asyncio.get_running_loop()
        look_up = loop.getaddrinfo
        known = False

        async def sometimes(host: str, port: int, **kwargs: int) -> object:
            return await look_up("127.0.0.1" if known else "nowhere.invalid", port, **kwargs)

        monkeypatch.setattr(loop, "getaddrinfo", sometimes)
        async with (
            Server(answering(HELLO)).running() as server,
            transport(of(server, host="gateway.example")) as made,
        ):
            with pytest.raises(httpx.ConnectError, match="the host name was not found"):
                await ask(made)
            known = True
            return (await ask(made)).content

    assert run(test()) == b"hello"


# --- TLS and proxies ------------------------------------------------------------


class Authority:
    """Signs certificates, and is trusted by ``client``."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.client = ssl.create_default_context()
        self._ca.configure_trust(self.client)

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def test_requests_go_over_tls_and_connections_are_kept(authority: Authority) -> None:
    async def test() -> None:
        script = Server(answering(HELLO), authority.server("127.0.0.1"))
        async with script.running() as server:
            async with transport(of(server, "https"), ssl_context=authority.client) as made:
                answers = [await ask(made) for _ in range(3)]
            assert {answer.content for answer in answers} == {b"hello"}
            assert (server.connections, len(server.requests)) == (1, 3)

    run(test())


def test_a_long_answer_comes_over_tls(authority: Authority) -> None:
    async def test() -> int:
        long = http("200 OK", b"x" * 1_000_000)
        async with (
            Server(answering(long), authority.server("127.0.0.1")).running() as server,
            transport(of(server, "https"), ssl_context=authority.client) as made,
        ):
            answer = await made.exchange(made.head("GET", "/", {}), max_body=1_000_000)
            return len(answer.content)

    assert run(test()) == 1_000_000


@pytest.mark.parametrize(
    ("names", "trusted", "reason"),
    [
        (["other.example"], True, "the TLS certificate was not accepted"),
        (["127.0.0.1"], False, "the TLS certificate was not accepted"),
    ],
)
def test_a_stranger_is_told_nothing(
    authority: Authority, names: list[str], trusted: bool, reason: str
) -> None:
    async def test() -> None:
        async with Server(answering(HELLO), authority.server(*names)).running() as server:
            client = authority.client if trusted else ssl.create_default_context()
            async with transport(of(server, "https"), ssl_context=client) as made:
                with pytest.raises(httpx.ConnectError, match=reason):
                    await ask(made)
            assert server.requests == []

    run(test())


def test_closing_does_not_wait_for_a_server_that_hangs(authority: Authority) -> None:
    async def hang(talk: Conversation) -> None:
        await talk.request()
        await asyncio.sleep(3600)

    async def test() -> None:
        async with (
            Server(hang, authority.server("127.0.0.1")).running() as server,
            transport(of(server, "https"), ssl_context=authority.client) as made,
        ):
            asking = asyncio.create_task(ask(made))
            while not server.requests:
                await asyncio.sleep(0.01)
            await asyncio.wait_for(made.aclose(), 5)
            with pytest.raises(httpx.ReadError):
                await asking

    run(test())


def tunnelling(port: int) -> Script:
    """A proxy that takes everybody to ``port``, whatever name they ask for."""

    async def script(talk: Conversation) -> None:
        await talk.request()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await talk.write(b"HTTP/1.1 200 Connection established\r\nVia: a proxy\r\n\r\n")

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
            target.close()

        try:
            await asyncio.gather(pump(talk.reader, writer), pump(reader, talk.writer))
        finally:
            writer.close()

    return script


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("credentials", "user"), [("", None), ("us%40er:pa%3A55@", b"us@er:pa:55")])
def test_a_tunnel_leads_to_the_gateway_itself(
    authority: Authority, scheme: str, credentials: str, user: bytes | None
) -> None:
    async def test() -> None:
        async with Server(answering(HELLO), authority.server("gateway.example")).running() as server:
            context = authority.server("127.0.0.1") if scheme == "https" else None
            async with Server(tunnelling(server.port), context).running() as proxy:
                through = of(proxy, scheme, f"{credentials}127.0.0.1")
                async with transport(
                    "https://gateway.example", ssl_context=authority.client, proxy=through
                ) as made:
                    answers = [await ask(made) for _ in range(3)]
                assert {answer.content for answer in answers} == {b"hello"}
                assert (proxy.connections, server.connections, len(server.requests)) == (1, 1, 3)
                head = proxy.requests[0].split(b"\r\n")
                assert head[:2] == [
                    b"CONNECT gateway.example:443 HTTP/1.1",
                    b"Host: gateway.example:443",
                ]
                sent = [line for line in head if line.startswith(b"Proxy-Authorization")]
                assert sent == ([b"Proxy-Authorization: Basic " + base64.b64encode(user)] if user else [])
                # the gateway's requests are the gateway's alone
                assert not any(b"Proxy-" in request for request in server.requests)

    run(test())


def test_what_is_at_the_end_of_a_tunnel_must_be_the_gateway(authority: Authority) -> None:
    async def test() -> None:
        async with Server(answering(HELLO), authority.server("other.example")).running() as server:
            async with (
                Server(tunnelling(server.port)).running() as proxy,
                transport("https://gateway.example", ssl_context=authority.client, proxy=of(proxy)) as made,
            ):
                with pytest.raises(httpx.ConnectError, match="the TLS certificate was not accepted"):
                    await ask(made)
            assert server.requests == []

    run(test())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http("407 Proxy Authentication Required"), "it answered 407"),
        (http("200 OK").replace(b"HTTP/1.1", b"SSH-2.0"), "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nVia: ", "the other side hung up"),
    ],
)
def test_a_proxy_that_makes_no_tunnel_was_told_nothing(
    authority: Authority, answer: bytes, reason: str
) -> None:
    async def test() -> None:
        async with Server(once(answer)).running() as proxy:
            async with transport(
                "https://gateway.example", ssl_context=authority.client, proxy=of(proxy)
            ) as made:
                with pytest.raises(httpx.ProxyError, match=reason):
                    await ask(made)
            assert [request.split(b" ")[0] for request in proxy.requests] == [b"CONNECT"]

    run(test())


def test_a_proxy_that_is_not_there() -> None:
    async def test() -> None:
        context = ssl.create_default_context()
        proxy = f"http://127.0.0.1:{free_port()}"
        async with transport("https://gateway.example", ssl_context=context, proxy=proxy) as made:
            with pytest.raises(httpx.ProxyError, match="refused"):
                await ask(made)

    run(test())
