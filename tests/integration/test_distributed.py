"""The same campaign on a cluster: workers fed by Redis, PostgreSQL as the ledger, one pace."""

from __future__ import annotations

import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dispatcher.gateway.simulator import Fault, Faults
from tests.integration.cluster import Cluster, new_cluster
from tests.integration.processes import (
    Cli,
    GatewayOutside,
    number,
    once_each,
    people,
    report_of,
    write_rows,
)
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres, PostgresServer
from tests.servers.proxy import Proxy
from tests.servers.valkey import Valkey, ValkeyServer


@pytest.fixture
def cluster(cli: Cli, gateway: GatewayOutside, postgres: Postgres, valkey: Valkey) -> Iterator[Cluster]:
    with new_cluster(cli, postgres, valkey) as made:
        yield made


def test_a_campaign_is_sent_by_workers_and_reported_by_run(
    cluster: Cluster, cli: Cli, gateway: GatewayOutside
) -> None:
    rows = people(300)
    write_rows(cli.folder / "a.csv", rows)
    for _ in range(2):
        cluster.worker()
    done = cli.json("run", "a.csv", "--yes")
    assert (done["code"], done["state"], done["counts"]) == (0, "finished", {"accepted": 300})
    assert gateway.sends() == once_each(rows)
    assert [row["sms_status"] for row in report_of(cli, done)] == ["accepted"] * 300


def test_run_waits_for_a_worker_and_says_so(cluster: Cluster, cli: Cli, gateway: GatewayOutside) -> None:
    rows = people(5)
    write_rows(cli.folder / "a.csv", rows)
    running = cli.start("run", "a.csv", "--yes", "--json")
    running.when(lambda: "No worker is running" in running.said)
    assert gateway.accepted() == []
    cluster.worker()
    ended = running.ended()
    assert (ended.code, ended.json["counts"]) == (0, {"accepted": 5})


def test_a_worker_that_is_told_to_stop_leaves_nothing_in_doubt(
    cluster: Cluster, cli: Cli, gateway: GatewayOutside
) -> None:
    rows = people(300)
    write_rows(cli.folder / "a.csv", rows)
    env = {"DISPATCHER_RATE_PER_MINUTE": "1200"}
    worker = cluster.worker(**env)
    running = cli.start("run", "a.csv", "--yes", "--json", **env)
    running.when(lambda: len(gateway.accepted()) >= 20)
    ended = worker.signal(signal.SIGTERM).ended()
    assert ended.code == 0
    sent = len(gateway.accepted())
    assert sent < 300
    counts = cli.json("status", "1")["counts"]
    assert counts == {"accepted": sent, "ready": 300 - sent}
    cluster.worker()
    assert running.ended().json["counts"] == {"accepted": 300}
    assert gateway.sends() == once_each(rows)


def test_a_small_campaign_is_not_held_back_by_a_large_one(
    cluster: Cluster, cli: Cli, gateway: GatewayOutside
) -> None:
    env = {"DISPATCHER_RATE_PER_MINUTE": "3000"}
    for _ in range(2):
        cluster.worker(**env)
    write_rows(cli.folder / "large.csv", [(number(n), "Large.") for n in range(6_000)])
    small = [(number(n), "Small.") for n in range(10_000, 10_050)]
    write_rows(cli.folder / "small.csv", small)
    large = cli.start("run", "large.csv", "--yes", "--json", **env)
    large.when(lambda: len(gateway.accepted()) >= 200)
    done = cli.json("run", "small.csv", "--yes", **env)
    assert done["counts"] == {"accepted": 50}
    arrived = [message for message in gateway.received() if message.accepted]
    first = next(i for i, message in enumerate(arrived) if message.message == "Small.")
    last = max(i for i, message in enumerate(arrived) if message.message == "Small.")
    # in its turn: about a third of the pace, and never behind the thousands that were there before
    assert last - first < 50 * 8
    assert cli("pause", "1").code == 0
    assert large.ended().json["state"] == "paused"


