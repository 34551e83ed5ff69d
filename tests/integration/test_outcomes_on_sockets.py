"""The outcome table proved on real sockets, for the transport in use.

Class names prove nothing here (one bridge between httpx and aiohttp calls a reset after reading a time-out
while connecting); every row drives a real server on loopback and counts the requests that reached it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from pydantic import SecretStr

from dispatcher.errors import Unreachable
from dispatcher.gateway.client import Gateway, GatewayConfig
from dispatcher.gateway.models import Options, Route, SendRequest
from dispatcher.gateway.outcomes import Outcome, Verdict
from tests.servers.ports import free_port
from tests.servers.scripted import Conversation, Script, Server, answering, close_at_once, http, once

T = TypeVar("T")
REQUEST = SendRequest(sender="Example", recipient="+393331234567", message="Hello")
MESSAGE = {"id": "633aabe3e4a9a0e69811ad7f", "recipient": "+393331234567", "message": "Hello", "price": 0.05}
ACCEPTED = json.dumps({"data": MESSAGE}).encode()
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TIMEOUT = 1.0  # of a request; half of it to get a connection
PATIENCE = 20.0  # where nothing is to run out, however busy the machine is


def gateway(url: str, *, connections: int = 4, proxy: str | None = None, timeout: float = TIMEOUT) -> Gateway:
    config = GatewayConfig(
        base_url=url, token=SecretStr("token"), timeout=timeout, connections=connections, proxy=proxy
    )
    return Gateway(config, now=lambda: NOW)


def run(test: Coroutine[object, object, T]) -> T:
    return asyncio.run(asyncio.wait_for(test, 60))


async def reset_at_once(talk: Conversation) -> None:
    talk.reset()


async def reset_while_sending(talk: Conversation) -> None:
    await talk.reader.readexactly(10)
    talk.reset()


async def reset_after_reading(talk: Conversation) -> None:
    await talk.request()
    talk.reset()


async def close_without_answer(talk: Conversation) -> None:
    await talk.request()


async def reset_inside_the_answer(talk: Conversation) -> None:
    await talk.request()
    await talk.write(http("201 Created", ACCEPTED[:20], length=len(ACCEPTED)))
    talk.reset()


async def hang(talk: Conversation) -> None:
    await talk.request()
    await talk.reader.read()


async def hang_unread(talk: Conversation) -> None:
    await asyncio.Event().wait()


async def hang_inside_the_answer(talk: Conversation) -> None:
    await talk.request()
    await talk.write(http("201 Created", ACCEPTED[:20], length=len(ACCEPTED)))
    await talk.reader.read()


async def drip(talk: Conversation) -> None:
    await talk.request()
    await talk.write(http("201 Created", length=1_000_000))
    while True:
        await talk.write(b" ")
        await asyncio.sleep(0.02)


async def endless(talk: Conversation) -> None:
    await talk.request()
    await talk.write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await talk.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


async def endless_head(talk: Conversation) -> None:
    await talk.request()
    await talk.write(b"HTTP/1.1 201 Created\r\n")
    while True:
        await talk.write(b"X-Filler: " + b"x" * 4000 + b"\r\n")


def error(code: int) -> bytes:
    return json.dumps({"code": code, "message": "words of the provider"}).encode()


BOMB = gzip.compress(ACCEPTED[:-1] + b" " * 50_000_000 + b"}")
MOVED = "Location: http://127.0.0.1:{port}/elsewhere"
CHUNKED = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"

# name, what the server does, the outcome, requests that reached it
BROKEN: list[tuple[str, Script, int]] = [
    ("reset while sending", reset_while_sending, 0),
    ("reset after reading all", reset_after_reading, 1),
    ("closed without an answer", close_without_answer, 1),
    ("half a status line", once(b"HTTP/1.1 2"), 1),
    ("half a header", once(b"HTTP/1.1 201 Created\r\nContent-Le"), 1),
    ("head only", once(http("201 Created", length=100)), 1),
    ("half a body", once(http("201 Created", ACCEPTED[:20], length=len(ACCEPTED))), 1),
    ("half a chunk", once((CHUNKED % (len(ACCEPTED), ACCEPTED))[:-20]), 1),
    ("a bad chunk", once(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 1),
    ("reset inside the body", reset_inside_the_answer, 1),
    ("not HTTP", once(b"220 mail.example ESMTP ready\r\n"), 1),
    ("noise", once(bytes(range(256)) * 8), 1),
    ("a broken length", once(b"HTTP/1.1 201 Created\r\nContent-Length: many\r\n\r\n"), 1),
    ("hangs", hang, 1),
    ("never reads", hang_unread, 0),
    ("hangs inside the body", hang_inside_the_answer, 1),
    ("drips", drip, 1),
    ("endless", endless, 1),
    ("endless head", endless_head, 1),
    ("too long", once(http("201 Created", ACCEPTED + b" " * 2_000_000)), 1),
    ("compressed bomb", once(http("201 Created", BOMB, "Content-Encoding: gzip")), 1),
    ("not the gzip it says", once(http("201 Created", ACCEPTED, "Content-Encoding: gzip")), 1),
]

WITHOUT_AN_END: tuple[Script, ...] = (hang, hang_unread, hang_inside_the_answer, drip)

ANSWERED: list[tuple[str, bytes, Outcome]] = [
    ("201", http("201 Created", ACCEPTED), Outcome.ACCEPTED),
    ("201 chunked", CHUNKED % (len(ACCEPTED), ACCEPTED), Outcome.ACCEPTED),
    (
        "201 compressed",
        http("201 Created", gzip.compress(ACCEPTED), "Content-Encoding: gzip"),
        Outcome.ACCEPTED,
    ),
    ("200 for 201", http("200 OK", ACCEPTED), Outcome.ACCEPTED),
    ("100, then 201", b"HTTP/1.1 100 Continue\r\n\r\n" + http("201 Created", ACCEPTED), Outcome.ACCEPTED),
    ("201 empty", http("201 Created"), Outcome.IN_DOUBT),
    ("201 no JSON", http("201 Created", b"<html>Welcome</html>"), Outcome.IN_DOUBT),
    ("201 without id", http("201 Created", b'{"data": {"state": "NEW"}}'), Outcome.IN_DOUBT),
    ("202", http("202 Accepted", ACCEPTED), Outcome.IN_DOUBT),
    ("204", b"HTTP/1.1 204 No Content\r\n\r\n", Outcome.IN_DOUBT),
    ("301", http("301 Moved", b"", MOVED), Outcome.IN_DOUBT),
    ("302", http("302 Found", b"", MOVED), Outcome.IN_DOUBT),
    ("303", http("303 See Other", b"", MOVED), Outcome.IN_DOUBT),
    ("307", http("307 Temporary Redirect", b"", MOVED), Outcome.IN_DOUBT),
    ("308", http("308 Permanent Redirect", b"", MOVED), Outcome.IN_DOUBT),
    ("401", http("401 Unauthorized"), Outcome.HALT),
    ("401 with challenge", http("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="x"'), Outcome.HALT),
    ("402", http("402 Payment Required"), Outcome.HALT),
    ("403 2020", http("403 Forbidden", error(2020)), Outcome.HALT),
    ("201 blocklisted", http("201 Created", b'{"data": {"id": "x", "blocklisted": true}}'), Outcome.HALT),
    ("422 2011", http("422 Unprocessable", error(2011)), Outcome.REFUSED),
    ("422 2013", http("422 Unprocessable", error(2013)), Outcome.REFUSED),
    ("422 2050", http("422 Unprocessable", error(2050)), Outcome.HALT),
    ("404 HTML", http("404 Not Found", b"<html>nothing here</html>"), Outcome.IN_DOUBT),
    ("408", http("408 Request Timeout"), Outcome.IN_DOUBT),
    ("429", http("429 Too Many Requests", b"", "Retry-After: 7"), Outcome.THROTTLED),
    ("500", http("500 Oops"), Outcome.IN_DOUBT),
    ("502 HTML", http("502 Bad Gateway", b"<html>502</html>"), Outcome.IN_DOUBT),
    ("503", http("503 Unavailable", b"", "Retry-After: 7"), Outcome.IN_DOUBT),
    ("504", http("504 Gateway Timeout"), Outcome.IN_DOUBT),
]


async def send_to(script: Script) -> tuple[Verdict, Server]:
    timeout = TIMEOUT if script in WITHOUT_AN_END else PATIENCE
    async with (
        Server(script).running() as server,
        gateway(f"http://127.0.0.1:{server.port}", timeout=timeout) as client,
    ):
        verdict = await client.send(Route.IT, REQUEST)
        return verdict, server


@pytest.mark.parametrize(("script", "requests"), [pytest.param(*row[1:], id=row[0]) for row in BROKEN])
def test_a_broken_answer_is_in_doubt_and_asked_for_once(script: Script, requests: int) -> None:
    verdict, server = run(send_to(script))
    assert verdict.outcome is Outcome.IN_DOUBT
    assert verdict.http_status is None
    assert (len(server.requests), server.connections) == (requests, 1)


@pytest.mark.parametrize("script", [close_at_once, reset_at_once])
def test_who_hangs_up_at_once_was_sent_nothing_or_is_in_doubt(script: Script) -> None:
    """Whether the end is seen before anything is written is a matter of microseconds."""
    verdict, server = run(send_to(script))
    assert verdict.outcome in (Outcome.NOT_SENT, Outcome.IN_DOUBT)
    assert verdict.http_status is None
    assert (server.requests, server.connections) == ([], 1)


@pytest.mark.parametrize(("answer", "outcome"), [pytest.param(*row[1:], id=row[0]) for row in ANSWERED])
def test_an_answer_is_judged_and_asked_for_once(answer: bytes, outcome: Outcome) -> None:
    async def script(talk: Conversation) -> None:
        await talk.request()
        port = talk.writer.get_extra_info("sockname")[1]
        await talk.write(answer.replace(b"{port}", str(port).encode()))
        await hang(talk)

    verdict, server = run(send_to(script))
    assert verdict.outcome is outcome
    assert verdict.http_status is not None
    assert (len(server.requests), server.connections) == (1, 1)


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("Sun, 01 Mar 2026 12:00:09 GMT", 8.0)])
def test_retry_after_and_date_are_read(value: str, seconds: float) -> None:
    head = (f"Retry-After: {value}", "Date: Sun, 01 Mar 2026 12:00:01 GMT")
    verdict, _ = run(send_to(answering(http("429 Too Many Requests", b"", *head))))
    assert verdict.retry_after == seconds
    assert verdict.server_date == datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)


# --- a connection that is used again ------------------------------------------------------------


def second_time(what: Script) -> Script:
    """A good answer to the first request of a connection, then ``what``."""

    async def script(talk: Conversation) -> None:
        await talk.request()
        await talk.write(http("201 Created", ACCEPTED))
        await what(talk)

    return script


@pytest.mark.parametrize(
    ("what", "requests"),
    [
        pytest.param(reset_after_reading, 2, id="reset after reading all"),
        pytest.param(close_without_answer, 2, id="closed without an answer"),
        pytest.param(reset_while_sending, 1, id="reset while sending"),
        pytest.param(hang, 2, id="hangs"),
    ],
)
def test_a_kept_connection_that_breaks_is_in_doubt_and_not_tried_again(what: Script, requests: int) -> None:
    async def test() -> None:
        async with Server(second_time(what)).running() as server:
            async with gateway(f"http://127.0.0.1:{server.port}") as client:
                first = await client.send(Route.IT, REQUEST)
                second = await client.send(Route.IT, REQUEST)
            assert (first.outcome, second.outcome) == (Outcome.ACCEPTED, Outcome.IN_DOUBT)
            assert (len(server.requests), server.connections) == (requests, 1)

    run(test())


@pytest.mark.parametrize("what", [reset_after_reading, close_without_answer])
def test_a_get_is_not_repeated_either(what: Script) -> None:
    """Repeating it would reach nobody's phone, but it would be a request without a slot of the pace."""

    async def test() -> None:
        async with Server(second_time(what)).running() as server:
            async with gateway(f"http://127.0.0.1:{server.port}") as client:
                assert (await client.send(Route.IT, REQUEST)).outcome is Outcome.ACCEPTED
                with pytest.raises(Unreachable) as caught:
                    await client.messages()
            assert caught.value.code == "gateway_no_answer"
            assert (len(server.requests), server.connections) == (2, 1)

    run(test())


