"""Machines under fire: workers on two machines, each with cables of its own to a PostgreSQL and a Redis.

Workers are killed, frozen and cut off; the servers are restarted, killed and emptied, while a ``run`` on a third
machine follows.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from dataclasses import field as later
from pathlib import Path
from typing import Any

from dispatcher.gateway.simulator import SimulatorConfig
from tests.chaos.harness import (
    HASTE,
    PYTHON_FAILED,
    RUNNER,
    TRACEBACK,
    Account,
    Battlefield,
    battlefield,
    end,
    exit_event,
    settle_accounts,
    tail,
    until,
)
from tests.chaos.scenarios import Size
from tests.chaos.siege import Sender, started_again
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy
from tests.servers.valkey import ValkeyServer

WORKER = (sys.executable, "-m", "tests.chaos.runner", "worker")
MACHINES, WORKERS = 2, 4
GRACE = 600.0
FROZEN, FOR_LONG = (2.0, 7.0), (22.0, 26.0)  # for longer than a server leaves its transaction open
AWAY = (1.0, 4.0)  # seconds a server or a cable is away


@dataclass
class Machine:
    """A home of its own, and two cables."""

    home: Path
    to_postgres: Proxy
    to_valkey: Proxy
    settings: dict[str, str] = later(default_factory=dict)

    def env(self, cluster: Cluster) -> dict[str, str]:
        """How a process of this machine reaches everything."""
        return {
            **self.settings,
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "DISPATCHER_LEDGER": cluster.ledger_url(self.to_postgres.port),
            "DISPATCHER_BROKER": cluster.valkey.url(port=self.to_valkey.port),
        }


@dataclass
class Worker:
    """One process of a machine, started again when it is gone."""

    name: str
    machine: Machine
    cluster: Cluster
    process: subprocess.Popen[bytes] = later(init=False)

    def start(self) -> None:
        """Another process."""
        env = self.machine.env(self.cluster)
        self.process = self.cluster.field.launch([*WORKER, "--json"], self.name, env)

    def see(self, account: Account) -> None:
        """Start it again when it ended by itself; AssertionError when it failed."""
        code = self.process.poll()
        if code is not None:
            said = tail(self.cluster.field, Path(self.name))
            account.events[exit_event(code)] += 1
            if PYTHON_FAILED in said or code != 5:  # unreachable while starting is all that may be
                raise AssertionError(f"{self.name} ended with {code}: {said}")
            self.start()
            account.restarts += 1


@dataclass
class Cluster:
    """Servers, machines and workers."""

    postgres: PostgresServer
    valkey: ValkeyServer
    field: Battlefield
    machines: list[Machine]
    workers: list[Worker] = later(default_factory=list)

    def start_workers(self) -> None:
        """As many on each machine."""
        for i in range(WORKERS):
            self.workers.append(Worker(f"worker-{i}", self.machines[i % MACHINES], self))
            self.workers[-1].start()

    def ledger_url(self, port: int) -> str:
        """Through a cable."""
        return self.postgres.url(port=port).replace("postgresql:", "postgresql+psycopg:")


Disturbance = Callable[[Cluster, Worker, random.Random, Account], None]


def kill(_cluster: Cluster, worker: Worker, _rng: random.Random, account: Account) -> None:
    """SIGKILL, and another one starts."""
    end(worker.process)
    account.kills += 1
    worker.start()


def freeze(_cluster: Cluster, worker: Worker, rng: random.Random, account: Account) -> None:
    """The process stands still, the world does not."""
    worker.process.send_signal(signal.SIGSTOP)
    time.sleep(rng.uniform(*(FROZEN if rng.random() < 0.7 else FOR_LONG)))
    worker.process.send_signal(signal.SIGCONT)
    account.freezes += 1


def cut_off(_cluster: Cluster, worker: Worker, rng: random.Random, account: Account) -> None:
    """A machine's cable to one server is pulled, or nothing comes through it."""
    cable = rng.choice([worker.machine.to_postgres, worker.machine.to_valkey])
    how = rng.choice(["stalled", "cut"])
    (cable.stall if how == "stalled" else cable.cut)()
    time.sleep(rng.uniform(*AWAY))
    cable.mend()
    account.events[f"cable {how}"] += 1


def restart_valkey(cluster: Cluster, _worker: Worker, rng: random.Random, account: Account) -> None:
    """The server of queue and limit is away for a while."""
    cluster.valkey.stop(at_once=rng.random() < 0.5)
    time.sleep(rng.uniform(*AWAY))
    cluster.valkey.start()
    account.events["redis restarted"] += 1


