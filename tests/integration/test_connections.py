"""Connections that are kept, given up, encrypted and tunnelled, against servers on loopback that do as they like."""

from __future__ import annotations

import asyncio
import base64
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
import pytest
import trustme

from dispatcher.gateway.transport import Timeouts, Transport
from dispatcher.gateway.wire import Answer, Connection
from tests.servers.ports import free_port
from tests.servers.scripted import Conversation, Script, Server, answering, http, once

T = TypeVar("T")
HELLO = http("200 OK", b"hello")
KEPT = 0.3  # seconds
TIMEOUTS = Timeouts(total=2.0, connect=1.0)


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


# --- what an exchange ends in ------------------------------------------------------------


@asynccontextmanager
async def connected(script: Script) -> AsyncIterator[Connection]:
    async with Server(script).running() as server:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", server.port)
        yield connection
        connection.abort()
        await connection.wait_lost()


def exchange(connection: Connection, *, seconds: float = 20.0) -> Coroutine[object, object, Answer]:
    deadline = asyncio.get_running_loop().time() + seconds
    return connection.exchange(b"GET / HTTP/1.1\r\n\r\n", max_body=10, deadline=deadline)


async def hang(talk: Conversation) -> None:
    await talk.request()
    await talk.reader.read()


async def say_nothing(talk: Conversation) -> None:
    await talk.request()


async def reset(talk: Conversation) -> None:
    await talk.request()
    talk.reset()


@pytest.mark.parametrize(
    ("script", "seconds", "error"),
    [
        pytest.param(hang, 0.0, httpx.ReadTimeout, id="hangs"),
        pytest.param(reset, 20.0, httpx.ReadError, id="resets"),
        pytest.param(say_nothing, 20.0, httpx.RemoteProtocolError, id="closes"),
        pytest.param(answering(b"220 mail.example ESMTP\r\n"), 20.0, httpx.RemoteProtocolError, id="no HTTP"),
    ],
)
def test_how_an_exchange_ends_is_told_apart(
    script: Script, seconds: float, error: type[httpx.TransportError]
) -> None:
    async def test() -> None:
        async with connected(script) as connection:
            with pytest.raises(httpx.TransportError) as caught:
                await exchange(connection, seconds=seconds)
            assert type(caught.value) is error
            assert not connection.ready

    run(test())


def test_what_comes_before_anybody_has_seen_the_end_changes_nothing() -> None:
    """The event loop may have all of it to tell before it lets a task go on."""

    async def test() -> None:
        async with connected(hang) as connection:
            asking = asyncio.create_task(exchange(connection))
            await asyncio.sleep(0)
            connection.data_received(HELLO)
            connection.data_received(http("500 Oops"))
            connection.eof_received()
            assert (await asking).content == b"hello"
            assert not connection.ready
        async with connected(hang) as connection:
            asking = asyncio.create_task(exchange(connection))
            await asyncio.sleep(0)
            connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nhel")
            asking.cancel()
            connection.eof_received()
            connection.data_received(b"lo")
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert not connection.ready

    run(test())


# --- time-outs ------------------------------------------------------------


@pytest.mark.parametrize(("total", "connect"), [(1.0, 0.5), (20.0, 10.0), (60.0, 10.0)])
def test_a_connection_has_less_time_than_the_request(total: float, connect: float) -> None:
    assert Timeouts.within(total) == Timeouts(total=total, connect=connect)


def test_the_wait_for_a_connection_counts_against_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = asyncio.Event()
    deadlines: list[float] = []
    exchange = Connection.exchange

    async def noted(self: Connection, request: bytes, *, max_body: int, deadline: float) -> Answer:
        deadlines.append(deadline)
        return await exchange(self, request, max_body=max_body, deadline=deadline)

    async def test() -> None:
        monkeypatch.setattr(Connection, "exchange", noted)
        script = answering_when(go_on)
        async with Server(script).running() as server, transport(of(server), connections=1) as made:
            first = asyncio.create_task(ask(made))
            while not server.requests:
                await asyncio.sleep(0)
            second = asyncio.create_task(ask(made))
            await asyncio.sleep(0)
            waiting_since = asyncio.get_running_loop().time()
            go_on.set()
            await asyncio.gather(first, second)
            assert deadlines[1] <= waiting_since + TIMEOUTS.total

    run(test())


