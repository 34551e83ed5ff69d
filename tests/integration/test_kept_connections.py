"""Connections that are kept, used again and given up, against servers that do as they like."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from dispatcher.gateway.wire import Answer
from tests.integration.transports import HELLO, KEPT, answering_when, ask, of, run, transport
from tests.servers.ports import free_port
from tests.servers.scripted import Conversation, Script, Server, answering, http, once


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
