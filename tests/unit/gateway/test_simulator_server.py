"""The simulator over HTTP: forms, listing, limit, one-time codes, and what survives a kill."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher.errors import UsageError
from dispatcher.gateway.models import Message
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.wording import LANGUAGES, Wording

SEND = {"recipient": "+393123456789", "message": "Ciao"}
CODE = {"recipient": "+393123456789"}
CALLBACK = {"url": "http://127.0.0.1:9/nobody"}
START = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved; the same seconds serve as monotonic time."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return (self.now - START).total_seconds()

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@contextmanager
def gateway(clock: Clock | None = None, **settings: Any) -> Iterator[tuple[SimulatorThread, httpx.Client]]:
    clock = clock or Clock()
    config = SimulatorConfig(**settings)
    with (
        SimulatorThread(config, clock=clock, monotonic=clock.monotonic) as stand_in,
        httpx.Client(base_url=stand_in.url, headers={"Authorization": "Bearer simulator"}) as client,
    ):
        yield stand_in, client


def send(client: httpx.Client, text: str, **change: Any) -> httpx.Response:
    return client.post("/IT-messages", json={**SEND, "message": text, **change})


def texts(client: httpx.Client, **query: int) -> list[str]:
    return [message["message"] for message in client.get("/messages", params=query).json()["data"]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"recipient": None}, 9422),
        ({"recipient": 393123456789}, 9422),
        ({"message": ""}, 9422),
        ({"message": ["Ciao"]}, 9422),
        ({"sender": 12345}, 9422),
        ({"sender": "   "}, 2021),
        ({"sender": "Perché"}, 2021),
        ({"sender": "12 345"}, 2024),
        ({"options": []}, 9422),
        ({"options": {"dryRun": "true"}}, 9422),
        ({"options": {"failOnMultipleMessages": True}, "message": "a" * 161}, 9423),
        ({"callback": "http://127.0.0.1"}, 9422),
        ({"callback": {"url": "ftp://127.0.0.1"}}, 9422),
        ({"callback": {"url": "http://["}}, 9422),
        ({"callback": {**CALLBACK, "method": "GET"}}, 9422),
        ({"callback": {**CALLBACK, "field": ""}}, 9422),
        ({"callback": {**CALLBACK, "retry": True}}, 9422),
        ({"callback": {**CALLBACK, "headers": {"X": 1}}}, 9422),
        ({"callback": {**CALLBACK, "headers": {"X": "a\r\nY: b"}}}, 9422),
        ({"callback": {**CALLBACK, "custom": []}}, 9422),
    ],
    ids=str,
)
def test_forms_that_are_refused(change: dict[str, Any], code: int) -> None:
    with gateway() as (stand_in, client):
        answer = client.post("/IT-messages", json={**SEND, **change})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert stand_in.simulator.received() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/IT-messages", b"{", 400),
        ("POST", "/IT-messages", b"\xff\xfe", 400),
        ("POST", "/otp", b"[" * 100_000, 400),
        ("POST", "/IT-messages", b"[]", 422),
        ("POST", "/IT-messages", b" " * 2_000_000, 413),
        ("GET", "/messages?limit=-1", b"", 422),
        ("GET", "/messages?skip=many", b"", 422),
        ("GET", "/messages/xyz", b"", 404),
        ("GET", "/IT-messages", b"", 404),
        ("POST", "/FR-messages", b"{}", 404),
        ("GET", "/_simulator/none", b"", 404),
    ],
)
def test_requests_that_are_no_request(method: str, path: str, body: bytes, status: int) -> None:
    with gateway() as (_, client):
        answer = client.request(method, path, content=body)
        assert answer.status_code == status
        assert isinstance(answer.json(), dict)


@pytest.mark.parametrize("sender", [None, ""])
def test_no_sender_silently_becomes_the_default(sender: str | None) -> None:
    with gateway() as (_, client):
        assert send(client, "Ciao", sender=sender).json()["data"]["sender"] == "Openapi"


def test_text_and_custom_data_come_back_unchanged() -> None:
    text, custom = "à €\u00a0😀\n\t\ud800 «x»", {"row": "1", "nested": [None, 1.5, {"è": True}]}
    body = {**SEND, "message": text, "callback": {**CALLBACK, "custom": custom}}
    with gateway() as (stand_in, client):
        made = client.post("/IT-messages", content=json.dumps(body).encode()).json()["data"]
        [listed] = client.get("/messages").json()["data"]
        [kept] = stand_in.simulator.received()
    for seen in (made, listed):
        assert (seen["message"], seen["callback"]["custom"]) == (text, custom)
    assert (kept.message, kept.custom, kept.row_key) == (text, custom, "1")


@pytest.mark.parametrize(
    ("custom", "row_key"), [(None, None), ({"row": "r"}, "r"), ({"k": "r"}, "r"), ({"row": "r", "b": 1}, "r")]
)
def test_the_row_key_is_found_in_the_custom_data(custom: dict[str, Any] | None, row_key: str | None) -> None:
    with gateway() as (stand_in, client):
        send(client, "a", callback={**CALLBACK, "custom": custom})
        assert stand_in.simulator.received()[0].row_key == row_key


def test_our_own_client_types_can_read_it() -> None:
    with gateway(ww_price_delay=0) as (stand_in, client):
        answer = client.post("/WW-messages", json={**SEND, "options": {"dryRun": True}, "callback": CALLBACK})
        message = Message.model_validate(answer.json()["data"])
        assert message.created_at == START
        assert message.is_dry_run
        assert message.total_price == stand_in.simulator.received()[0].total_price


@pytest.mark.parametrize(("order", "expected"), [("newest", ["c", "b", "a"]), ("oldest", ["a", "b", "c"])])
def test_paging_walks_the_whole_listing(order: str, expected: list[str]) -> None:
    with gateway(listing_order=order, limit_cap=2) as (_, client):
        for text in "abc":
            send(client, text)
        assert texts(client, limit=1000) == expected[:2]
        assert [texts(client, skip=skip, limit=1) for skip in range(4)] == [
            *([text] for text in expected),
            [],
        ]
        assert texts(client, limit=0) == []


@pytest.mark.parametrize("lists", [False, True])
def test_dry_runs_are_listed_only_where_configured(lists: bool) -> None:
    with gateway(lists_dry_runs=lists) as (stand_in, client):
        made = send(client, "try", options={"dryRun": True}).json()["data"]
        assert texts(client) == (["try"] if lists else [])
        assert client.get(f"/messages/{made['id']}").status_code == (200 if lists else 404)
        assert [message.dry_run for message in stand_in.simulator.received()] == [True]
        assert stand_in.simulator.sends() == {}


def test_the_listing_lags_behind() -> None:
    clock = Clock()
    with gateway(clock, listing_lag=5) as (_, client):
        send(client, "a")
        clock.move(4.9)
        assert texts(client) == []
        clock.move(0.1)
        assert texts(client) == ["a"]


def test_accounts_do_not_see_each_other() -> None:
    with gateway(accounts={"second": "beta"}) as (stand_in, client):
        made = send(client, "a").json()["data"]
        send(client, "casino")
        other = {"Authorization": "bearer second"}
        assert client.get("/messages", headers=other).json() == {"data": []}
        assert client.get(f"/messages/{made['id']}", headers=other).status_code == 404
        assert send(client, "b").status_code == 403
        assert client.post("/IT-messages", json=SEND, headers=other).json()["data"]["username"] == "beta"
        blocklisted = {
            name: entry["blocklisted"] for name, entry in stand_in.simulator.stats()["accounts"].items()
        }
        assert blocklisted == {"simulator": True, "beta": False}


def test_a_blocked_message_is_listed_as_such() -> None:
    with gateway(wallet=10) as (stand_in, client):
        client.post("/WW-messages", json={**SEND, "message": "casino"})
        [listed] = client.get("/messages").json()["data"]
        assert (listed["blocklisted"], listed["state"], listed["totalPrice"]) == (True, "REJECTED", 1.0)
        assert stand_in.simulator.stats()["accounts"]["simulator"]["wallet"] == "9"
        assert stand_in.simulator.sends() == {}


def test_a_blocked_message_can_be_answered_with_a_success() -> None:
    with gateway(forbidden_answer=201) as (_, client):
        answer = send(client, "casino")
        assert (answer.status_code, answer.json()["data"]["blocklisted"]) == (201, True)
        assert send(client, "Ciao").status_code == 403


def test_the_limit_holds_in_any_minute_and_counts_every_request() -> None:
    clock = Clock()
    with gateway(clock, requests_per_minute=3) as (stand_in, client):
        assert client.get("/messages").status_code == 200
        clock.move(20)
        assert send(client, "try", options={"dryRun": True}).status_code == 201
        assert client.get("/messages", headers={"Authorization": ""}).status_code == 401
        clock.move(10)
        refused = send(client, "a")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")
        clock.move(30)
        assert send(client, "a").status_code == 201
        assert send(client, "b").status_code == 429
        assert client.get("/_simulator/stats").json()["requests"] == 6
        assert stand_in.simulator.busiest() == 5
        assert stand_in.simulator.busiest(10) == 2
        walls = [wall - START.timestamp() for _, wall in client.get("/_simulator/arrivals").json()]
        assert walls == [0, 20, 20, 30, 60, 60]


def test_the_date_header_is_the_gateways_own_time() -> None:
    clock = Clock()
    clock.move(-3600)
    with gateway(clock) as (_, client):
        answer = send(client, "a")
        assert parsedate_to_datetime(answer.headers["Date"]) == clock.now
        assert answer.json()["data"]["createdAt"] == "2026-01-05T11:00:00.000Z"


@pytest.mark.parametrize(
    ("first", "second", "after", "same"),
    [
        ({"cacheSeconds": 60}, {"cacheSeconds": 60}, 59, True),
        ({"cacheSeconds": 60}, {"cacheSeconds": 60}, 60, False),
        ({}, {}, 1, False),
        ({"cacheSeconds": 60}, {"length": 6}, 1, False),
        ({"cacheSeconds": 60}, {"alphanumeric": True}, 1, False),
        ({"cacheSeconds": 60}, {"recipient": "+34612345678"}, 1, False),
        ({"cacheSeconds": 60, "options": {"dryRun": True}}, {}, 1, False),
    ],
)
def test_a_code_is_reused_while_it_is_remembered(
    first: dict[str, Any], second: dict[str, Any], after: float, same: bool
) -> None:
    clock = Clock()
    with gateway(clock) as (_, client):
        one = client.post("/otp", json={**CODE, **first}).json()["data"]
        clock.move(after)
        two = client.post("/otp", json={**CODE, **second}).json()["data"]
    assert (one["otp"] == two["otp"]) is same
    assert one["otp"].isdigit()
    assert (len(one["otp"]), len(two["otp"])) == (5, second.get("length", 5))


def test_a_code_is_sent_in_the_recipients_language_at_the_worldwide_price() -> None:
    with gateway(ww_price_delay=5) as (stand_in, client):
        italian = client.post("/otp", json=CODE).json()["data"]
        british = client.post("/otp", json={"recipient": "+447400123456"}).json()["data"]
        costs = [message.total_price for message in stand_in.simulator.received()]
        assert costs == [stand_in.simulator.config.ww_prices[country] for country in ("IT", "GB")]
    assert italian["message"] == f"Il tuo codice di verifica è {italian['otp']}"
    assert british["message"] == f"Your verification code is {british['otp']}"
    assert (italian["sender"], italian["isOtp"], italian["totalPrice"]) == ("OTP MOBILE", True, 0)


def test_what_was_received_stays_readable_after_the_stop_and_after_a_restart() -> None:
    with gateway() as (stand_in, client):
        made = send(client, "a").json()["data"]
    assert [message.id for message in stand_in.simulator.received()] == [made["id"]]
    with (
        stand_in,
        httpx.Client(base_url=stand_in.url, headers={"Authorization": "Bearer simulator"}) as client,
    ):
        assert client.get(f"/messages/{made['id']}").status_code == 200
        over_http = client.get("/_simulator/received", params={"skip": 0, "limit": 5}).json()
    assert [(message["id"], message["total_price"]) for message in over_http] == [(made["id"], "0.045")]


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one" * 100, None])
def test_a_file_of_somebody_else_is_refused_and_left_alone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.sqlite"
    if content is None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE theirs (x)")
        content = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        SimulatorThread(SimulatorConfig(state=path)).start()
    assert path.read_bytes() == content
    for language in LANGUAGES:
        assert str(path) in str(Wording(language).error(refused.value)["message"])


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with gateway() as (stand_in, _):
        port = httpx.URL(stand_in.url).port
        assert port
        with pytest.raises(UsageError) as refused:
            SimulatorThread(SimulatorConfig(), port=port).start()
    for language in LANGUAGES:
        assert str(port) in str(Wording(language).error(refused.value)["message"])


SERVER = """
import sys
from pathlib import Path
from dispatcher.gateway.simulator import SimulatorConfig, run
run(SimulatorConfig(state=Path(sys.argv[1])), port=0, on_started=lambda url: print(url, flush=True),
    on_stopped=lambda: print("stopped", flush=True))
