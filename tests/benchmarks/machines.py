"""Several machines for benchmarks: a PostgreSQL that writes to disk, a Redis, a gateway and workers, a process each."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from dispatcher.ledger import Ledger
from tests.servers.postgres import SETTINGS, PostgresServer
from tests.servers.valkey import ValkeyServer

ROOT = Path(__file__).resolve().parents[2]
DURABLE = {**SETTINGS, "fsync": "on", "shared_buffers": "128MB", "max_wal_size": "1GB"}
SIMULATOR = """
from dispatcher.gateway.simulator import Faults, SimulatorConfig, run
import sys
slow = Faults(latency=(float(sys.argv[1]),) * 2)
config = SimulatorConfig(requests_per_minute=None, arrivals_kept=3_000_000, faults=slow)
run(config, port=0, on_started=lambda url: print(url, flush=True))
"""


@dataclass
class Machines:
    """Everything there is; processes are ended with the block of :func:`machines`."""

    folder: Path
    postgres: PostgresServer
    valkey: ValkeyServer
    gateway: str
    limit: int
    _workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """dispatcher in a home of its own."""
        home = self.folder / name
        home.mkdir()
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DISPATCHER_")}
        env = kept | {
            "HOME": str(home),
            "XDG_DATA_HOME": str(home / "data"),
            "PYTHONPATH": str(ROOT),
            "DISPATCHER_LEDGER": self.postgres.url(),
            "DISPATCHER_BROKER": self.valkey.url(),
            "DISPATCHER_GATEWAY": self.gateway,
            "DISPATCHER_TOKEN": "simulator",
            "DISPATCHER_RATE_PER_MINUTE": str(self.limit),
        }
        with (home / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dispatcher", *command, "--json"],
                cwd=home,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def add_workers(self, n: int) -> None:
        """Start so many, and wait until they send."""
        first = len(self._workers)
        self._workers += [self.start(f"worker-{first + i}", "worker") for i in range(n)]
        for i, worker in enumerate(self._workers):
            log = self.folder / f"worker-{i}" / "log"
            wait_until(lambda log=log: b'"started"' in log.read_bytes(), worker)  # type: ignore[misc]

    def end_workers(self) -> None:
        """Tell them to stop; what is in flight is settled."""
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self._workers:
            worker.wait(timeout=90)
        self._workers.clear()

    def stats(self) -> dict[str, int]:
        """What the gateway counted."""
        found: dict[str, int] = self._ask("stats")
        return found

    def arrivals(self) -> list[float]:
        """When each request came, in seconds of one clock."""
        return [arrival[0] for arrival in self._ask("arrivals")]

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """To look at, once somebody has made it."""
        opened = Ledger.open(self.postgres.url())
        try:
            yield opened
        finally:
            opened.dispose()

    def bytes_of_ledger(self) -> int:
        """What PostgreSQL keeps on its disk for it."""
        with psycopg.connect(self.postgres.url()) as connection:
            (found,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        return int(found)

    def transactions(self) -> int:
        """How many were committed on the ledger."""
        with psycopg.connect(self.postgres.url()) as connection:
            sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            (found,) = connection.execute(sql).fetchone() or (0,)
        return int(found)

    def _ask(self, name: str) -> Any:
        with urllib.request.urlopen(f"{self.gateway}/_simulator/{name}", timeout=120) as answer:
            return json.load(answer)


@contextmanager
def machines(folder: Path, *, limit: int, latency: float = 0.0) -> Iterator[Machines]:
    """Servers and a gateway that answers after ``latency`` seconds; no workers yet."""
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer(DURABLE))
        valkey = stack.enter_context(ValkeyServer())
        gateway = subprocess.Popen(
            [sys.executable, "-c", SIMULATOR, str(latency)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        stack.callback(gateway.wait, timeout=30)
        stack.callback(gateway.terminate)
        assert gateway.stdout is not None
        made = Machines(folder, postgres, valkey, gateway.stdout.readline().strip(), limit)
        stack.callback(made.end_workers)
        yield made


def campaign_file(path: Path, rows: int, first: int = 0) -> Path:
    """A CSV of plainly fictional numbers and twenty texts."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("Phone", "Message"))
        writer.writerows((f"+39312{first + i:07d}", f"Message {i % 20} of {path.stem}") for i in range(rows))
    return path


def wait_until(
    condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 1_800.0
) -> None:
    """RuntimeError when the process ends first, or it takes too long."""
    until = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"it did not come true; the process ended with {process.poll()}")
        time.sleep(0.1)
