"""How much of the limit several processes use together, and that they never break it, seen from the gateway's side.

``python -m tests.benchmarks.bench_pace --processes 4 --limit 10000 --seconds 100``

Each process sends its own campaign on one ledger.  The share is taken over the stretch in which every process was
sending; the most requests in any 60 seconds counts everything, dry runs and listings included.  With ``--loading`` one
more campaign of so many rows is planned into the ledger meanwhile: then the share while it loads stands beside the one
while it does not, of the same run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dispatcher.gateway.simulator import SimulatorConfig
from tests.benchmarks.machines import campaign_file
from tests.chaos.harness import Account, Battlefield, battlefield, end, settle_accounts

BEFORE_LOADING = 20.0  # seconds of sending with which the loading is compared
SETTLE_IN = 10.0  # seconds at either end that are not counted: start-up, first dry runs, the last rows


@dataclass(frozen=True)
class Share:
    """Requests a second while every process was sending, before another campaign was loaded and while it was."""

    alone: float
    loading: float | None
    seconds: float
    """How long the loading took."""


def measure(field: Battlefield, processes: int, rows: int, loading: int) -> tuple[Share, Account]:
    """The shares, and the account of everything that was sent."""
    files = {field.file(f"campaign{i}.csv", rows, first=i * rows): rows for i in range(processes)}
    # made before anything is sent: the gateway counts arrivals in this process, and must not wait for it
    large = campaign_file(field.folder / "large.csv", loading, first=5_000_000) if loading else None
    senders = [field.start(file) for file in files]
    began = ended = None
    loader: subprocess.Popen[bytes] | None = None
    try:
        first_end = None
        while any(sender.poll() is None for sender in senders):
            now = time.monotonic()
            if first_end is None and any(sender.poll() is not None for sender in senders):
                first_end = now
            arrivals = field.simulator.simulator.arrivals() if large and loader is None else []
            if large and arrivals and now - arrivals[0].monotonic > 2 * SETTLE_IN + BEFORE_LOADING:
                began, loader = now, load_beside(field, large)
            if loader is not None and ended is None and loader.poll() is not None:
                ended = now
                if loader.returncode:
                    raise RuntimeError((field.folder / "large.log").read_text()[-1_000:])
            time.sleep(0.1)
    finally:
        for process in (*senders, *([loader] if loader else [])):
            if process.poll() is None:
                end(process)
    times = sorted(arrival.monotonic for arrival in field.simulator.simulator.arrivals())
    start, stop = times[0] + SETTLE_IN, (first_end or times[-1]) - SETTLE_IN
    if began is None:
        return Share(rate(times, start, stop), None, 0.0), settle_accounts(field, files, Account())
    until = min(ended or stop, stop)
    share = Share(rate(times, start, began), rate(times, began, until), until - began)
    return share, settle_accounts(field, files, Account())


def rate(times: Sequence[float], start: float, stop: float) -> float:
    """Requests a second between two moments."""
    return sum(start <= at < stop for at in times) / (stop - start)


def load_beside(field: Battlefield, file: Path) -> subprocess.Popen[bytes]:
    """One more process, which plans a large file into the ledger."""
    child = [sys.executable, "-m", "tests.benchmarks.children", "beside", field.ledger_url, str(file)]
    return field.launch(child, "large")


def main() -> int:
    """Print the share of the limit and the fullest minute; 1 when the limit was broken or a row went astray."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--limit", type=int, default=10_000, help="requests a minute")
    parser.add_argument("--seconds", type=int, default=100)
    parser.add_argument("--loading", type=int, default=0, help="rows of one more campaign, loaded meanwhile")
    wanted = parser.parse_args()
    rows = wanted.limit * wanted.seconds // 60 // wanted.processes
    with tempfile.TemporaryDirectory(prefix="dispatcher-pace-") as name:
        config = SimulatorConfig(
            state=Path(name) / "gateway.db", requests_per_minute=None, arrivals_kept=2_000_000
        )
        with battlefield(Path(name), config, rate_per_minute=wanted.limit) as field:
            share, account = measure(field, wanted.processes, rows, wanted.loading)
    used = share.alone * 60 / wanted.limit
    sys.stdout.write(
        f"{wanted.processes} processes, limit {wanted.limit} a minute: {used:.1%} used, "
        f"at most {account.busiest} in any 60 s; {account.rows} rows, {account.twice} twice, {account.lost} lost\n"
    )
    if share.loading is not None:
        beside = share.loading * 60 / wanted.limit
        sys.stdout.write(
            f"while {wanted.loading:,} rows were loaded ({share.seconds:.0f} s of it): {beside:.1%} used, "
            f"{share.loading / share.alone:.1%} of what was used before\n"
        )
    return 1 if account.busiest > wanted.limit or account.twice or account.lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
