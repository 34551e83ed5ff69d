"""What each part can do by itself: ledger, queue and pace, on one machine's parts and on servers.

``python -m tests.benchmarks.bench_parts``

The ledger settles and claims in one transaction as a lane does, as often as it can; every transaction is on disk before
the next (``synchronous=FULL`` and ``fsync``).  The queue starts a lane, and has a worker take it, run it and end it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dispatcher.ledger import Accepted, ClaimRequest, Ledger
from dispatcher.ledger.pace import SqlitePace
from dispatcher.sending.dispatch import LaneEnd
from jobs.actors import declare_send_lane
from jobs.pacing import RedisPace
from jobs.queue import Queue, embedded_queue, redis_queue
from jobs.worker import EmbeddedWorker
from tests.benchmarks.bench_engine import loaded
from tests.benchmarks.machines import DURABLE
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer

FAST = 60_000_000  # slots a minute: the asking is measured, not the waiting


def send_all(url: str, campaign: int, name: str, batch: int, together: Any) -> None:
    """One process: settle and claim until nothing is left."""
    ledger = Ledger.open(url, busy_seconds=60.0)
    together.wait(60)
    settled: list[Accepted] = []
    for turn in range(1_000_000):
        now, token = datetime.now(UTC), f"{name}-{turn}"
        request = ClaimRequest(
            owner=name, token=token, limit=batch, deadline=now + timedelta(seconds=60), now=now
        )
        claim = ledger.rows.settle_and_claim(campaign, settled, request, now).claim
        rows = claim.rows if claim else ()
        settled = [
            Accepted(token=token, row=row.row, message_id=f"{name}.{row.row}", sent_at=now) for row in rows
        ]
        if not settled:
            break
    ledger.dispose()


def ledger_rate(url: str, rows: int, processes: int, batch: int) -> tuple[float, float]:
    """Rows loaded a second, and rows claimed and settled a second."""
    ledger = Ledger.open(url, create=True)
    began = time.perf_counter()
    campaign = loaded(ledger, rows)
    load = time.perf_counter() - began
    ledger.dispose()
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(processes + 1)
    workers = [
        context.Process(target=send_all, args=(url, campaign, f"p{i}", batch, together))
        for i in range(processes)
    ]
    for worker in workers:
        worker.start()
    together.wait(60)
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return rows / load, rows / (time.perf_counter() - began)


def jobs_a_second(queue: Queue, jobs: int) -> float:
    """Lanes started, taken, run and ended a second."""
    ran, all_ran = [0], threading.Event()

    async def run(campaign: int, lane: int) -> LaneEnd:
        ran[0] += 1
        if ran[0] == jobs:
            all_ran.set()
        return LaneEnd.DRAINED

    async def close() -> None: ...

    def failed(campaign: int, error: BaseException) -> None:
        raise error

    start_lane = declare_send_lane(queue, run, failed)
    with EmbeddedWorker(queue.broker, close):
        began = time.perf_counter()
        for campaign in range(jobs):
            start_lane(campaign, 0)
        if not all_ran.wait(300):
            raise RuntimeError(f"only {ran[0]} of {jobs} jobs ran")
        return jobs / (time.perf_counter() - began)


def reservations_a_second(pace: SqlitePace | RedisPace, times: int) -> float:
    """How often it can be asked for sixteen slots."""
    began = time.perf_counter()
    for _ in range(times):
        pace.reserve("key", 16)
    seconds = time.perf_counter() - began
    pace.close()
    return times / seconds


@contextmanager
def servers() -> Iterator[tuple[PostgresServer, ValkeyServer]]:
    """Both, on this machine."""
    with PostgresServer(DURABLE) as postgres, ValkeyServer() as valkey:
        yield postgres, valkey


def main() -> int:
    """Print a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=2_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dispatcher-parts-") as name, servers() as (postgres, valkey):
        folder = Path(name)
        for batch in (16, 256):
            for what, processes in (("SQLite", 1), ("SQLite", 4), ("PostgreSQL", 1), ("PostgreSQL", 4)):
                file = f"sqlite:///{folder / f'ledger-{batch}-{processes}.db'}"
                url = file if what == "SQLite" else postgres.url(postgres.new_database())
                load, sent = ledger_rate(url, wanted.rows, processes, batch)
                _say(
                    f"ledger, {what}, {processes} processes, {batch} rows a transaction: {load:,.0f} rows a second "
                    f"loaded, {sent:,.0f} claimed and settled, {sent / batch:,.0f} transactions"
                )
        for what, queue in (("embedded", embedded_queue()), ("Redis", redis_queue(valkey.url(), "l", "g"))):
            _say(f"queue, {what}: {jobs_a_second(queue, wanted.times):,.0f} jobs a second")
        file_pace = SqlitePace(folder / "pace.db", limit_per_minute=FAST, clock=time.time)
        redis_pace = RedisPace(valkey.url(), limit_per_minute=FAST, clock=time.time, monotonic=time.monotonic)
        for what, pace in (("SQLite", file_pace), ("Redis", redis_pace)):
            _say(f"pace, {what}: asked {reservations_a_second(pace, wanted.times):,.0f} times a second")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