def test_the_deadline_of_one_request_is_not_the_next_ones() -> None:
    go_on = asyncio.Event()
    go_on.set()

    async def test() -> None:
        loop = asyncio.get_running_loop()
        async with connected(answering_when(go_on)) as connection:
            soon = loop.time() + 0.5
            await exchange(connection, seconds=0.5)
            go_on.clear()
            loop.call_at(soon + 0.01, go_on.set)
            assert (await exchange(connection)).content == b"hello"

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
            assert len(made._connections) == 1

    run(test())


def test_what_was_used_last_is_used_again_so_that_the_others_can_go() -> None:
    callers: list[object] = []

    async def noting(talk: Conversation) -> None:
        while True:
            await talk.request()
            callers.append(talk.writer.get_extra_info("peername"))
            await talk.write(HELLO)

    async def test() -> None:
        async with Server(noting).running() as server, transport(of(server), keepalive_expiry=20) as made:
            await asyncio.gather(*(ask(made) for _ in range(3)))
            for _ in range(4):
                await ask(made)
        assert (len(set(callers[:3])), len(set(callers[3:]))) == (3, 1)

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


def test_each_connection_is_hung_up_in_its_time() -> None:
    async def later_and_later(talk: Conversation) -> None:
        request = await talk.request()
        await asyncio.sleep(float(request.rpartition(b"\r\n\r\n")[2]))
        await talk.write(HELLO)
        await talk.reader.read()

    async def test() -> None:
        async with Server(later_and_later).running() as server, transport(of(server)) as made:
            await asyncio.gather(*(ask(made, b"%f" % (KEPT * n)) for n in (0, 0.5, 0.9)))
            while made._connections:
                await asyncio.sleep(0.01)
            assert (server.connections, made._sweeping) == (3, None)

    run(test())


async def close_at_once(talk: Conversation) -> None:
    pass


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
                assert len(made._connections) <= 1
                await asyncio.sleep(0.15)

    run(test())