def test_connections_are_kept_and_shared() -> None:
    async def test() -> None:
        async with Server(answering(http("201 Created", ACCEPTED))).running() as server:
            async with gateway(f"http://127.0.0.1:{server.port}", connections=2) as client:
                verdicts = await asyncio.gather(*(client.send(Route.IT, REQUEST) for _ in range(20)))
            assert {verdict.outcome for verdict in verdicts} == {Outcome.ACCEPTED}
            assert len(server.requests) == 20
            assert server.connections <= 2

    run(test())


# --- never left ------------------------------------------------------------


async def refuse_tunnel(talk: Conversation) -> None:
    await talk.reader.readuntil(b"\r\n\r\n")
    await talk.write(http("407 Proxy Authentication Required"))


async def speak_first(talk: Conversation) -> None:
    await talk.write(http("400 Bad Request"))


THROUGH = "http://127.0.0.1:{port}"
NEVER_LEFT: list[tuple[str, Script, str, str | None, str]] = [
    ("name not found", close_at_once, "https://gateway.invalid", None, "host_un(known|resolved)"),
    ("name too long", close_at_once, f"https://{'x' * 70}.invalid", None, "host_un(known|resolved)"),
    ("TLS: closed", close_at_once, "https://127.0.0.1:{port}", None, "hung_up"),
    ("TLS: reset", reset_at_once, "https://127.0.0.1:{port}", None, "hung_up"),
    ("TLS: plain HTTP", speak_first, "https://127.0.0.1:{port}", None, "tls_not_spoken"),
    ("TLS: noise", once(b"\0" * 99), "https://127.0.0.1:{port}", None, "connection_late"),
    ("TLS: hangs", hang_unread, "https://127.0.0.1:{port}", None, "connection_late"),
    ("proxy refuses", refuse_tunnel, "https://gateway.invalid", THROUGH, "proxy_answered: 407"),
    ("proxy closes", close_at_once, "https://gateway.invalid", THROUGH, "proxy_hung_up"),
    ("proxy hangs", hang_unread, "https://gateway.invalid", THROUGH, "connection_late"),
    (
        "no proxy",
        close_at_once,
        "https://gateway.invalid",
        "http://127.0.0.1:{free}",
        "proxy_not_connected: connection_refused",
    ),
    (
        "proxy not found",
        close_at_once,
        "https://gateway.invalid",
        "http://proxy.invalid:3128",
        "proxy_not_connected: host_un(known|resolved)",
    ),
]


