"""Several machines, as processes: workers with a Redis, a PostgreSQL and a gateway between them.

Each has a home of its own, so that nobody sees another one's lock files.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dispatcher.ledger import Ledger
from tests.integration.processes import Cli, Running
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer

_databases = itertools.count(1)


@dataclass
class Cluster:
    """``cli`` is the machine of the person; :meth:`worker` starts others."""

    cli: Cli
    postgres: PostgresServer
    valkey: ValkeyServer
    database: str
    _workers: list[Running] = field(default_factory=list)

    @property
    def env(self) -> Mapping[str, str]:
        """What every machine is set up with."""
        return {
            "DISPATCHER_LEDGER": self.ledger_url(),
            "DISPATCHER_BROKER": self.valkey.url(self.redis_database),
        }

    @property
    def redis_database(self) -> int:
        """Where this cluster's keys are."""
        return int(self.database.removeprefix("test_"), 16) % 16

    def ledger_url(self, port: int | None = None) -> str:
        """``port``: a proxy's."""
        return self.postgres.url(self.database, port).replace("postgresql:", "postgresql+psycopg:")

    def worker(self, **env: str) -> Running:
        """A machine that sends; waits until it does."""
        home = self.cli.folder.parent / f"machine-{len(self._workers)}"
        home.mkdir()
        homes = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "DISPATCHER_LOG": "info"}
        running = self.cli.start("worker", **{**self.env, **homes, **env})
        self._workers.append(running)
        return running.when(lambda: "running for" in running.said)

    def ledger(self) -> Ledger:
        """To look at; to be disposed of."""
        return Ledger.open(self.postgres.url(self.database))

    def end(self) -> None:
        """Tell every worker to leave, and see that it does."""
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.signal(signal.SIGCONT).signal(signal.SIGTERM)
        for worker in self._workers:
            ended = worker.ended()
            assert ended.code in (0, -signal.SIGKILL), ended


def new_cluster(folder: Path, cli: Cli, postgres: PostgresServer, valkey: ValkeyServer) -> Cluster:
    """On a database of its own."""
    cluster = Cluster(cli, postgres, valkey, postgres.new_database())
    cli.env.update(cluster.env)
    return cluster
