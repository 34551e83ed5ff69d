"""Callbacks of the simulator, received on a real socket."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread

SEND = {"recipient": "+393123456789", "message": "Ciao"}
TOKEN = {"Authorization": "Bearer simulator"}
START = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Receiver(ThreadingHTTPServer):
    """Keeps what it is posted; answers with the statuses it is given, then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.arrived = threading.Condition()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/here"

    def wait_for(self, posts: int) -> list[tuple[dict[str, str], bytes]]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posts) >= posts, timeout=30)
            return list(self.posts)


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.arrived:
            self.server.posts.append((dict(self.headers), body))
            status = self.server.statuses.pop(0) if self.server.statuses else 200
            self.server.arrived.notify_all()
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


async def no_wait(_: float) -> None:
    return None


def config(**settings: Any) -> SimulatorConfig:
    return SimulatorConfig(pending_after=1, final_after=(10, 10), callback_poll=0.005, **settings)


def send(url: str, callback: dict[str, Any], **change: Any) -> dict[str, Any]:
    answer = httpx.post(url + "/IT-messages", json={**SEND, "callback": callback, **change}, headers=TOKEN)
    assert answer.status_code == 201
    data: dict[str, Any] = answer.json()["data"]
    return data


def test_every_change_of_state_is_posted_with_headers_and_custom(receiver: Receiver) -> None:
    clock = Clock()
    callback = {"url": receiver.url, "headers": {"X-Key": "k"}, "custom": {"row": "r1"}}
    with SimulatorThread(config(), clock=clock) as stand_in:
        sent = send(stand_in.url, callback)
        clock.now = START + timedelta(seconds=1)
        receiver.wait_for(1)
        clock.now = START + timedelta(seconds=10)
        posts = receiver.wait_for(2)
    bodies = [json.loads(body) for _, body in posts]
    assert [body["state"] for body in bodies] == ["PENDING", "DELIVERED"]
    assert {body["id"] for body in bodies} == {sent["id"]}
    assert all(body["callback"]["custom"] == {"row": "r1"} for body in bodies)
    assert all(headers["X-Key"] == "k" for headers, _ in posts)
    assert all(headers["Content-Type"] == "application/json" for headers, _ in posts)


@pytest.mark.parametrize("field", [None, "payload"])
def test_the_form_method_puts_the_object_in_a_field(receiver: Receiver, field: str | None) -> None:
    clock = Clock()
    with SimulatorThread(config(), clock=clock) as stand_in:
        send(stand_in.url, {"url": receiver.url, "method": "POST", **({"field": field} if field else {})})
        clock.now = START + timedelta(seconds=1)
        [(headers, body)] = receiver.wait_for(1)
    assert headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    form = parse_qs(body.decode())
    assert json.loads(form[field or "data"][0])["state"] == "PENDING"


@pytest.mark.parametrize(
    ("retry", "statuses", "posts", "delivered"),
    [(0, [500], 1, 0), (2, [500, 204], 3, 1), (2, [500, 500, 500], 3, 0)],
)
def test_retries_until_a_200(
    receiver: Receiver, retry: int, statuses: list[int], posts: int, delivered: int
) -> None:
    clock = Clock()
    receiver.statuses = list(statuses)
    with SimulatorThread(config(), clock=clock, sleep=no_wait) as stand_in:
        send(stand_in.url, {"url": receiver.url, "retry": retry})
        clock.now = START + timedelta(seconds=1)
        receiver.wait_for(posts)
        clock.now = START + timedelta(
            seconds=10
        )  # the next change tells that no further try comes in between
        states = [json.loads(body)["state"] for _, body in receiver.wait_for(posts + 1)]
        while stand_in.simulator.stats()["callbacks"]["waiting"]:
            time.sleep(0.001)
        tally = stand_in.simulator.stats()["callbacks"]
    assert states == ["PENDING"] * posts + ["DELIVERED"]
    assert tally == {"delivered": delivered + 1, "failed": 1 - delivered, "lost": 0, "waiting": 0}