"""


@contextmanager
def process(state: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    root = Path(__file__).parents[3]
    running = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(state)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    try:
        assert running.stdout
        yield running, running.stdout.readline().strip()
    finally:
        running.kill()
        running.communicate()


def post(url: str, text: str) -> str | None:
    """The id in the 201, None when the answer was lost."""
    try:
        answer = httpx.post(
            url + "/IT-messages",
            json={**SEND, "message": text},
            headers={"Authorization": "Bearer simulator"},
        )
    except httpx.TransportError:
        return None
    return str(answer.json()["data"]["id"])


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    state = tmp_path / "gateway.sqlite"
    answered: list[str] = []
    enough = threading.Event()

    def sender(name: str) -> None:
        number = 0
        while (made := post(url, f"{name} {number}")) is not None:
            answered.append(made)
            number += 1
            if len(answered) > 50:
                enough.set()

    with process(state) as (running, url), ThreadPoolExecutor(4) as senders:
        done = [senders.submit(sender, name) for name in "abcd"]
        enough.wait(60)
        running.kill()
        for sending in done:
            sending.result()
    with SimulatorThread(SimulatorConfig(state=state)) as again:
        kept = [message.id for message in again.simulator.received()]
        assert set(answered) <= set(kept)
        assert len(kept) == len(set(kept)) <= len(answered) + 4


def test_processes_share_one_file(tmp_path: Path) -> None:
    state = tmp_path / "gateway.sqlite"
    with process(state) as (_, one), process(state) as (_, two), ThreadPoolExecutor(4) as senders:
        made = list(senders.map(lambda n: post((one, two)[n % 2], f"n {n}"), range(60)))
        listed = httpx.get(one + "/messages", headers={"Authorization": "Bearer simulator"}).json()["data"]
        stats = httpx.get(two + "/_simulator/stats").json()
    assert {message["id"] for message in listed} == set(made)
    assert len(set(made)) == stats["accepted"] == 60
    assert stats["accounts"]["simulator"]["wallet"] == "99997.3"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_a_process_stops_in_good_order(tmp_path: Path) -> None:
    with process(tmp_path / "gateway.sqlite") as (running, url):
        assert post(url, "a")
        running.terminate()
        assert running.stdout
        assert running.stdout.read() == "stopped\n"
        assert running.wait(30) == 0
