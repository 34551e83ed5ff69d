"""The six calls: what goes over the wire, what comes back, and what never shows."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import tomllib
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from pydantic import SecretStr

from dispatcher.errors import DispatcherError, Halted, Unreachable, UsageError
from dispatcher.gateway.client import Gateway, GatewayConfig, check_base_url, failure
from dispatcher.gateway.models import Callback, Message, Options, OtpRequest, Route, SendRequest
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.settings import HOSTS
from dispatcher.wording import LANGUAGES, Wording

T = TypeVar("T")
TOKEN = "t0ken-nobody-may-see"
PHONE = "+393331234567"
TEXT = "Your appointment is on Monday"
MESSAGE: dict[str, Any] = {"id": "633aabe3e4a9a0e69811ad7f", "recipient": PHONE, "message": TEXT}
REQUEST = SendRequest(sender="Example", recipient=PHONE, message=TEXT)


class Script:
    """A server's side: one answer for all requests, and what was asked."""

    def __init__(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        self.status, self.headers = status, headers or {}
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.requests: list[tuple[web.BaseRequest, bytes]] = []

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.requests.append((request, await request.read()))
        return web.Response(status=self.status, body=self.body, headers=self.headers)

    @property
    def asked(self) -> str:
        request, _ = self.requests[-1]
        return f"{request.method} {request.raw_path}"


def config(base_url: str) -> GatewayConfig:
    return GatewayConfig(base_url=base_url, token=SecretStr(TOKEN), timeout=5.0, connections=4)


@asynccontextmanager
async def serving(script: Script, path: str = "") -> AsyncIterator[Gateway]:
    runner = web.ServerRunner(web.Server(script))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        async with Gateway(config(f"http://127.0.0.1:{port}{path}")) as gateway:
            yield gateway
    finally:
        await runner.cleanup()


def call(script: Script, what: Callable[[Gateway], Coroutine[object, object, T]], path: str = "") -> T:
    async def conversation() -> T:
        async with serving(script, path) as gateway:
            return await what(gateway)

    return asyncio.run(conversation())


@pytest.mark.parametrize("path", ["", "/", "/behind/a/prefix"])
@pytest.mark.parametrize("route", list(Route))
def test_a_message_goes_to_its_route(route: Route, path: str) -> None:
    script = Script(201, {"data": MESSAGE})
    verdict = call(script, lambda gateway: gateway.send(route, REQUEST), path)
    assert verdict.outcome is Outcome.ACCEPTED
    assert script.asked == f"POST {path.rstrip('/')}/{route}-messages"
    request, body = script.requests[0]
    assert json.loads(body) == {"sender": "Example", "recipient": PHONE, "message": TEXT}
    assert request.headers.getall("Authorization") == [f"Bearer {TOKEN}"]
    assert request.headers.getall("Content-Type") == ["application/json"]
    assert request.headers["User-Agent"].startswith("dispatcher/")
    assert "Cookie" not in request.headers
    assert len(script.requests) == 1


def test_another_token_goes_over_the_same_connections() -> None:
    script = Script(201, {"data": MESSAGE})

    async def both(gateway: Gateway) -> None:
        other = gateway.with_token(SecretStr("of-a-campaign"))
        assert "of-a-campaign" not in repr(other)
        await other.send(Route.IT, REQUEST)
        await gateway.send(Route.IT, REQUEST)
        with pytest.raises(UsageError):
            gateway.with_token(SecretStr("two\nlines"))

    call(script, both)
    sent = [request.headers.getall("Authorization") for request, _ in script.requests]
    assert sent == [["Bearer of-a-campaign"], [f"Bearer {TOKEN}"]]
    connections = {request.transport for request, _ in script.requests}
    assert len(connections) == 1


def test_options_and_callback_are_written_as_the_provider_names_them() -> None:
    script = Script(201, {"data": MESSAGE})
    full = SendRequest(
        recipient=PHONE,
        message="Ciao, è “pronto” 🎁",
        options=Options(dryRun=True, failOnMultipleMessages=True),
        callback=Callback(url="https://example.com/sms", retry=2, custom={"row": "7", "note": None}),
    )
    call(script, lambda gateway: gateway.send(Route.WW, full))
    assert json.loads(script.requests[0][1]) == {
        "recipient": PHONE,
        "message": "Ciao, è “pronto” 🎁",
        "options": {"dryRun": True, "failOnMultipleMessages": True},
        "callback": {"url": "https://example.com/sms", "retry": 2, "custom": {"row": "7", "note": None}},
    }


def test_a_dry_run_is_told_by_its_options() -> None:
    script = Script(422, {"code": 2044, "message": "x"})
    dry_run = REQUEST.model_copy(update={"options": Options(dryRun=True)})
    assert call(script, lambda gateway: gateway.send(Route.IT, dry_run)).outcome is Outcome.REFUSED
    assert call(script, lambda gateway: gateway.send(Route.IT, REQUEST)).outcome is Outcome.HALT


def test_a_one_time_code() -> None:
    script = Script(201, {"data": {**MESSAGE, "isOtp": True, "otp": "5F8A2"}})
    request = OtpRequest(recipient=PHONE, alphanumeric=True, length=6, cacheSeconds=60)
    verdict = call(script, lambda gateway: gateway.send_otp(request))
    assert script.asked == "POST /otp"
    sent = {"recipient": PHONE, "alphanumeric": True, "length": 6, "cacheSeconds": 60}
    assert json.loads(script.requests[0][1]) == sent
    assert verdict.message is not None
    assert verdict.message.otp == "5F8A2"
    assert "5F8A2" not in repr(verdict)


def test_a_page_of_the_listing() -> None:
    listed = [
        {**MESSAGE, "createdAt": "2026-03-01T12:00:00", "price": 0.050, "unknown": {"new": 1}},
        {**MESSAGE, "state": "A NEW STATE", "countryCode": None},
        {**MESSAGE, "recipient": ["?"]},
        {"recipient": PHONE},
        "nonsense",
    ]
    script = Script(200, {"data": listed}, {"Date": "Sun, 01 Mar 2026 12:00:05 GMT"})
    page = call(script, lambda gateway: gateway.messages(skip=200, limit=50))
    assert script.asked == "GET /messages?skip=200&limit=50"
    assert (len(page.messages), page.unreadable, page.count) == (2, 3, 5)
    assert page.messages[0].created_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert page.messages[1].state is None
    assert page.server_date == datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)


