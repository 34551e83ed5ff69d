"""How long ``check`` takes on a large file, beside what only reading the same file takes.

    python tests/benchmarks/bench_check.py --rows 100000

Both run as processes of their own, several times, on the same file; what is shown is the best and the median.
The figures mean something on a quiet machine only; the bar is for two cores.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import phonenumbers

BAR_ROWS, BAR_SECONDS, BAR_MEGABYTES = 100_000, 12.0, 500
TEMPLATE = "Gentile {{ Nome }} {{ Cognome }}, la aspettiamo a {{ Città }} il {{ Data }}. Studio Sole"
HEADINGS = ("Nome", "Cognome", "Cellulare", "Città", "Data", "Note")
NAMES = ("Anna", "Nicolò", "Zoë", "José", "Maria Teresa", "Łukasz", "Ilaria", "Ángel")
SURNAMES = ("Rossi", "D'Angelo", "García", "Müller", "Bianchi", "Esposito", "Núñez")
PLACES = ("Milano", "Forlì", "Málaga", "Roma")
REGIONS = ("IT",) * 14 + ("ES",) * 4 + ("GB", "FR")
READ_ALONE = "import sys, pandas; pandas.read_csv(sys.argv[1], dtype=str)"


@dataclass(frozen=True)
class Run:
    """One process: its wall and processor time, and the largest resident memory of this and earlier ones."""

    seconds: float
    cpu: float
    megabytes: float


def write_sheet(path: Path, rows: int) -> None:
    """``rows`` rows of six columns; half of the numbers clean, half as people write them, one in a hundred wrong."""
    rng = random.Random(20_261)
    with path.open("w", newline="", encoding="utf-8") as file:
        sheet = csv.writer(file)
        sheet.writerow(HEADINGS)
        for row in range(rows):
            day = f"{row % 28 + 1:02d}/12/2026 {8 + row % 10:02d}:30"
            note = "cliente da anni" if row % 3 else ""
            person = (rng.choice(NAMES), rng.choice(SURNAMES), written_number(rng, row))
            sheet.writerow([*person, rng.choice(PLACES), day, note])


def written_number(rng: random.Random, row: int) -> str:
    """A mobile made from the library's example of a region by counting up its last digits."""
    region = rng.choice(REGIONS)
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    digits = str(example.national_number)
    number = f"{digits[:-6]}{(int(digits[-6:]) + 7 * row) % 1_000_000:06d}"
    code = str(example.country_code)
    if row % 100 == 99:
        return rng.choice(("", "n/d", "06 6982", f"{number} int. B", number[:4]))
    if row % 2:
        return f"+{code}{number}"
    national = number if region in ("IT", "ES") else f"+{code}{number}"
    return rng.choice(
        (
            f"+{code} {number[:3]} {number[3:6]} {number[6:]}",
            f"00{code}{number}",
            f"{code}{number}",
            f"+{code} {number[:3]}-{number[3:]}",
            f"+{code}.{number[:3]}.{number[3:]}",
            f"tel:+{code}{number}",
            f"\u200e+{code}\u00a0{number}",
            national if region == "IT" else f"+{code} ({number[:3]}) {number[3:]}",
        )
    )


def run(command: Sequence[str], expected: set[int]) -> Run:
    """Run a process to its end.  RuntimeError with its error output when it ends with another code."""
    started, cpu = time.perf_counter(), _cpu()
    environment = {**os.environ, "DISPATCHER_GATEWAY": "simulator"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in expected:
        raise RuntimeError(f"ended with {done.returncode}: {done.stderr[-2000:]}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # kilobytes; bytes on macOS
    return Run(seconds, _cpu() - cpu, peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 when they are beyond the bar."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=BAR_ROWS)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder, "customers.csv")
        write_sheet(sheet, options.rows)
        ledger = f"sqlite:///{Path(folder, 'none.db').as_posix()}"
        check = [sys.executable, "-m", "dispatcher", "check", str(sheet), "--message", TEMPLATE]
        check += ["--sender", "Studio Sole", "--ledger", ledger, "--json"]
        # in this order: the peak of all children so far is then the peak of what was run last
        reads = [run([sys.executable, "-c", READ_ALONE, str(sheet)], {0}) for _ in range(options.runs)]
        checks = [run(check, {0, 1}) for _ in range(options.runs)]
        return report(options.rows, sheet.stat().st_size, checks, reads)


def report(rows: int, size: int, checks: Sequence[Run], reads: Sequence[Run]) -> int:
    """Print what was measured; 1 when it is beyond the bar for as many rows."""
    best, best_read = min(run.seconds for run in checks), min(run.seconds for run in reads)
    peak = max(run.megabytes for run in checks)
    print(f"{rows:,} rows, {size / 1e6:.1f} MB, {os.cpu_count()} cores, {len(checks)} runs")
    for name, runs in (("check", checks), ("pandas.read_csv(dtype=str)", reads)):
        seconds, cpu = [run.seconds for run in runs], min(run.cpu for run in runs)
        shown = f"best {min(seconds):.2f} s, median {statistics.median(seconds):.2f} s, cpu {cpu:.2f} s"
        print(f"{name}: {shown}, {max(run.megabytes for run in runs):.0f} MB")
    print(f"rows/s: {rows / best:,.0f}")
    print(f"check / read: {best / best_read:.1f}")
    allowed = BAR_SECONDS * max(1.0, rows / BAR_ROWS)
    print(f"bar: {allowed:.0f} s, {BAR_MEGABYTES} MB")
    return 0 if best <= allowed and peak <= BAR_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