@pytest.mark.parametrize(
    ("script", "url", "proxy", "detail"), [pytest.param(*row[1:], id=row[0]) for row in NEVER_LEFT]
)
def test_what_never_became_a_connection_was_not_sent(
    script: Script, url: str, proxy: str | None, detail: str
) -> None:
    async def test() -> Verdict:
        async with Server(script).running() as server:
            ports = {"port": server.port, "free": free_port()}
            through = proxy.format(**ports) if proxy else None
            async with gateway(url.format(**ports), proxy=through) as client:
                verdict = await client.send(Route.IT, REQUEST)
            assert server.requests == []
            return verdict

    verdict = run(test())
    assert verdict.outcome is Outcome.NOT_SENT
    assert re.fullmatch(detail, verdict.detail)


def test_a_refused_connection_was_not_sent() -> None:
    async def test() -> Verdict:
        async with gateway(f"http://127.0.0.1:{free_port()}") as client:
            return await client.send(Route.IT, REQUEST)

    verdict = run(test())
    assert verdict.outcome is Outcome.NOT_SENT
    assert verdict.detail == "connection_refused"


def test_what_finds_no_free_connection_was_not_sent() -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(Server(hang).running())
            client = await stack.enter_async_context(
                gateway(f"http://127.0.0.1:{server.port}", connections=1)
            )
            first = asyncio.create_task(client.send(Route.IT, REQUEST))
            while not server.requests:
                await asyncio.sleep(0)
            second = await client.send(Route.IT, REQUEST)
            assert (second.outcome, second.detail) == (Outcome.NOT_SENT, "no_free_connection")
            assert (await first).outcome is Outcome.IN_DOUBT
            assert len(server.requests) == 1

    run(test())


