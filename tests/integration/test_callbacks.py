"""Callbacks from a real gateway's hand to the ledger: `serve` as its own process, killed, restarted, told nonsense."""

from __future__ import annotations

import itertools
import json
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from dispatcher.gateway.models import MessageState
from dispatcher.gateway.signing import SIGNATURE_HEADER, Signer
from dispatcher.gateway.simulator import Faults
from dispatcher.gateway.simulator.faults import Fault
from dispatcher.ledger import Accepted, Ledger, RowState
from tests.integration.cluster import new_cluster
from tests.integration.processes import Cli, GatewayOutside, Running, number, people, write_rows
from tests.servers.postgres import Postgres
from tests.servers.valkey import OwnDatabase
from tests.unit.loaded import START, load_campaign, loadable_row

R = RowState
SECRET = "a secret that nobody guesses"
QUICK = {"pending_after": 0.05, "final_after": (0.1, 0.3), "callback_poll": 0.02, "callback_backoff": 0.2}
LOADED = 400
FRENCH = "+33612345678"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def serving(cli: Cli, port: int = 0, **env: str) -> Running:
    """`serve`, once it listens."""
    running = cli.start("serve", "--port", str(port), "--json", **env)
    return running.when(lambda: running.out.count("\n") > 0)


def url_of(running: Running) -> str:
    listening = json.loads(running.out.splitlines()[0])
    assert listening["event"] == "listening"
    return str(listening["url"])


def states(cli: Cli, campaign: int) -> list[RowState]:
    ledger = Ledger.open(f"sqlite:///{cli.ledger}")
    try:
        return [row.state for row in ledger.queries.report_rows(campaign)]
    finally:
        ledger.dispose()


def send(cli: Cli, rows: int, **env: str) -> dict[str, Any]:
    write_rows(cli.folder / "people.csv", [*people(rows), (FRENCH, "Your appointment is at 9:00.")])
    return cli.json("run", "people.csv", "--yes", **env)


def test_what_is_sent_is_reported_back(cli: Cli, gateways: Callable[..., GatewayOutside]) -> None:
    """Late, doubled, out of order and some lost: who was told of is delivered, and nothing secret is shown."""
    gateways(
        **QUICK,
        ww_price_delay=0.06,
        callbacks_doubled_rate=0.5,
        forced_results={number(3): MessageState.EXPIRED},
        expires_after=0.2,
    )
    server = serving(cli)
    answer = send(cli, 12, DISPATCHER_CALLBACK_URL=url_of(server))
    assert answer["code"] in (0, 1), answer  # it may have heard already of the one that expired
    campaign = answer["campaign"]
    server.when(lambda: set(states(cli, campaign)) == {R.DELIVERED, R.EXPIRED})
    assert states(cli, campaign).count(R.EXPIRED) == 1
    ended = server.signal(signal.SIGTERM).ended()
    last = ended.lines[-1]
    assert (ended.code, last["event"], last["refused"], last["inbox"]) == (0, "ended", 0, 0)
    assert last["stored"] >= 24  # two states each
    ledger = Ledger.open(f"sqlite:///{cli.ledger}")
    (french,) = (row for row in ledger.queries.report_rows(campaign) if row.country == "FR")
    learnt = ledger.learnt.of(ledger.queries.campaign(campaign).gateway)
    assert (learnt["WW", "FR"].count, learnt["WW", "FR"].median) == (1, french.actual_cost)
    assert learnt["IT", "IT"].count == 12
    secret = ledger.agreement("callback_secret").reach("none", replace=False)
    assert ledger.processes.all() == []
    ledger.dispose()
    shown = ended.out + ended.err + cli("status", "--json").out
    assert secret not in shown
    assert not any(each in shown for each in (SIGNATURE_HEADER, number(3), number(0), "appointment"))


@pytest.mark.parametrize("fault", [Fault.HANG_AFTER, pytest.param(Fault.RESET_AFTER, marks=pytest.mark.long)])
def test_callbacks_prove_what_answers_leave_open(
    cli: Cli, gateways: Callable[..., GatewayOutside], fault: Fault
) -> None:
    """They come before the answer, or instead of it.  No listing shows anything: only they can tell."""
    faults = Faults(rates={fault: 0.4}, hang_seconds=1.5)
    gateway = gateways(**QUICK, listing_lag=10_000.0, faults=faults, seed=3)
    server = serving(cli, DISPATCHER_CALLBACK_SECRET=SECRET)
    env = {"DISPATCHER_CALLBACK_URL": url_of(server), "DISPATCHER_CALLBACK_SECRET": SECRET}
    answer = send(cli, 15, **env)
    assert answer["code"] == 0, answer
    assert set(gateway.sends().values()) == {1}
    server.when(lambda: set(states(cli, answer["campaign"])) == {R.DELIVERED})
    assert server.signal(signal.SIGTERM).ended().code == 0


def refused(metrics_port: int) -> float:
    found = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
    line = re.search(r'^dispatcher_callbacks_total{outcome="refused"} (.+)$', found, re.MULTILINE)
    return float(line[1]) if line else 0.0


@pytest.mark.long
def test_another_secret_stores_nothing(cli: Cli, gateways: Callable[..., GatewayOutside]) -> None:
    gateways(**QUICK)
    port = free_port()
    server = serving(cli, DISPATCHER_CALLBACK_SECRET=SECRET, DISPATCHER_METRICS_PORT=str(port))
    answer = send(cli, 3, DISPATCHER_CALLBACK_URL=url_of(server))  # which signs with the ledger's own
    server.when(lambda: refused(port) >= 6)
    ended = server.signal(signal.SIGINT).ended()
    assert (ended.code, ended.lines[-1]["stored"]) == (0, 0)
    assert set(states(cli, answer["campaign"])) == {R.ACCEPTED}