def empty_valkey(cluster: Cluster, _worker: Worker, _rng: random.Random, account: Account) -> None:
    """Queue, board and limit are lost."""
    cluster.valkey.lose_everything()
    account.events["redis emptied"] += 1


def restart_postgres(cluster: Cluster, _worker: Worker, rng: random.Random, account: Account) -> None:
    """The ledger's server is away for a while."""
    cluster.postgres.stop(at_once=rng.random() < 0.5)
    time.sleep(rng.uniform(*AWAY))
    cluster.postgres.start()
    account.events["postgresql restarted"] += 1


DISTURBANCES: Mapping[Disturbance, float] = {
    kill: 4,
    freeze: 2,
    cut_off: 2,
    restart_valkey: 1,
    empty_valkey: 1,
    restart_postgres: 1,
}


def cluster_under_fire(folder: Path, size: Size, config: SimulatorConfig | None = None) -> Account:
    """One campaign sent by four workers on two machines, disturbed ``size.disturbances`` times."""
    config = config or SimulatorConfig(
        state=folder / "gateway.db",
        requests_per_minute=None,
        final_after=(86_400.0, 86_400.0),  # workers hear what becomes of messages: here they stay accepted
        seed=size.seed,
        arrivals_kept=2_000_000,
    )
    account = Account()
    with standing_cluster(folder, size, config) as cluster:
        cluster.start_workers()
        file = cluster.field.file("campaign.csv", size.rows)
        besiege_cluster(cluster, file, size, account)
        leave(cluster, account)
        return settle_accounts(cluster.field, {file: size.rows}, account)


def besiege_cluster(
    cluster: Cluster,
    file: Path,
    size: Size,
    account: Account,
    more: Mapping[Disturbance, float] | None = None,
) -> None:
    """``run`` follows ``file``, which the workers send, until it is finished; ``more`` is done to others meanwhile."""
    rng = random.Random(f"{size.seed}/cluster")
    every = {**DISTURBANCES, **(more or {})}
    sender = Sender(cluster.field, file, account)
    try:
        for _ in range(size.disturbances):
            time.sleep(rng.uniform(*size.between))
            if _done(cluster, sender):
                break
            worker = rng.choice(cluster.workers)
            worker.see(account)
            (disturbance,) = rng.choices([*every], [*every.values()])
            disturbance(cluster, worker, rng, account)
        assert until(lambda: _done(cluster, sender), GRACE), tail(cluster.field, file)
    finally:
        if sender.process.poll() is None:
            end(sender.process)


def _done(cluster: Cluster, sender: Sender) -> bool:
    """``run`` ends when the ledger's server is away before there is a campaign; then a person starts it again."""
    for worker in cluster.workers:
        worker.see(sender.account)
    return sender.ended_within(0.5) and not started_again(cluster.field, sender)


def leave(cluster: Cluster, account: Account) -> None:
    """The workers end as they are told to."""
    for worker in cluster.workers:
        worker.process.terminate()
    for worker in cluster.workers:
        account.events[exit_event(worker.process.wait(timeout=60))] += 1
        log = (cluster.field.folder / f"{worker.name}.log").read_text(encoding="utf-8", errors="replace")
        account.events[TRACEBACK] += log.count(PYTHON_FAILED)


@contextmanager
def standing_cluster(
    folder: Path,
    size: Size,
    config: SimulatorConfig,
    more: Mapping[str, str] | None = None,
    **simulator_options: Any,
) -> Iterator[Cluster]:
    """Servers and machines while the block lasts, without workers; ``more`` settings for everybody."""
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        valkey = stack.enter_context(ValkeyServer())
        settings = {
            **(HASTE if size.haste else {}),
            "DISPATCHER_LEDGER": postgres.url().replace("postgresql:", "postgresql+psycopg:"),
            "DISPATCHER_BROKER": valkey.url(),
            "DISPATCHER_LOG": "info",
            "HOME": str(folder / "office"),
            "XDG_DATA_HOME": str(folder / "office" / "data"),
            **(more or {}),
        }
        field = stack.enter_context(
            battlefield(
                folder,
                config,
                rate_per_minute=size.limit,
                command=RUNNER,
                settings=settings,
                **simulator_options,
            )
        )
        machines = []
        for i in range(MACHINES):
            to_postgres, to_valkey = (
                stack.enter_context(Proxy(port)) for port in (postgres.port, valkey.port)
            )
            machines.append(Machine(folder / f"machine-{i}", to_postgres, to_valkey))
            machines[-1].home.mkdir()
        cluster = Cluster(postgres, valkey, field, machines)
        try:
            yield cluster
        finally:
            for worker in cluster.workers:
                if worker.process.poll() is None:
                    end(worker.process)
