"""Several machines, as processes: workers with a Redis, a PostgreSQL and a gateway between them.

Each has a home of its own, so that nobody sees another one's lock files.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from dispatcher.ledger import Ledger
from tests.integration.processes import Cli, Running
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey


@dataclass
class Cluster:
    """``cli`` is the machine of the person; :meth:`worker` starts others."""

    cli: Cli
    postgres: Postgres
    valkey: Valkey
    database: str
    _workers: list[Running] = field(default_factory=list)

    @property
    def env(self) -> Mapping[str, str]:
        """What every machine is set up with."""
        return {
            "DISPATCHER_LEDGER": self.ledger_url(),
            "DISPATCHER_BROKER": self.valkey.url(),
        }

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


@contextmanager
def new_cluster(cli: Cli, postgres: Postgres, valkey: Valkey) -> Iterator[Cluster]:
    """On a database of its own; at the end of the block every worker must leave when told to."""
    cluster = Cluster(cli, postgres, valkey, postgres.new_database())
    cli.env.update(cluster.env)
    try:
        yield cluster
        cluster.end()
    finally:
        cli.kill_all()
        postgres.drop_database(cluster.database)
