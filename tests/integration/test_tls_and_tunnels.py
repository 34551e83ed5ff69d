"""Names, encryption and proxies: whatever goes wrong there, nothing of a request was written."""

from __future__ import annotations

import asyncio
import base64
import gc
import socket
import ssl

import httpx
import pytest
import trustme

from dispatcher.gateway.causes import Cause
from dispatcher.gateway.wire import Connection
from tests.integration.transports import HELLO, ask, of, run, transport
from tests.servers.ports import free_port
from tests.servers.scripted import Conversation, Script, Server, answering, close_at_once, http, once

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
            with pytest.raises(httpx.ConnectError, match=r"host_un(known|resolved)"):
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
        (["other.example"], True, "tls_other_host"),
        (["127.0.0.1"], False, "tls_unknown_authority"),
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
            with pytest.raises(httpx.ConnectError, match=Cause.HUNG_UP):
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
                with pytest.raises(httpx.ConnectError, match="tls_other_host"):
                    await ask(made)
            assert server.requests == []

    run(test())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http("407 Proxy Authentication Required"), "proxy_answered: 407"),
        (http("200 OK").replace(b"HTTP/1.1", b"SSH-2.0"), "proxy_not_http"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "proxy_not_http"),
        (b"HTTP/1.1 200 OK\r\nVia: ", "proxy_hung_up"),
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
            with pytest.raises(httpx.ProxyError, match="proxy_not_connected: connection_refused"):
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
            with pytest.raises(httpx.ConnectError, match=Cause.HUNG_UP):
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