def test_the_empty_page_is_the_end() -> None:
    page = call(Script(200, {"data": []}), lambda gateway: gateway.messages())
    assert (page.messages, page.unreadable, page.count) == ((), 0, 0)


def test_a_long_listing_is_read() -> None:
    script = Script(200, {"data": [{**MESSAGE, "message": "x" * 30_000}] * 100})
    assert call(script, lambda gateway: gateway.messages()).count == 100


@pytest.mark.parametrize(
    ("message_id", "path"),
    [
        ("633aabe3e4a9a0e69811ad7f", "/messages/633aabe3e4a9a0e69811ad7f"),
        ("a/../b", "/messages/a%2F..%2Fb"),
        ("a?b=c#d", "/messages/a%3Fb%3Dc%23d"),
        ("a%2Fb c", "/messages/a%252Fb%20c"),
        ("è", "/messages/%C3%A8"),
    ],
)
def test_one_message_is_asked_for_under_its_id_only(message_id: str, path: str) -> None:
    script = Script(200, {"data": MESSAGE})
    message = call(script, lambda gateway: gateway.message(message_id))
    assert script.asked == f"GET {path}"
    assert isinstance(message, Message)


@pytest.mark.parametrize("message_id", ["", ".", "..", "...", " ", "a\nb", "x" * 201])
def test_an_id_that_would_name_something_else_is_not_asked_for(message_id: str) -> None:
    script = Script(200, {"data": []})
    with pytest.raises(UsageError) as caught:
        call(script, lambda gateway: gateway.message(message_id))
    assert caught.value.code == "gateway_message_id"
    assert script.requests == []


@pytest.mark.parametrize("body", [b"", b" ", {"code": 404, "message": "Not found"}, {}])
def test_no_such_message(body: object) -> None:
    assert call(Script(404, body), lambda gateway: gateway.message("633aab")) is None