def test_late_callbacks_overtake_each_other_and_each_200_is_heard_of(receiver: Receiver) -> None:
    """The first one waits for longer than the message takes to its end."""
    clock, first_may_go, heard = Clock(), threading.Event(), []

    async def sleep(seconds: float) -> None:
        if not waited:
            waited.append(seconds)
            await asyncio.to_thread(first_may_go.wait, 30)

    waited: list[float] = []
    receiver.statuses = [200, 500]
    with SimulatorThread(
        config(callbacks_late=(2.0, 3.0)),
        clock=clock,
        sleep=sleep,
        acknowledged=lambda *told: heard.append(told),
    ) as stand_in:
        sent = send(stand_in.url, {"url": receiver.url})
        clock.now = START + timedelta(seconds=1)
        while not waited:
            time.sleep(0.001)
        clock.now = START + timedelta(seconds=10)
        receiver.wait_for(1)
        first_may_go.set()
        posts = receiver.wait_for(2)
        while stand_in.simulator.stats()["callbacks"]["waiting"]:
            time.sleep(0.001)
    assert [json.loads(body)["state"] for _, body in posts] == ["DELIVERED", "PENDING"]
    assert 2.0 <= waited[0] <= 3.0
    assert heard == [(sent["id"], "DELIVERED")]


@pytest.mark.parametrize("posts", [0, 2])
def test_callbacks_can_be_lost_or_doubled(receiver: Receiver, posts: int) -> None:
    clock = Clock()
    rates = {"callbacks_lost_rate": 1.0} if posts == 0 else {"callbacks_doubled_rate": 1.0}
    with SimulatorThread(config(**rates), clock=clock) as stand_in:
        send(stand_in.url, {"url": receiver.url})
        clock.now = START + timedelta(seconds=1)
        while stand_in.simulator.stats()["callbacks"]["lost"] + len(receiver.posts) < max(posts, 1):
            time.sleep(0.001)
    assert len(receiver.posts) == posts


def test_callbacks_that_came_due_during_a_stop_are_posted_after_it(
    receiver: Receiver, tmp_path: Path
) -> None:
    clock = Clock()
    kept = config(state=tmp_path / "gateway.sqlite")
    with SimulatorThread(kept, clock=clock) as stand_in:
        send(stand_in.url, {"url": receiver.url})
    clock.now = START + timedelta(hours=1)
    with SimulatorThread(kept, clock=clock):
        posts = receiver.wait_for(2)
    assert sorted(json.loads(body)["state"] for _, body in posts) == ["DELIVERED", "PENDING"]


def test_dry_runs_and_blocked_messages_post_nothing(receiver: Receiver) -> None:
    clock = Clock()
    with SimulatorThread(config(), clock=clock) as stand_in:
        send(stand_in.url, {"url": receiver.url}, options={"dryRun": True})
        last = send(stand_in.url, {"url": receiver.url})
        bad = {**SEND, "message": "casino", "callback": {"url": receiver.url}}
        httpx.post(stand_in.url + "/IT-messages", json=bad, headers=TOKEN)
        clock.now = START + timedelta(hours=1)
        posts = receiver.wait_for(2)
    assert {json.loads(body)["id"] for _, body in posts} == {last["id"]}


def test_a_dead_receiver_delays_no_answer(receiver: Receiver) -> None:
    clock = Clock()
    receiver.shutdown()
    with SimulatorThread(config(), clock=clock, sleep=no_wait) as stand_in:
        send(stand_in.url, {"url": "http://127.0.0.1:9/nobody", "retry": 5})
        clock.now = START + timedelta(seconds=1)
        while not stand_in.simulator.stats()["callbacks"]["failed"]:
            send(stand_in.url, {"url": "http://127.0.0.1:9/nobody"})
        assert stand_in.simulator.stats()["callbacks"]["delivered"] == 0
