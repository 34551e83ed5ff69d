"""All promises about size and speed in one table: ``python -m tests.benchmarks``.

Each line compares two programs that ran in turn, so its ratio holds on a busy machine too; the seconds do not.  With
``--rows 1000000`` (the default) it takes about half an hour and 3 GB of disk.  What is promised of several machines has
a command of its own: ``python -m tests.benchmarks.bench_cluster limit --loading 1000000``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.bars import BARS, Field, Line


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ledger-rows", type=int, default=10_000_000, help="rows of the ledger of `status`")
    parser.add_argument("--only", nargs="+", choices=list(BARS), default=list(BARS))
    wanted = parser.parse_args(arguments)
    say(f"{wanted.rows:,} rows, medians of {wanted.runs}, {os.cpu_count()} cores, load {load()}")
    say("| what | measured, beside | ratio | of processor time | bar | met |")
    say("|---|---|---|---|---|---|")
    missed = False
    with tempfile.TemporaryDirectory(prefix="dispatcher-bars-") as folder:
        for name in wanted.only:
            line = BARS[name](Field(Path(folder), wanted.rows, wanted.runs, wanted.ledger_rows))
            say(shown(line))
            missed = missed or not line.met
    say(f"load at the end {load()}")
    return int(missed)


def shown(line: Line) -> str:
    """A row of the table."""
    cells = (line.what, line.measured, f"{line.wall:.2f}", f"{line.cpu:.2f}", line.bar)
    return f"| {' | '.join(cells)} | {'yes' if line.met else 'NO'} |"


def load() -> str:
    """How busy the machine is, in processes over the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def say(line: str) -> None:
    """A line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
