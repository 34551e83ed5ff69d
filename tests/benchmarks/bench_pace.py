"""How much of the limit several processes use together, and that they never break it, seen from the gateway's side.

``python -m tests.benchmarks.bench_pace --processes 4 --limit 10000 --seconds 100``

Each process sends its own campaign on one ledger.  The share is taken over the stretch in which every process was
sending; the most requests in any 60 seconds counts everything, dry runs and listings included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from dispatcher.gateway.simulator import SimulatorConfig
from tests.chaos.harness import Account, Battlefield, battlefield, end, settle_accounts

SETTLE_IN = 10.0  # seconds at either end that are not counted: start-up, first dry runs, the last rows


def measure(field: Battlefield, processes: int, rows: int) -> tuple[float, Account]:
    """Requests a second while all were sending, and the account of everything."""
    files = {field.file(f"campaign{i}.csv", rows, first=i * rows): rows for i in range(processes)}
    senders = [field.start(file) for file in files]
    try:
        first_end = None
        while any(sender.poll() is None for sender in senders):
            if first_end is None and any(sender.poll() is not None for sender in senders):
                first_end = time.monotonic()
            time.sleep(0.1)
    finally:
        for sender in senders:
            if sender.poll() is None:
                end(sender)
    times = sorted(arrival.monotonic for arrival in field.simulator.simulator.arrivals())
    start, stop = times[0] + SETTLE_IN, (first_end or times[-1]) - SETTLE_IN
    counted = sum(start <= at < stop for at in times)
    return counted / (stop - start), settle_accounts(field, files, Account())


def main() -> int:
    """Print the share of the limit and the fullest minute; 1 when the limit was broken or a row went astray."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--limit", type=int, default=10_000, help="requests a minute")
    parser.add_argument("--seconds", type=int, default=100)
    wanted = parser.parse_args()
    rows = wanted.limit * wanted.seconds // 60 // wanted.processes
    with tempfile.TemporaryDirectory(prefix="dispatcher-pace-") as name:
        config = SimulatorConfig(
            state=Path(name) / "gateway.db", requests_per_minute=None, arrivals_kept=2_000_000
        )
        with battlefield(Path(name), config, rate_per_minute=wanted.limit) as field:
            rate, account = measure(field, wanted.processes, rows)
    share = rate * 60 / wanted.limit
    sys.stdout.write(
        f"{wanted.processes} processes, limit {wanted.limit} a minute: {share:.1%} used, "
        f"at most {account.busiest} in any 60 s; {account.rows} rows, {account.twice} twice, {account.lost} lost\n"
    )
    return 1 if account.busiest > wanted.limit or account.twice or account.lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