HTML = b"<html>Not Found</html>"
FAILURES: list[tuple[int, object, type[DispatcherError], str]] = [
    (200, {"data": None}, Unreachable, "gateway_answer_unreadable"),
    (200, {}, Unreachable, "gateway_answer_unreadable"),
    (200, b"", Unreachable, "gateway_answer_unreadable"),
    (200, HTML, Unreachable, "gateway_answer_unreadable"),
    (204, b"", Unreachable, "gateway_answer_unreadable"),
    (302, b"", Unreachable, "gateway_answer_unreadable"),
    (404, HTML, Unreachable, "gateway_answer_unreadable"),
    (422, {"code": 1, "message": "x"}, Unreachable, "gateway_answer_unreadable"),
    (401, b"", Halted, "gateway_token_refused"),
    (402, b"", Halted, "gateway_payment_required"),
    (403, b"", Halted, "gateway_access_denied"),
    (403, {"code": 2020, "message": "x"}, Halted, "gateway_account_blocked"),
    (429, b"", Unreachable, "gateway_throttled"),
    (500, b"", Unreachable, "gateway_failed"),
    (503, HTML, Unreachable, "gateway_failed"),
]


@pytest.mark.parametrize(("status", "body", "family", "code"), FAILURES)
def test_a_listing_that_cannot_be_had_is_an_error(
    status: int, body: object, family: type[DispatcherError], code: str
) -> None:
    asks: tuple[Callable[[Gateway], Coroutine[object, object, object]], ...] = (
        lambda gateway: gateway.messages(),
        lambda gateway: gateway.message("633aab"),
    )
    for ask in asks:
        script = Script(status, body, {"Retry-After": "7"})
        with pytest.raises(family) as caught:
            call(script, ask)
        assert caught.value.code == code
        assert len(script.requests) == 1
        if code in ("gateway_throttled", "gateway_failed"):
            assert caught.value.params["retry_after"] == 7.0


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Outcome.NOT_SENT, "gateway_not_reached"), (Outcome.IN_DOUBT, "gateway_no_answer")],
)
def test_no_answer_at_all_is_unreachable(outcome: Outcome, code: str) -> None:
    error = failure(Verdict(outcome, detail="connection_refused"), "sms.openapi.com")
    assert (type(error), error.code, error.params["reason"]) == (Unreachable, code, "connection_refused")


URLS: list[tuple[str, str | None]] = [
    ("https://sms.openapi.com", None),
    ("https://gateway.example:8443/v2/", None),
    ("http://127.0.0.1:8081", None),
    ("http://127.9.9.9", None),
    ("http://[::1]:8081", None),
    ("http://localhost:8081", None),
    ("http://sms.openapi.com", "gateway_url_insecure"),
    ("http://localhost.example", "gateway_url_insecure"),
    ("http://127.0.0.1.example", "gateway_url_insecure"),
    ("http://0.0.0.0:80", "gateway_url_insecure"),
    ("http://192.168.1.5", "gateway_url_insecure"),
    ("ftp://127.0.0.1", "gateway_url_insecure"),
    ("sms.openapi.com", "gateway_url_invalid"),
    ("https://", "gateway_url_invalid"),
    ("", "gateway_url_invalid"),
    ("https://user:pa55@sms.openapi.com", "gateway_url_invalid"),
    ("http://127.0.0.1@evil.example", "gateway_url_invalid"),
    ("https://sms.openapi.com?x=1", "gateway_url_invalid"),
    ("https://sms.openapi.com#x", "gateway_url_invalid"),
    ("https://sms.openapi.com:notaport", "gateway_url_invalid"),
    ("https://user:pa55@sms.openapi.com:notaport", "gateway_url_invalid"),
    ("https://sms.openapi .com", "gateway_url_invalid"),
    ("https://[::1", "gateway_url_invalid"),
]


@pytest.mark.parametrize(("url", "code"), URLS)
def test_the_token_travels_encrypted_or_not_at_all(url: str, code: str | None) -> None:
    if code is None:
        check_base_url(url)
        return
    with pytest.raises(UsageError) as caught:
        check_base_url(url)
    assert caught.value.code == code
    assert "pa55" not in str(caught.value)
    with pytest.raises(UsageError):
        Gateway(config(url))