def accepted_campaign(cli: Cli, gateway: str) -> tuple[int, str]:
    """LOADED rows that the gateway has taken; gives the campaign and the ledger's id."""
    ledger = Ledger.open(f"sqlite:///{cli.ledger}", create=True)
    rows = [loadable_row(row) for row in range(2, 2 + LOADED)]
    campaign = load_campaign(ledger, 1, rows, START, gateway=gateway)
    ledger.campaigns.begin_preflight(campaign, START)
    ledger.campaigns.start_sending(campaign, START)
    ledger.rows.claim(campaign, owner="o", token="t", limit=LOADED, deadline=START, now=START)
    answers = [
        Accepted(token="t", row=row, message_id=f"m{row}", sent_at=START) for row in range(2, 2 + LOADED)
    ]
    ledger.rows.settle_and_claim(campaign, answers, None, START)
    found = campaign, ledger.id
    ledger.dispose()
    return found


class Gateway:
    """Posts one callback for each row, as a provider would, and remembers which were answered with 200."""

    def __init__(self, campaign: int, ledger_id: str, url: str) -> None:
        self._signer = Signer(SECRET)
        self._campaign = campaign
        self._ledger_id = ledger_id
        self._url = url
        self._client = httpx.Client(timeout=60)
        self.kept: set[int] = set()
        self._some = threading.Condition()

    def post(self, row: int) -> None:
        key = f"{self._ledger_id}.{self._campaign}.{row}"
        body = {"id": f"m{row}", "state": "DELIVERED", "callback": {"custom": {"row": key}}}
        headers = {SIGNATURE_HEADER: self._signer.signature(key)}
        try:
            if self._client.post(self._url, json=body, headers=headers).status_code != 200:
                return
        except httpx.TransportError:
            return
        with self._some:
            self.kept.add(row)
            self._some.notify_all()

    def wait_for(self, kept: int) -> None:
        with self._some:
            assert self._some.wait_for(lambda: len(self.kept) >= kept, timeout=60)

    def left(self) -> list[int]:
        return [row for row in range(2, 2 + LOADED) if row not in self.kept]


def test_what_was_answered_survives_a_kill(cli: Cli) -> None:
    """Killed twice under load: whatever got a 200 is in the ledger, and the rest is told again."""
    cli.env |= {"DISPATCHER_GATEWAY": "simulator", "DISPATCHER_CALLBACK_SECRET": SECRET}
    campaign, ledger_id = accepted_campaign(cli, "simulator")
    port = free_port()
    gateway = Gateway(campaign, ledger_id, f"http://127.0.0.1:{port}/callbacks")
    for killed_at in (60, 200, None):
        server = serving(cli, port)
        with ThreadPoolExecutor(16) as threads:
            posts = [threads.submit(gateway.post, row) for row in gateway.left()]
            if killed_at is not None:
                gateway.wait_for(killed_at)
                server.process.kill()
                server.process.wait()
            for each in posts:
                each.result()
        delivered = {
            row for row, state in zip(itertools.count(2), states(cli, campaign)) if state is R.DELIVERED
        }
        assert gateway.kept <= delivered
    assert gateway.left() == []
    assert server.signal(signal.SIGTERM).ended().code == 0


def test_several_servers_of_a_ledger_on_servers(
    cli: Cli, gateways: Callable[..., GatewayOutside], postgres: Postgres, valkey: OwnDatabase
) -> None:
    """Each machine for itself: the one that sends and the two that receive share the secret by the ledger."""
    gateways(**QUICK)
    with new_cluster(cli, postgres, valkey) as cluster:
        servers = [serving(cli), serving(cli)]
        cluster.worker(DISPATCHER_CALLBACK_URL=url_of(servers[0]))
        answer = send(cli, 5)
        ledger = cluster.ledger()
        servers[0].when(lambda: R.ACCEPTED not in ledger.queries.counts(answer["campaign"]))
        key = f"{ledger.id}.{answer['campaign']}.2"
        secret = ledger.agreement("callback_secret").reach("none", replace=False)
        body = {"id": "another", "callback": {"custom": {"row": key}}}
        headers = {SIGNATURE_HEADER: Signer(secret).signature(key)}
        assert httpx.post(url_of(servers[1]), json=body, headers=headers).status_code == 200
        roles = Counter(process.role for process in ledger.processes.all())
        assert (roles["serve"], roles["worker"]) == (2, 1)
        ledger.dispose()
        assert {server.signal(signal.SIGTERM).ended().code for server in servers} == {0}


def test_a_port_that_is_taken_is_named(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = cli.json("serve", "--port", str(port), "--gateway", "simulator")
    assert (answer["code"], answer["error"]["code"]) == (2, "serve_port_taken")
    assert answer["error"]["found"] == str(port)


def test_its_gateway_has_to_be_named(cli: Cli) -> None:
    answer = cli.json("serve", "--port", "0")
    assert (answer["code"], answer["error"]["code"]) == (2, "settings_gateway_required")


def test_metrics_and_health_say_what_came_in(cli: Cli) -> None:
    port = free_port()
    env = {"DISPATCHER_METRICS_PORT": str(port), "DISPATCHER_GATEWAY": "simulator"}
    server = serving(cli, **env)
    assert httpx.post(url_of(server), json={}).status_code == 401
    assert refused(port) == 1
    assert "dispatcher_inbox_reports 0.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert server.signal(signal.SIGTERM).ended().code == 0