def test_a_cancelled_send_is_cancelled_and_its_connection_is_not_used_again() -> None:
    async def test() -> None:
        async with Server(hang).running() as server, gateway(f"http://127.0.0.1:{server.port}") as client:
            sending = asyncio.create_task(client.send(Route.IT, REQUEST))
            while not server.requests:
                await asyncio.sleep(0)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            server.script = answering(http("201 Created", ACCEPTED))
            assert (await client.send(Route.IT, REQUEST)).outcome is Outcome.ACCEPTED
            assert (len(server.requests), server.connections) == (2, 2)

    run(test())


def test_closing_the_client_leaves_what_is_in_flight_in_doubt() -> None:
    async def test() -> None:
        async with Server(hang).running() as server, gateway(f"http://127.0.0.1:{server.port}") as client:
            sending = asyncio.create_task(client.send(Route.IT, REQUEST))
            while not server.requests:
                await asyncio.sleep(0)
            await client.aclose()
            assert (await sending).outcome is Outcome.IN_DOUBT
            assert (await client.send(Route.IT, REQUEST)).outcome is Outcome.NOT_SENT
            assert len(server.requests) == 1

    run(test())


def test_forbidden_content_in_a_dry_run_only_refuses() -> None:
    async def test() -> Verdict:
        script = answering(http("422 Unprocessable", error(2044)))
        async with Server(script).running() as server, gateway(f"http://127.0.0.1:{server.port}") as client:
            dry_run = REQUEST.model_copy(update={"options": Options(dryRun=True)})
            return await client.send(Route.IT, dry_run)

    verdict = run(test())
    assert (verdict.outcome, verdict.forbidden) == (Outcome.REFUSED, True)
