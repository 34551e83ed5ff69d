"""Several worker processes on PostgreSQL and Redis: what they use of the limit, what one can do, what Redis keeps.

``python -m tests.benchmarks.bench_cluster limit --loading 100000``
``python -m tests.benchmarks.bench_cluster rate --workers 1``
``python -m tests.benchmarks.bench_cluster memory --rows 1000000``

All servers are started here, a process each, and the gateway's own count of requests is what is believed.  ``limit``:
the share is taken over the time in which the campaign is sent, a few seconds at either end left out; the most requests
in any 60 seconds over everything.  ``rate``: without a limit that anything could reach.  ``memory``: samples while a
campaign is loaded, sent for a minute, and paused.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dispatcher.ledger import CampaignState, RowState
from tests.benchmarks.machines import Machines, campaign_file, machines, wait_until

SETTLE_IN = 10.0  # seconds at either end that are not counted: start-up, first dry runs, the last rows
NO_LIMIT = 1_000_000
SHARE_BAR, MEMORY_BAR = 0.98, 5 * 2**20


def use_of_the_limit(field: Machines, workers: int, seconds: int, loading: int) -> bool:
    """Print the share and the fullest minute; whether both are as promised."""
    rows = field.limit * seconds // 60
    field.add_workers(workers)
    running = field.start("office", "run", str(campaign_file(field.folder / "a.csv", rows)), "--yes")
    wait_until(lambda: field.stats()["accepted"] > 0, running)
    began = time.monotonic()
    also = _load_beside(field, loading) if loading else None
    wait_until(lambda: _accepted(field, 1) >= rows, running, seconds * 3.0)
    ended = time.monotonic()
    loaded = _loaded_by(field, also) if also else 0.0
    times = field.arrivals()
    start, stop = began + SETTLE_IN, ended - SETTLE_IN
    share = (bisect_left(times, stop) - bisect_left(times, start)) / (stop - start) * 60 / field.limit
    busiest = _busiest(times)
    beside = f", {loading} rows loaded meanwhile within {loaded:.0f} s" if also else ""
    _say(
        f"limit: {workers} workers, {field.limit} a minute, {stop - start:.0f} s{beside}: {share:.1%} used, "
        f"at most {busiest} in any 60 s"
    )
    return share >= SHARE_BAR and busiest <= field.limit


def rate(field: Machines, workers: int, rows: int) -> bool:
    """Print rows and transactions a second."""
    field.add_workers(workers)
    empty = field.bytes_of_ledger()
    running = field.start("office", "run", str(campaign_file(field.folder / "a.csv", rows)), "--yes")
    wait_until(lambda: field.stats()["accepted"] > 0, running)
    began, transactions = time.monotonic(), field.transactions()
    wait_until(lambda: _accepted(field, 1) >= rows, running)
    seconds = time.monotonic() - began
    committed = field.transactions() - transactions
    _say(
        f"rate: {workers} workers, {rows / seconds:,.0f} rows a second, {rows / seconds / workers:,.0f} a worker, "
        f"{committed / seconds:,.0f} transactions a second, {rows / committed:.1f} rows in each"
    )
    running.wait(timeout=120)
    _say(
        f"ledger: {(field.bytes_of_ledger() - empty) / rows * 1_000_000 / 2**20:,.0f} MiB a million rows, sent"
    )
    return True


def memory(field: Machines, workers: int, rows: int, sending: float) -> bool:
    """Print the most that Redis kept in each phase; whether it was little."""
    empty = _used(field)
    field.add_workers(workers)
    samples: dict[str, int] = {}
    phase = ["loading"]
    with _sampled(field, phase, samples):
        began = time.monotonic()
        running = field.start("office", "run", str(campaign_file(field.folder / "a.csv", rows)), "--yes")
        wait_until(lambda: field.stats()["accepted"] > 0, running)
        loaded = time.monotonic() - began
        phase[0] = "sending"
        size = field.bytes_of_ledger()
        time.sleep(sending)
        phase[0] = "pausing"
        running.send_signal(signal.SIGINT)
        running.wait(timeout=120)
        sent = _accepted(field, 1)
        time.sleep(5.0)
    most = {name: used - empty for name, used in samples.items()}
    told = ", ".join(f"{name} {used / 1024:,.0f} KiB" for name, used in most.items())
    _say(
        f"memory: {rows} rows loaded and screened in {loaded:.0f} s, {sent} sent in {sending:.0f} s; Redis above its "
        f"empty {empty / 1024:,.0f} KiB: {told}; ledger {size / 2**20:,.0f} MiB when loaded"
    )
    return max(most.values()) < MEMORY_BAR


def _load_beside(field: Machines, rows: int) -> subprocess.Popen[bytes]:
    file = campaign_file(field.folder / "b.csv", rows, first=5_000_000)
    return field.start("second-office", "run", str(file), "--yes")


def _loaded_by(field: Machines, also: subprocess.Popen[bytes]) -> float:
    """Seconds it took; what it would send is of no interest."""
    with field.ledger() as ledger:
        view = ledger.queries.campaign(2)
    if view.state is CampaignState.LOADING:
        raise RuntimeError("the second campaign was still being loaded when the first was sent")
    also.send_signal(signal.SIGINT)
    also.wait(timeout=120)
    return ((view.started_at or view.updated_at) - view.created_at).total_seconds()


def _accepted(field: Machines, campaign: int) -> int:
    with field.ledger() as ledger:
        return ledger.queries.counts(campaign).get(RowState.ACCEPTED, 0)


def _busiest(times: Sequence[float]) -> int:
    return max(bisect_left(times, at + 60.0) - i for i, at in enumerate(times))


def _used(field: Machines) -> int:
    with field.valkey.client() as client:
        return int(client.info("memory")["used_memory"])


@contextmanager
def _sampled(field: Machines, phase: list[str], samples: dict[str, int]) -> Iterator[None]:
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.1):
            samples[phase[0]] = max(samples.get(phase[0], 0), _used(field))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Print the figures; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["limit", "rate", "memory"])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--limit", type=int, default=10_000, help="requests a minute")
    parser.add_argument("--seconds", type=int, default=100, help="how long the campaign of `limit` is")
    parser.add_argument("--loading", type=int, default=0, help="rows of a campaign loaded meanwhile")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of `rate` and `memory`")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds the gateway takes to answer")
    wanted = parser.parse_args()
    limit = NO_LIMIT if wanted.what == "rate" else wanted.limit
    with (
        tempfile.TemporaryDirectory(prefix="dispatcher-cluster-") as name,
        machines(Path(name), limit=limit, latency=wanted.latency) as field,
    ):
        match wanted.what:
            case "limit":
                good = use_of_the_limit(field, wanted.workers, wanted.seconds, wanted.loading)
            case "rate":
                good = rate(field, wanted.workers, wanted.rows)
            case _:
                good = memory(field, wanted.workers, wanted.rows, sending=60.0)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
