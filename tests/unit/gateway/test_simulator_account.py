"""The stand-in's account: tokens with limits that it enforces on the calls for messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher.errors import UsageError
from dispatcher.gateway.models import Route
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread

SENDS = {
    "IT": ("/IT-messages", "+393123456789"),
    "ES": ("/ES-messages", "+34612345678"),
    "WW": ("/WW-messages", "+447400123456"),
}
SCOPES = {route: f"POST:sms.openapi.com{path}" for route, (path, _) in SENDS.items()}
BASIC = httpx.BasicAuth("simulator", "simulator")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 12, 5, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Desk:
    def __init__(self, client: httpx.Client, clock: Clock) -> None:
        self.client, self.clock = client, clock

    def token(self, scopes: list[str] | None = None, ttl: int = 3600, **limits: Any) -> str:
        body = {"scopes": scopes or list(SCOPES.values()), "ttl": ttl, "limits": limits}
        answer = self.client.post("/tokens", json=body, auth=BASIC)
        assert answer.status_code == 200
        return str(answer.json()["token"])

    def send(self, token: str, route: str = "IT", *, dry_run: bool = False, text: str = "Ciao") -> int:
        path, recipient = SENDS[route]
        body = {"recipient": recipient, "message": text, "options": {"dryRun": dry_run}}
        return self.client.post(path, json=body, headers=bearer(token)).status_code

    def stats(self, token: str) -> dict[str, Any]:
        stats: dict[str, Any] = self.client.get(f"/tokens/{token}", auth=BASIC).json()["stats"]
        return stats

    def wallet(self) -> float:
        return float(self.client.get("/wallet", auth=BASIC).json()["data"]["credit"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    config = getattr(request, "param", {})
    clock = Clock()
    values = {
        "wallet": Decimal(10),
        "prices": {Route.IT: Decimal("0.04"), Route.ES: Decimal("0.05")},
        **config,
    }
    with (
        SimulatorThread(SimulatorConfig(**values), clock=clock) as stand_in,
        httpx.Client(base_url=stand_in.url) as client,
    ):
        yield Desk(client, clock)


def test_an_amount_is_a_cap_to_the_last_cent(desk: Desk) -> None:
    token = desk.token(walletAmount=0.12)
    assert [desk.send(token) for _ in range(4)] == [201, 201, 201, 402]
    assert desk.stats(token)["walletAmount"] == 0.12
    assert desk.wallet() == pytest.approx(9.88)
    assert desk.send("simulator") == 201  # the account itself has money


def test_requests_are_counted_whatever_their_answer(desk: Desk) -> None:
    token = desk.token([SCOPES["IT"]], totalRequests=4)
    assert desk.send(token, dry_run=True) == 201
    assert desk.send(token, text="") == 422
    assert desk.send(token, "ES") == 403
    assert [desk.send(token) for _ in range(2)] == [201, 402]
    stats = desk.stats(token)
    assert (stats["totalRequests"], stats["walletRequests"], stats["errorRequests"]) == (5, 1, 1)


@pytest.mark.parametrize("desk", [{"bundles": {Route.IT: 2}}], indirect=True)
def test_what_a_bundle_pays_takes_nothing_of_the_amount(desk: Desk) -> None:
    token = desk.token(walletAmount=0.04)
    assert [desk.send(token) for _ in range(4)] == [201, 201, 201, 402]
    assert desk.stats(token)["subscriptionRequests"] == 2


@pytest.mark.parametrize("desk", [{"bundles": {Route.IT: 5}}], indirect=True)
@pytest.mark.parametrize(
    ("limits", "answers"),
    [({"subscriptionRequests": 1}, [201, 402]), ({"walletRequests": 0}, [201, 201])],
)
def test_kinds_of_payment_are_limited_apart(desk: Desk, limits: dict[str, int], answers: list[int]) -> None:
    token = desk.token(**limits)
    assert [desk.send(token) for _ in answers] == answers


def test_a_refused_send_gives_everything_back(desk: Desk) -> None:
    token = desk.token(walletAmount=0.07)
    assert [desk.send(token), desk.send(token)] == [201, 402]
    assert desk.wallet() == pytest.approx(9.96)
    assert desk.stats(token)["walletAmount"] == 0.04


@pytest.mark.parametrize("desk", [{"token_limit_status": 429}], indirect=True)
def test_the_answer_beyond_a_limit_is_a_setting(desk: Desk) -> None:
    token = desk.token(totalRequests=1)
    assert [desk.send(token), desk.send(token)] == [201, 429]


def test_a_token_opens_nothing_once_it_is_over_or_deleted(desk: Desk) -> None:
    first, second = desk.token(ttl=60), desk.token()
    desk.clock.now += timedelta(seconds=61)
    assert (desk.send(first), desk.send(second)) == (401, 201)
    assert desk.client.delete(f"/tokens/{second}", auth=BASIC).status_code == 200
    assert desk.send(second) == 401


def test_larger_limits_let_the_same_token_go_on(desk: Desk) -> None:
    token = desk.token(totalRequests=1)
    assert [desk.send(token), desk.send(token)] == [201, 402]
    change = {"limits": {"totalRequests": 9}}
    assert desk.client.patch(f"/tokens/{token}", json=change, auth=BASIC).status_code == 200
    assert desk.send(token) == 201


def test_a_token_lists_messages_only_with_that_scope(desk: Desk) -> None:
    without, with_it = desk.token(), desk.token(["GET:sms.openapi.com/messages"])
    assert desk.client.get("/messages", headers=bearer(without)).status_code == 403
    assert desk.client.get("/messages", headers=bearer(with_it)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 422, 70),
        ({"scopes": "POST:x"}, 422, 80),
        ({"scopes": ["POST:sms.openapi.com/FAX"]}, 422, 90),
        ({"scopes": []}, 422, 90),
        ({"scopes": [SCOPES["IT"]], "limits": {"totalRequests": "many"}}, 422, 422),
    ],
)
def test_tokens_that_are_not_made(desk: Desk, body: dict[str, Any], status: int, error: int) -> None:
    answer = desk.client.post("/tokens", json=body, auth=BASIC)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize(
    "auth", [None, httpx.BasicAuth("simulator", "wrong"), httpx.BasicAuth("x", "simulator")]
)
@pytest.mark.parametrize(
    "call", ["GET /wallet", "GET /subscriptions", "GET /scopes", "POST /tokens", "GET /tokens"]
)
def test_no_account_call_without_its_credentials(desk: Desk, call: str, auth: httpx.Auth | None) -> None:
    method, path = call.split(" ")
    assert desk.client.request(method, path, json={}, auth=auth).status_code == 401
    assert desk.client.request(method, path, json={}, headers=bearer("simulator")).status_code == 401


@pytest.mark.parametrize(
    "desk", [{"bundles": {Route.IT: 1}, "bundles_end": datetime(2026, 12, 5, 13, tzinfo=UTC)}], indirect=True
)
def test_a_bundle_that_is_over_pays_nothing(desk: Desk) -> None:
    def active() -> bool:
        return bool(desk.client.get("/subscriptions", auth=BASIC).json()["data"][0]["active"])

    assert active()
    desk.clock.now += timedelta(hours=1)
    assert not active()
    assert desk.send("simulator") == 201
    assert desk.wallet() == pytest.approx(9.96)


def test_tokens_outlive_the_process(tmp_path: Path) -> None:
    config = SimulatorConfig(state=tmp_path / "state.db")
    with SimulatorThread(config) as stand_in, httpx.Client(base_url=stand_in.url) as client:
        token = Desk(client, Clock()).token(totalRequests=2)
        assert Desk(client, Clock()).send(token) == 201
    with SimulatorThread(config) as stand_in, httpx.Client(base_url=stand_in.url) as client:
        assert [Desk(client, Clock()).send(token) for _ in range(2)] == [201, 402]


def test_a_state_of_before_there_were_tokens_is_taken_over(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    with (
        SimulatorThread(SimulatorConfig(state=state)) as stand_in,
        httpx.Client(base_url=stand_in.url) as client,
    ):
        assert Desk(client, Clock()).send("simulator") == 201
    with sqlite3.connect(state) as db:
        db.execute("DROP TABLE tokens")
        db.execute("PRAGMA user_version = 20101")
    db.close()
    with (
        SimulatorThread(SimulatorConfig(state=state)) as stand_in,
        httpx.Client(base_url=stand_in.url) as client,
    ):
        assert Desk(client, Clock()).send(Desk(client, Clock()).token()) == 201
    assert len(stand_in.simulator.received()) == 2


def test_a_status_that_no_answer_has_is_refused() -> None:
    with pytest.raises(UsageError):
        SimulatorConfig(token_limit_status=200)
