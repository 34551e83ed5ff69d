"""A watched folder that several machines see: PostgreSQL as the ledger, Redis for the queue and the limit."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster, new_cluster
from tests.integration.processes import Cli, GatewayOutside, Running, once_each, people
from tests.integration.watching import Watched, table
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey


@pytest.fixture
def watched(cli: Cli, gateway: GatewayOutside, postgres: Postgres, valkey: Valkey) -> Iterator[Watched]:
    with new_cluster(cli, postgres, valkey) as cluster:
        assert isinstance(cluster, Cluster)
        cli.env |= {**cluster.env, "CHAOS_HASTE": "1"}
        yield Watched(cli)


def machine(watched: Watched, tmp_path: Path, name: str, **env: str) -> Running:
    """A watcher on a machine of its own: it cannot see the other one's lock."""
    home = tmp_path / name
    home.mkdir()
    return watched.start(HOME=str(home), XDG_DATA_HOME=str(home / "data"), **env)


def test_a_watcher_sends_without_any_worker(watched: Watched, gateway: GatewayOutside) -> None:
    rows = people(30)
    watched.drop("a.csv", table(rows))
    watched.start().when(watched.is_at("done", "a.csv")).signal(signal.SIGTERM).ended()
    assert gateway.sends() == once_each(rows)


@pytest.mark.long
def test_one_of_two_machines_works_and_the_other_takes_over(
    watched: Watched, gateway: GatewayOutside, tmp_path: Path
) -> None:
    one, two = (machine(watched, tmp_path, name) for name in ("one", "two"))
    watched.drop("a.csv", table(people(20)))
    one.when(watched.is_at("done", "a.csv"))
    told = [len(watched.told(each, "taken")) for each in (one, two)]
    assert sorted(told) == [0, 1]
    working, other = (one, two) if told[0] else (two, one)
    working.signal(signal.SIGKILL).ended()
    watched.drop("b.csv", table(people(20, first=50)))
    other.when(watched.is_at("done", "b.csv"))
    other.signal(signal.SIGTERM).ended()
    assert gateway.sends() == once_each(people(20)) + once_each(people(20, first=50))


@pytest.mark.long
def test_another_machine_finishes_what_was_begun_and_writes_its_report(
    watched: Watched, gateway: GatewayOutside, tmp_path: Path
) -> None:
    rows = people(40)
    watched.drop("a.csv", table(rows))
    one = machine(watched, tmp_path, "one", DISPATCHER_RATE_PER_MINUTE="600")
    one.when(lambda: gateway.sends().total() > 3)
    one.signal(signal.SIGTERM).ended()
    machine(watched, tmp_path, "two").when(watched.is_at("done", "a.csv")).signal(signal.SIGTERM).ended()
    assert gateway.sends() == once_each(rows)
    assert watched.beside("a.csv", ".report.csv").read_text("utf-8-sig").count(",accepted,") == len(rows)