@pytest.mark.parametrize("how", [pytest.param("kill", marks=pytest.mark.long), "freeze"])
@pytest.mark.long
def test_others_go_on_when_a_worker_disappears(
    cluster: Cluster, cli: Cli, gateway: GatewayOutside, how: str
) -> None:
    rows = people(600)
    write_rows(cli.folder / "a.csv", rows)
    env = {"DISPATCHER_RATE_PER_MINUTE": "2400", "DISPATCHER_QUIET_SECONDS": "5"}
    lost, _ = cluster.worker(**env), cluster.worker(**env)
    running = cli.start("run", "a.csv", "--yes", "--json", **env)
    running.when(lambda: len(gateway.accepted()) >= 100)
    lost.signal(signal.SIGKILL if how == "kill" else signal.SIGSTOP)
    sent = len(gateway.accepted())
    running.when(lambda: len(gateway.accepted()) > sent + 200)
    if how == "freeze":
        lost.signal(signal.SIGCONT)
    done = running.ended(150).json
    assert set(done["counts"]) <= {"accepted", "in_doubt"}
    assert sum(done["counts"].values()) == 600
    assert done["state"] == ("sending" if "in_doubt" in done["counts"] else "finished")
    assert gateway.sends() <= once_each(rows)
    if how == "freeze":
        assert done["counts"] == {"accepted": 600}


@pytest.mark.parametrize(
    "what",
    [
        "redis is emptied",
        pytest.param("redis is killed", marks=pytest.mark.long),
        pytest.param("postgresql is killed", marks=pytest.mark.long),
    ],
)
def test_sending_goes_on_by_itself_when_a_server_is_back(
    cli: Cli, gateway: GatewayOutside, what: str
) -> None:
    rows = people(500)
    write_rows(cli.folder / "a.csv", rows)
    env = {"DISPATCHER_RATE_PER_MINUTE": "2400", "DISPATCHER_QUIET_SECONDS": "3"}
    with (
        PostgresServer() as postgres,
        ValkeyServer() as valkey,
        new_cluster(cli, postgres, valkey) as cluster,
    ):
        for _ in range(2):
            cluster.worker(**env)
        running = cli.start("run", "a.csv", "--yes", "--json", **env)
        running.when(lambda: len(gateway.accepted()) >= 100)
        if what == "redis is emptied":
            valkey.lose_everything()
        else:
            server = valkey if what == "redis is killed" else postgres
            server.stop(at_once=True)
            time.sleep(2.0)
            server.start()
        ended = running.ended(120)
        assert (ended.code, ended.json["counts"]) == (0, {"accepted": 500})
        assert gateway.sends() == once_each(rows)


@pytest.mark.long
def test_a_worker_of_one_gateway_never_sends_what_is_for_another(
    cluster: Cluster, cli: Cli, gateway: GatewayOutside, gateways: Callable[..., GatewayOutside]
) -> None:
    rows = people(20)
    write_rows(cli.folder / "a.csv", rows)
    other = gateways()  # the last one is what a person's commands talk to
    cluster.worker(DISPATCHER_GATEWAY=gateway.url)
    running = cli.start("run", "a.csv", "--yes", "--json")
    running.when(lambda: cli.json("status", "1").get("state") == "sending")
    time.sleep(3.0)  # several sweeps
    assert gateway.received() == []
    assert other.accepted() == []
    cluster.worker()
    assert running.ended().json["counts"] == {"accepted": 20}
    assert gateway.received() == []
    assert other.sends() == once_each(rows)


@pytest.mark.long
def test_doubts_are_looked_for_with_several_workers(
    cluster: Cluster, cli: Cli, gateways: Callable[..., GatewayOutside]
) -> None:
    gateway = gateways(faults=Faults(rates={Fault.RESET_AFTER: 0.03, Fault.ERROR_BEFORE: 0.03}), seed=3)
    rows = people(200)
    write_rows(cli.folder / "a.csv", rows)
    env = {"DISPATCHER_RATE_PER_MINUTE": "3000", "DISPATCHER_QUIET_SECONDS": "2"}
    for _ in range(3):
        cluster.worker(**env)
    done = cli.start("run", "a.csv", "--yes", "--json", **env).ended(170).json
    assert (done["state"], done["counts"]) == ("finished", {"accepted": 200})
    assert gateway.sends() == once_each(rows)