@pytest.mark.parametrize("gives_up", ["by itself", "told to"])
def test_the_rest_of_an_answer_is_not_the_next_ones(gives_up: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def in_two(talk: Conversation) -> None:
        await talk.request()
        await talk.write(http("200 OK", b"x" * 1001, length=2000))
        begun.set()
        await go_on.wait()
        await talk.write(b"x" * 999 + HELLO)
        await talk.reader.read()

    async def test() -> None:
        async with Server(in_two).running() as server, transport(of(server)) as made:
            head = made.head("POST", "/path", {})
            max_body = 1000 if gives_up == "by itself" else 2000
            asking = asyncio.create_task(made.exchange(head, b"{}", max_body=max_body))
            await begun.wait()
            if gives_up == "told to":
                (connection,) = made._connections
                while connection._reader is None or not connection._reader.keeps_alive:
                    await asyncio.sleep(0)
                asking.cancel()
            with pytest.raises((httpx.RemoteProtocolError, asyncio.CancelledError)):
                await asking
            server.script = answering(HELLO)
            go_on.set()
            assert (await ask(made)).content == b"hello"
            assert (server.connections, len(server.requests)) == (2, 2)

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

    async def test() -> None:
        script = answering_when(go_on)
        async with Server(script).running() as server, transport(of(server), connections=1) as made:
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


def test_nothing_is_sent_over_a_connection_that_comes_after_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        looking_up, go_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        look_up = loop.getaddrinfo

        async def late(host: str, port: int, **kwargs: int) -> object:
            looking_up.set()
            await go_on.wait()
            return await look_up(host, port, **kwargs)

        monkeypatch.setattr(loop, "getaddrinfo", late)
        async with (
            Server(answering(HELLO)).running() as server,
            transport(of(server, host="localhost")) as made,
        ):
            asking = asyncio.create_task(ask(made))
            await looking_up.wait()
            await made.aclose()
            go_on.set()
            with pytest.raises(httpx.ConnectError, match="the client is closed"):
                await asking
            assert (server.requests, made._connections) == ([], set())

    run(test())


def test_a_closed_client_connects_to_nobody() -> None:
    async def test() -> None:
        async with transport(f"http://127.0.0.1:{free_port()}") as made:
            await made.aclose()
            with pytest.raises(httpx.ConnectError, match="the client is closed"):
                await ask(made)

    run(test())


def test_closed_connections_are_no_more() -> None:
    async def test() -> None:
        async with Server(answering(HELLO)).running() as server, transport(of(server)) as made:
            await asyncio.gather(ask(made), ask(made))
            connections = list(made._connections)
            await made.aclose()
            assert [connection._lost.done() for connection in connections] == [True, True]
            await made.aclose()

    run(test())


def test_closing_can_be_given_up_and_tried_again() -> None:
    async def test() -> None:
        async with Server(answering(HELLO)).running() as server, transport(of(server)) as made:
            await ask(made)
            closing = asyncio.create_task(made.aclose())
            await asyncio.sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            await made.aclose()

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


def test_who_hangs_up_with_the_handshake_is_told_nothing(authority: Authority) -> None:
    """Up to TLS 1.2 the server has the last word of it, and may say goodbye in the same breath."""

    async def test() -> None:
        context = authority.server("127.0.0.1")
        context.maximum_version = ssl.TLSVersion.TLSv1_2

        async with (
            Server(close_at_once, context).running() as server,
            transport(of(server, "https"), ssl_context=authority.client) as made,
        ):
            with pytest.raises(httpx.ConnectError, match="the other side hung up"):
                await ask(made)
            assert made._connections == set()

    run(test())


def test_no_request_goes_into_tls_that_ended_without_a_goodbye(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready: list[bool] = []
    eof_received = Connection.eof_received

    def noted(self: Connection) -> None:
        eof_received(self)
        ready.append(self.ready)

    async def vanish(talk: Conversation) -> None:
        await talk.request()
        await talk.write(HELLO)
        await talk.request()
        talk.writer.transport.abort()

    async def test() -> None:
        async with (
            Server(vanish, authority.server("127.0.0.1")).running() as server,
            transport(of(server, "https"), ssl_context=authority.client) as made,
        ):
            await ask(made)
            (connection,) = made._connections
            assert connection._transport is not None
            connection._transport.write(b"GET / HTTP/1.1\r\n\r\n")  # makes the server vanish
            await connection.wait_lost()
        assert ready == [False]

    monkeypatch.setattr(Connection, "eof_received", noted)
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


def test_an_encrypted_proxy_that_hangs_up_behind_its_yes_made_no_connection(authority: Authority) -> None:
    async def test() -> None:
        yes = once(b"HTTP/1.1 200 OK\r\n\r\n")
        async with (
            Server(yes, authority.server("127.0.0.1")).running() as proxy,
            transport(
                "https://gateway.example", ssl_context=authority.client, proxy=of(proxy, "https")
            ) as made,
        ):
            with pytest.raises(httpx.ConnectError, match="the other side hung up"):
                await ask(made)

    run(test())


@pytest.mark.parametrize("origin", ["http://gateway.example", "https://gateway.example"])
def test_what_ends_when_nobody_waits_any_more_is_no_noise(
    authority: Authority, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is looked up for too long, and a tunnel given up at any moment of its making."""
    noise: list[object] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: noise.append(context["message"]))
        through = origin.startswith("https")
        async with Server(tunnelling(1)).running() as proxy:

            async def never(*args: object, **kwargs: object) -> object:
                await asyncio.sleep(0)
                raise socket.gaierror

            if not through:
                monkeypatch.setattr(loop, "getaddrinfo", never)
            for rounds in range(12):
                async with transport(
                    origin, ssl_context=authority.client, proxy=of(proxy) if through else None
                ) as made:
                    asking = asyncio.create_task(ask(made))
                    for _ in range(rounds):
                        await asyncio.sleep(0)
                    asking.cancel()
                    await asyncio.gather(asking, return_exceptions=True)
                    await asyncio.sleep(0.01)
                    del made, asking
                gc.collect()

    run(test())
    assert noise == []


def test_who_gives_up_closing_leaves_it_to_the_others() -> None:
    async def hang(talk: Conversation) -> None:
        await talk.reader.read()

    async def test() -> None:
        async with Server(hang).running() as server, transport(of(server)) as made:
            asking = asyncio.create_task(ask(made))
            await asyncio.sleep(0.1)
            first, second = (asyncio.create_task(made.aclose()) for _ in range(2))
            await asyncio.sleep(0)
            first.cancel()
            ended = await asyncio.gather(second, asking, return_exceptions=True)
            assert ended[0] is None
            assert isinstance(ended[1], httpx.ReadError)

    run(test())


def test_what_the_loop_has_not_read_yet_is_seen_before_a_connection_is_used_again() -> None:
    """As after a pause of the process: an answer that nobody asked for waits to be read."""
    talks: list[Conversation] = []

    async def script(talk: Conversation) -> None:
        talks.append(talk)
        while True:
            await talk.request()
            await talk.write(HELLO)

    async def test() -> None:
        async with Server(script).running() as server, transport(of(server), keepalive_expiry=5) as made:
            await ask(made)
            talks[0].writer.write(http("200 OK", b"stale"))  # the loop does not turn until the next request
            assert (await ask(made)).content == b"hello"
            assert server.connections == 2

    run(test())
