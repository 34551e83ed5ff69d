"""The cost of safety: messages a second with the pace off, beside a bare client loop at the same gateway.

``python -m tests.benchmarks.bench_engine --rows 10000``

The gateway is the simulator in a process of its own on this machine.  The bare loop only calls the client, with the 64
requests in flight at which it is fastest; the engine does the same through ledger (``synchronous=FULL``), Dramatiq lane
and settlements, with as many as a lane has.  Both in one run, in turn; the ratio is what counts, absolute figures move
with the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from pydantic import SecretStr

from dispatcher.gateway.client import Gateway, GatewayConfig
from dispatcher.gateway.models import Route, SendRequest
from dispatcher.ledger import Ledger, NewCampaign, RowState, Totals, to_micros
from dispatcher.sending.reconcile import Reconciler, Standing
from dispatcher.sending.services import LedgerThread, Services, Slots, SystemClock
from jobs.sender import EmbeddedSender

IN_FLIGHT = 64
PRICE = Decimal("0.045")
POLL = 0.1  # seconds; asking more often would be measured too ...
POLL_AT_THE_END, LAST_ROWS = 0.01, 300  # ... but that all is done has to be noticed


class PaceOff:
    """Slots at once, as many as asked for."""

    rate = None

    async def reserve(self, n: int) -> Slots:
        return Slots([0.0] * n, 0.0)

    async def slow_down(self, seconds: float) -> None:
        raise RuntimeError("the gateway of a benchmark has no limit")


@contextmanager
def gateway_process() -> Iterator[str]:
    """The simulator in a process of its own; gives its URL."""
    program = (
        "from dispatcher.gateway.simulator import SimulatorConfig, run\n"
        "run(SimulatorConfig(requests_per_minute=None), port=0, on_started=lambda url: print(url, flush=True))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(timeout=10)


def recipient(i: int) -> str:
    """A plainly fictional number."""
    return f"+39312{i:07d}"


@dataclass(frozen=True)
class Speed:
    """Messages a second, and milliseconds of this process's processor time for each."""

    rate: float
    cpu: float


@dataclass(frozen=True)
class Run:
    """The client alone and the engine, one after the other."""

    bare: Speed
    engine: Speed

    @property
    def ratio(self) -> float:
        """The engine's rate as a share of the client's."""
        return self.engine.rate / self.bare.rate

    @property
    def cpu_ratio(self) -> float:
        """The same by processor time, which a busy machine leaves as it is; the gateway's own is not in it."""
        return self.bare.cpu / self.engine.cpu


def both(url: str, rows: int, folder: Path) -> Run:
    """Either once."""
    return Run(bare_loop(url, rows), engine(url, rows, folder))


class Stopwatch:
    """Runs from when it is made; ``looking_on``: the thread that made it only waits, and is not counted."""

    def __init__(self, *, looking_on: bool = False) -> None:
        self._mine = time.thread_time if looking_on else lambda: 0.0
        self._began, self._processor = time.perf_counter(), time.process_time() - self._mine()

    def speed(self, rows: int) -> Speed:
        """Of so many rows since it was made."""
        seconds = time.perf_counter() - self._began
        processor = time.process_time() - self._mine() - self._processor
        return Speed(rows / seconds, processor / rows * 1_000)


def bare_loop(url: str, rows: int) -> Speed:
    """The client alone."""

    async def send_all() -> Speed:
        numbers = iter(range(rows))
        async with Gateway(GatewayConfig(url, SecretStr("simulator"))) as gateway:

            async def worker() -> None:
                for i in numbers:
                    verdict = await gateway.send(
                        Route.IT, SendRequest(recipient=recipient(i), message=f"Bare {i}")
                    )
                    assert verdict.message is not None

            watch = Stopwatch()
            await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
            return watch.speed(rows)

    return asyncio.run(send_all())


def engine(url: str, rows: int, folder: Path) -> Speed:
    """The whole engine; that the campaign is loaded is not in it."""
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", create=True)
    campaign_id = loaded(ledger, rows)
    clock = SystemClock()
    gateway = Gateway(GatewayConfig(url, SecretStr("simulator")))
    services = Services(LedgerThread(ledger), gateway, PaceOff(), clock, owner="benchmark")
    reconciler = Reconciler(
        services, "benchmark", standing=lambda owner: Standing(may_live=True, quiet=timedelta(seconds=300))
    )
    stop = threading.Event()
    watch = Stopwatch(looking_on=True)
    guard = timedelta(days=7)
    with EmbeddedSender(
        services, reconciler, stop.is_set, gateway.aclose, gateway="benchmark", guard=guard
    ) as sender:
        while (left := rows - (counts := ledger.queries.counts(campaign_id)).get(RowState.ACCEPTED, 0)) > 0:
            assert sender.failure is None, sender.failure
            assert not counts.get(RowState.IN_DOUBT), counts
            sender.enqueue(campaign_id)
            time.sleep(POLL if left > LAST_ROWS else POLL_AT_THE_END)
        speed = watch.speed(rows)
        stop.set()
    services.ledger.close()
    ledger.dispose()
    return speed


def loaded(ledger: Ledger, rows: int) -> int:
    """A campaign of ``rows`` ready rows that is being sent."""
    now = datetime.now(UTC)
    new = NewCampaign(
        name="engine",
        file_name="engine.csv",
        file_sha256="0",
        gateway="benchmark",
        fingerprint="0",
        owner="benchmark",
    )
    campaign_id = ledger.loading.create_campaign(new, now)
    price = to_micros(PRICE)
    batches: Sequence[tuple[object, ...]] = [
        (
            i + 2, int(RowState.READY), None, recipient(i), "IT", "IT", None, f"Engine {i}", 1, 1, price, price,
            i.to_bytes(16, "big"), 0, None, None,
        )
        for i in range(rows)
    ]  # fmt: skip
    for start in itertools.count(0, 2_000):
        batch = batches[start : start + 2_000]
        if not batch:
            break
        ledger.loading.load_rows(campaign_id, batch)
    totals = Totals(rows=rows, parts=rows, estimated_cost=PRICE * rows)
    ledger.loading.finish_loading(campaign_id, totals, now)
    ledger.campaigns.begin_preflight(campaign_id, now)
    ledger.campaigns.start_sending(campaign_id, now)
    return campaign_id


def main() -> int:
    """Print both rates and their ratio, run by run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    wanted = parser.parse_args()
    runs = []
    with gateway_process() as url:
        for n in range(wanted.runs):
            with tempfile.TemporaryDirectory() as folder:
                run = both(url, wanted.rows, Path(folder))
            runs.append(run)
            bare, sent = run.bare, run.engine
            sys.stdout.write(
                f"run {n + 1}: bare {bare.rate:,.0f}/s, engine {sent.rate:,.0f}/s, ratio {run.ratio:.2f}; processor"
                f" {bare.cpu:.3f} and {sent.cpu:.3f} ms a message, ratio {run.cpu_ratio:.2f}\n"
            )
            sys.stdout.flush()
    ratios = statistics.median(run.ratio for run in runs), statistics.median(run.cpu_ratio for run in runs)
    sys.stdout.write(f"median ratio {ratios[0]:.2f}, of processor time {ratios[1]:.2f}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