def test_other_pairs_are_refused(cluster: Cluster, cli: Cli, tmp_path: Path) -> None:
    write_rows(cli.folder / "a.csv", people(3))
    file = f"sqlite:///{tmp_path / 'other.db'}"
    for env in ({"DISPATCHER_LEDGER": file}, {"DISPATCHER_BROKER": "embedded"}):
        ended = cli("run", "a.csv", "--yes", "--json", **env)
        assert (ended.code, ended.error["code"]) == (2, "settings_pairing")


@pytest.mark.long
def test_who_would_keep_another_limit_does_not_start_beside_the_others(
    cluster: Cluster, cli: Cli, gateway: GatewayOutside, valkey: Valkey
) -> None:
    write_rows(cli.folder / "a.csv", people(3))
    worker = cluster.worker()
    with ValkeyServer() as another:
        elsewhere = {"DISPATCHER_BROKER": another.url()}
        ended = cli("run", "a.csv", "--yes", "--json", **elsewhere)
        assert (ended.code, ended.error["code"]) == (2, "settings_other_pace")
        assert gateway.received() == []
        with Proxy(valkey.port, valkey.host) as cable:  # the same server by another address
            by_cable = {"DISPATCHER_BROKER": valkey.url(cable.port)}
            assert cli.json("run", "a.csv", "--yes", **by_cable)["counts"] == {"accepted": 3}
        assert worker.signal(signal.SIGTERM).ended().code == 0
        moved = cluster.worker(**elsewhere)
        assert moved.signal(signal.SIGTERM).ended().code == 0


def test_the_simulator_inside_is_refused(cluster: Cluster, cli: Cli) -> None:
    ended = cli("worker", "--json", DISPATCHER_GATEWAY="simulator")
    assert (ended.code, ended.error["code"]) == (2, "settings_simulator_shared")


def test_a_worker_needs_a_gateway_by_name(cli: Cli) -> None:
    ended = cli("worker", "--json")
    assert (ended.code, ended.error["code"]) == (2, "settings_gateway_required")


@pytest.mark.long
def test_a_worker_serves_an_embedded_ledger_too(cli: Cli, gateway: GatewayOutside) -> None:
    rows = people(60)
    write_rows(cli.folder / "a.csv", rows)
    running = cli.start("run", "a.csv", "--yes", DISPATCHER_RATE_PER_MINUTE="600")
    running.when(lambda: len(gateway.accepted()) >= 10)
    running.process.kill()
    running.process.wait()
    assert cli("reconcile", "--absent-after", "1s").code in (0, 1)
    worker = cli.start("worker", "--json")
    worker.when(lambda: len(gateway.accepted()) == 60)
    ended = worker.signal(signal.SIGTERM).ended()
    assert ended.code == 0
    assert [line["event"] for line in ended.lines] == ["started", "ended"]
    assert gateway.sends() == once_each(rows)


@pytest.mark.long
def test_metrics_tell_what_was_done_and_nothing_of_people(
    cluster: Cluster, cli: Cli, gateway: GatewayOutside
) -> None:
    rows = people(40)
    write_rows(cli.folder / "a.csv", rows)
    port = free_port()
    worker = cluster.worker(DISPATCHER_METRICS_PORT=str(port))
    assert cli.json("run", "a.csv", "--yes")["counts"] == {"accepted": 40}
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        told = answer.read().decode()
    assert 'dispatcher_requests_total{kind="message",outcome="accepted",route="IT"} 40.0' in told
    slots = next(line for line in told.splitlines() if line.startswith("dispatcher_pace_slots_total "))
    assert float(slots.split()[1]) >= 40
    assert not any(recipient[1:] in told or text in told for recipient, text in rows)
    taken = cli("worker", "--json", DISPATCHER_METRICS_PORT=str(port))
    assert (taken.code, taken.error["code"]) == (2, "settings_metrics_port")
    logged = worker.signal(signal.SIGTERM).ended()
    assert not any(recipient in logged.out + logged.err or text in logged.err for recipient, text in rows)
