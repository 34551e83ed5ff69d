"""One request and its answer: how it is written, what it ends in, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

import httpx
import pytest

from dispatcher.gateway.transport import Timeouts
from dispatcher.gateway.wire import Answer, Connection
from tests.integration.transports import HELLO, TIMEOUTS, answering_when, ask, of, run, transport
from tests.servers.scripted import Conversation, Script, Server, answering, http

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
