"""The account client against a stand-in over real HTTP, and against answers nobody promised."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar, TypeVar

import pytest
from pydantic import SecretStr

from dispatcher.cli.output import error_lines
from dispatcher.errors import DispatcherError, Halted, Unreachable, UsageError
from dispatcher.gateway.account import Account, AccountConfig
from dispatcher.gateway.account_models import Subscription, Token, Wallet, route_of_scope, token_request
from dispatcher.gateway.models import Route
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.wording import LANGUAGES, Wording

R = TypeVar("R")
KEY = "k3y-never-shown"
SCOPE = "POST:sms.openapi.com/IT-messages"
NOW = datetime(2026, 12, 5, tzinfo=UTC)


def ask(url: str, question: Callable[[Account], Awaitable[R]], key: str = "simulator") -> R:
    async def work() -> R:
        async with Account(AccountConfig(url, "simulator", SecretStr(key), timeout=5)) as account:
            return await question(account)

    return asyncio.run(work())


@pytest.fixture(params=[True, False], ids=["bare tokens", "tokens in data"])
def desk(request: pytest.FixtureRequest) -> Iterator[str]:
    config = SimulatorConfig(
        wallet=Decimal("12.345"), bundles={Route.IT: 950}, bare_tokens=request.param, bundles_end=NOW
    )
    with SimulatorThread(config) as stand_in:
        yield stand_in.url


def test_wallet_and_bundles_are_read_exactly(desk: str) -> None:
    assert ask(desk, lambda account: account.wallet()).credit == Decimal("12.345")
    (bundle,) = ask(desk, lambda account: account.subscriptions())
    assert (bundle.route, bundle.available, bundle.expires_at) == (Route.IT, 950, NOW)
    assert bundle.pays_at(NOW - timedelta(seconds=1)) == (bundle.active is True)
    assert not bundle.pays_at(NOW)


def test_scopes_have_prices_one_by_one(desk: str) -> None:
    scopes = {scope.scope: scope for scope in ask(desk, lambda account: account.scopes())}
    assert scopes[SCOPE].prices is None
    detail = ask(desk, lambda account: account.scope(str(scopes[SCOPE].id)))
    assert detail is not None
    assert list((detail.prices or {}).values()) == [Decimal("0.045")]
    assert ask(desk, lambda account: account.scope("0" * 24)) is None


def test_a_token_is_made_changed_listed_and_deleted(desk: str) -> None:
    wanted = token_request(
        scopes=[SCOPE], name="one", ttl=3600, wallet_amount=Decimal("1.234567"), total_requests=7
    )
    made = ask(desk, lambda account: account.create_token(wanted))
    assert (made.name, made.scopes) == ("one", (SCOPE,))
    assert made.limits is not None
    assert (made.limits.wallet_amount, made.limits.total_requests) == (Decimal("1.234567"), 7)
    secret = made.token.get_secret_value()
    assert secret not in repr(made)
    assert secret not in str(made)

    more = {"limits": {"totalRequests": 9, "walletAmount": 2}}
    changed = ask(desk, lambda account: account.update_token(made.token, more))
    assert changed is not None
    assert changed.limits is not None
    assert (changed.token, changed.limits.total_requests) == (made.token, 9)
    listed = {one.name for one in ask(desk, lambda account: account.tokens())}
    assert "one" in listed

    assert ask(desk, lambda account: account.delete_token(made.token))
    assert not ask(desk, lambda account: account.delete_token(made.token))
    assert ask(desk, lambda account: account.token(made.token)) is None
    assert ask(desk, lambda account: account.update_token(made.token, more)) is None


def test_every_page_is_read() -> None:
    with SimulatorThread(SimulatorConfig()) as stand_in:

        async def many(account: Account) -> int:
            for number in range(105):
                await account.create_token({"scopes": [SCOPE], "name": f"t{number}"})
            return len({one.name for one in await account.tokens()})

        assert ask(stand_in.url, many) == 106  # and the well-known one


def test_scopes_that_cannot_be_had_are_an_error_with_a_number() -> None:
    config = SimulatorConfig(scopes_disabled=frozenset({"IT-messages"}))
    with SimulatorThread(config) as stand_in, pytest.raises(Halted) as caught:
        ask(stand_in.url, lambda account: account.create_token({"scopes": [SCOPE]}))
    assert (caught.value.code, caught.value.found) == ("account_token_not_made", "90")


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, Halted, "account_refused"),
        (402, Halted, "account_denied"),
        (403, Halted, "account_denied"),
        (404, Unreachable, "account_answer_unreadable"),
        (429, Unreachable, "account_throttled"),
        (500, Unreachable, "account_failed"),
        (503, Unreachable, "account_failed"),
    ],
)
def test_what_a_status_means(status: int, kind: type[DispatcherError], code: str) -> None:
    with SimulatorThread(SimulatorConfig(account_status=status)) as stand_in:
        with pytest.raises(kind) as caught:
            ask(stand_in.url, lambda account: account.wallet())
        assert caught.value.code == code
        for language in LANGUAGES:
            assert error_lines(caught.value, Wording(language))


def test_a_wrong_key_is_refused_and_shown_nowhere() -> None:
    with SimulatorThread(SimulatorConfig()) as stand_in, pytest.raises(Halted) as caught:
        ask(stand_in.url, lambda account: account.wallet(), key=KEY)
    assert caught.value.code == "account_refused"
    assert KEY not in str(caught.value) + "".join(error_lines(caught.value, Wording("en")))
    assert KEY not in repr(AccountConfig("https://host", "a@b", SecretStr(KEY)))


def test_nobody_at_home() -> None:
    with SimulatorThread(SimulatorConfig()) as stand_in:
        url = stand_in.url
    with pytest.raises(Unreachable) as caught:
        ask(url, lambda account: account.wallet())
    assert caught.value.code == "account_not_reached"


@pytest.mark.parametrize(
    ("email", "key"), [("", "k"), ("a@b", ""), ("a:b", "k"), ("a@b", "k\n"), ("a\x00b", "k")]
)
def test_credentials_that_no_header_can_carry(email: str, key: str) -> None:
    with pytest.raises(UsageError) as caught:
        Account(AccountConfig("https://host", email, SecretStr(key)))
    assert caught.value.code == "account_credentials_malformed"


# --- answers nobody promised


class _Answers(BaseHTTPRequestHandler):
    body: ClassVar[bytes] = b""
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def answering(body: object) -> Iterator[tuple[str, list[str]]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked: list[str] = []
    handler = type("Answers", (_Answers,), {"body": raw, "asked": asked})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("body", [b"<html>", b"", [], {}, {"data": None}, {"data": {"credit": "lots"}}])
def test_a_wallet_that_cannot_be_read_is_no_wallet(body: object) -> None:
    with answering(body) as (url, _), pytest.raises(Unreachable) as caught:
        ask(url, lambda account: account.wallet())
    assert caught.value.code == "account_answer_unreadable"


def test_a_listing_that_knows_no_pages_is_read_once() -> None:
    bundle = {"scope": SCOPE, "availableRequests": "5"}
    with answering({"data": [bundle]}) as (url, asked):
        assert len(ask(url, lambda account: account.subscriptions())) == 1
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("document", "credit"),
    [
        ({"credit": 0.1, "new": {}}, "0.1"),
        ({"credit": "125.5", "updatedAt": "yesterday"}, "125.5"),
        ({"credit": -3, "createdAt": None}, "-3"),
    ],
)
def test_a_wallet_is_read_leniently(document: dict[str, Any], credit: str) -> None:
    read = Wallet.read(document)
    assert read is not None
    assert read.credit == Decimal(credit)


@pytest.mark.parametrize(
    ("written", "read"),
    [("950", 950), (" 7 ", 7), (12, 12), ("0", 0), ("many", None), ("-1", None), (None, None)],
)
def test_requests_left_are_a_string(written: object, read: int | None) -> None:
    bundle = Subscription.read({"scope": SCOPE, "availableRequests": written})
    assert bundle is not None
    assert bundle.available == read


@pytest.mark.parametrize(
    ("active", "starts", "ends", "pays"),
    [
        (True, -1, 1, True),
        (None, None, None, True),
        (False, -1, 1, False),
        (True, 1, 2, False),
        (True, -2, -1, False),
        (True, None, 0, False),
    ],
)
def test_when_a_bundle_pays(active: bool | None, starts: int | None, ends: int | None, pays: bool) -> None:
    def at(days: int | None) -> datetime | None:
        return None if days is None else NOW + timedelta(days=days)

    bundle = Subscription(scope=SCOPE, active=active, starts_at=at(starts), expires_at=at(ends))
    assert bundle.pays_at(NOW) is pays


@pytest.mark.parametrize(
    ("scope", "route"),
    [
        (SCOPE, Route.IT),
        ("POST:test.sms.openapi.com/ES-messages", Route.ES),
        ("POST:sms.openapi.com/WW-messages", Route.WW),
        ("GET:sms.openapi.com/messages", None),
        ("GET:sms.openapi.com/IT-messages", None),
        ("POST:sms.openapi.com/FR-messages", None),
        ("POST:sms.openapi.com/otp", None),
        ("nonsense", None),
    ],
)
def test_the_route_of_a_scope(scope: str, route: Route | None) -> None:
    assert route_of_scope(scope) is route


def test_a_refresh_token_is_not_kept() -> None:
    read = Token.read({"token": "t" * 24, "refreshToken": "r" * 24, "limits": {"walletAmount": "?"}})
    assert read is not None
    assert "r" * 24 not in read.model_dump_json() + repr(read)
    assert read.limits is None