@pytest.mark.parametrize("token", ["", " ", "two words", "line\nbreak", "line\r\nX-Evil: 1", "tökén", "a\tb"])
def test_a_token_that_cannot_be_one_is_refused_before_any_request(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        Gateway(replace(config("http://127.0.0.1:1"), token=SecretStr(token)))
    assert caught.value.code == "gateway_token_malformed"
    assert token.strip() == "" or token not in str(caught.value)


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    no_pem = tmp_path / "ca.pem"
    no_pem.write_text("not a certificate", encoding="ascii")
    https = config("https://sms.openapi.com")
    for changes, code in (
        ({"ca_file": no_pem}, "gateway_ca_file"),
        ({"ca_file": tmp_path / "missing.pem"}, "gateway_ca_file"),
        ({"proxy": "socks5://user:pa55@proxy.example:1080"}, "gateway_proxy_invalid"),
        ({"proxy": "http://user:pa55@"}, "gateway_proxy_invalid"),
        ({"proxy": "user:pa55@proxy.example:1080"}, "gateway_proxy_invalid"),
        ({"proxy": "http://user:pa55@-ä.example"}, "gateway_proxy_invalid"),
        ({"base_url": "https://-ä.example"}, "gateway_url_invalid"),
    ):
        with pytest.raises(UsageError) as caught:
            Gateway(replace(https, **changes))
        assert caught.value.code == code
        assert "pa55" not in str(caught.value)


def test_loopback_is_reached_without_the_proxy() -> None:
    script = Script(201, {"data": MESSAGE})

    async def conversation() -> Verdict:
        async with serving(script) as direct:
            through = replace(config(f"http://{direct._host}"), proxy="http://127.0.0.1:9")
            async with Gateway(through) as gateway:
                return await gateway.send(Route.IT, REQUEST)

    assert asyncio.run(conversation()).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, {"data": {**MESSAGE, "otp": "5F8A2", "callback": {"headers": {"X": "hook-secret"}}}}),
        (422, {"code": 2011, "message": f"bad {PHONE}"}),
        (401, b""),
        (500, TEXT.encode()),
        (201, b"\0garbage"),
    ],
)
def test_nothing_secret_or_personal_is_logged_or_told(
    status: int, body: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = (TOKEN, PHONE, TEXT, "5F8A2", "hook-secret")
    told: list[str] = [repr(config("https://sms.openapi.com"))]

    async def conversation() -> None:
        async with serving(Script(status, body, {"Set-Cookie": "session=1"})) as gateway:
            told.append(repr(gateway))
            told.append((await gateway.send(Route.IT, REQUEST)).detail)
            try:
                await gateway.messages()
            except DispatcherError as error:
                told.extend(traceback.format_exception(error))
            with pytest.raises(DispatcherError):
                await gateway.message("..")

    asyncio.run(conversation())
    own = [r.getMessage() for r in caplog.records if r.name != "aiohttp.access"]  # that one is the server's
    assert not [name for name in caplog.records if name.name.startswith("httpx")]
    for text in (*told, *own):
        assert not [secret for secret in secrets if secret in text]


def test_a_refused_connection_tells_no_secret() -> None:
    async def conversation() -> BaseException:
        proxied = replace(config("https://gateway.invalid"), proxy="http://user:pa55@127.0.0.1:9")
        async with Gateway(proxied) as gateway:
            assert "pa55" not in repr(proxied)
            verdict = await gateway.send(Route.IT, REQUEST)
            assert verdict.outcome is Outcome.NOT_SENT
            assert "pa55" not in verdict.detail
            with pytest.raises(Unreachable) as caught:
                await gateway.messages()
            return caught.value

    error = asyncio.run(conversation())
    told = str(error)
    assert TOKEN not in told
    assert "pa55" not in told


def test_the_client_is_made_outside_of_any_loop_and_certificates_are_checked() -> None:
    gateway = Gateway(config(HOSTS["production"]))
    context = gateway._transport._dialler._origin.ssl
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    asyncio.run(gateway.aclose())


def test_every_error_reads_well_in_every_language() -> None:
    source = resources.files("dispatcher.wording")
    topics = {
        language: tomllib.loads((source / language / "gateway.toml").read_text(encoding="utf-8"))
        for language in LANGUAGES
    }
    parts = {code: sorted(entry) for code, entry in topics["en"]["errors"].items()}
    raised = {code for _, _, _, code in FAILURES} | {code for _, code in URLS if code}
    assert raised <= parts.keys()
    for language, topic in topics.items():
        assert {code: sorted(entry) for code, entry in topic["errors"].items()} == parts
        for code in parts:
            error = DispatcherError(code, found="F", file="F", host="H", status=500, reason="R")
            assert all(text is None or "{" not in text for text in Wording(language).error(error).values())
