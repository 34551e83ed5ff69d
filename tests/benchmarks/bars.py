"""The promises about size and speed, one function each: what is measured, beside what, in the same run."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks import bench_engine
from tests.benchmarks.machines import campaign_file
from tests.benchmarks.processes import Cost, cpu, in_turn, megabytes, python, run, wall
from tests.benchmarks.sheets import TEMPLATE, write_csv, write_workbook

READ_CSV = "import sys, pandas; pandas.read_csv(sys.argv[1], dtype=str)"
READ_EXCEL = "import sys, pandas; pandas.read_excel(sys.argv[1], engine='calamine')"
NAIVE_ROWS, SMALL_ROWS = 20_000, 1_000
LIMIT = 10_000


@dataclass(frozen=True)
class Line:
    """A line of the table.  ``wall`` and ``cpu`` are ratios (or shares) of time that passed and of processor time."""

    what: str
    measured: str
    wall: float
    cpu: float
    bar: str
    met: bool


@dataclass(frozen=True)
class Field:
    """Where it is measured: a folder for the files, and how much."""

    folder: Path
    rows: int
    runs: int
    ledger_rows: int

    def file(self, kind: str, rows: int) -> Path:
        """A sheet of so many rows, made once."""
        path = self.folder / f"people-{rows}.{kind}"
        if not path.exists():
            (write_csv if kind == "csv" else write_workbook)(path, rows)
        return path

    def empty(self) -> str:
        """A folder of its own."""
        return tempfile.mkdtemp(dir=self.folder)

    def seedling(self) -> Path:
        """A ledger with a campaign of one row, made once."""
        ledger = self.folder / "seedling" / "ledger.db"
        if not ledger.exists():
            run(child("load", str(self.file("csv", 1)), str(ledger.parent)))
        return ledger

    def grown(self) -> Path:
        """A ledger with millions of sent rows, made once."""
        ledger = self.folder / "grown" / "ledger.db"
        if not ledger.exists():
            ledger.parent.mkdir()
            shutil.copy(self.seedling(), ledger)
            run(child("grow", str(ledger), str(self.ledger_rows)))
        return ledger

    def copied(self, ledger: Path) -> Path:
        """A copy to write to; the one before it is removed."""
        copy = self.folder / "copy" / "ledger.db"
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        shutil.copy(ledger, copy)
        return copy

    def check(self, file: Path) -> Cost:
        """``dispatcher check``, where there is no ledger."""
        command = python("-m", "dispatcher", "check", str(file), "--message", TEMPLATE, "--json")
        return run(
            [*command, "--sender", "Studio Sole", "--ledger", f"sqlite:///{self.folder}/none.db"],
            expected=(0, 1),
            gateway="simulator",
        )


def check_csv(field: Field) -> Line:
    """``check`` of a large CSV file beside pandas reading it."""
    file = field.file("csv", field.rows)
    checks, reads = in_turn(
        field.runs, partial(field.check, file), lambda: run(python("-c", READ_CSV, str(file)))
    )
    return compared("check of a CSV file / read_csv(dtype=str)", checks, reads, 2.0, 500)


def check_xlsx(field: Field) -> Line:
    """``check`` of a large workbook beside pandas reading it with its fastest reader."""
    file = field.file("xlsx", min(field.rows, 1_048_000))
    checks, reads = in_turn(
        field.runs, partial(field.check, file), lambda: run(python("-c", READ_EXCEL, str(file)))
    )
    return compared("check of a workbook / read_excel(calamine)", checks, reads, 0.7, 800)


def load(field: Field) -> Line:
    """What the ledger adds to planning, beside a bare executemany of the same columns."""
    file = str(field.file("csv", field.rows))
    plans, loads, bares = in_turn(
        field.runs,
        lambda: run(child("plan", file)),
        lambda: run(child("load", file, field.empty())),
        lambda: run(child("bare", file, field.empty())),
    )
    more = [inner(loads, which) - inner(plans, which) for which in (0, 1)]
    ratios = [more[which] / inner(bares, which) for which in (0, 1)]
    shown = f"{more[0]:.1f} s more, bare {inner(bares, 0):.1f} s, {megabytes(loads):.0f} MB"
    good = ratios[0] <= 3.0 and megabytes(loads) <= 600
    return Line("loading into SQLite / bare executemany", shown, *ratios, "3.0 x, 600 MB", good)


def report(field: Field) -> Line:
    """The workbook back with results, beside openpyxl reading and writing it."""
    file = field.file("xlsx", max(1, field.rows // 10))
    folder = field.empty()
    run(child("load", str(file), folder))
    command = python("-m", "dispatcher", "report", "1", "--ledger", f"sqlite:///{folder}/ledger.db")
    reports, saves = in_turn(
        field.runs,
        lambda: run([*command, "--report-dir", field.empty()], gateway="simulator", expected=(0, 1, 4)),
        lambda: run(child("resave", str(file), f"{field.empty()}/saved.xlsx")),
    )
    return compared("workbook with results / openpyxl load and save", reports, saves, 0.2, 200)


def engine(field: Field) -> Line:
    """Messages a second with the pace off, beside the client alone."""
    rows = min(field.rows, 10_000)
    with bench_engine.gateway_process() as url:
        runs = [bench_engine.both(url, rows, Path(field.empty())) for _ in range(field.runs)]
    ratio = statistics.median(run.ratio for run in runs)
    rate, bare = (
        statistics.median(run.engine.rate for run in runs),
        statistics.median(run.bare.rate for run in runs),
    )
    good = ratio >= 0.8 and (rate >= 1_667 or bare < 2_500)
    shown = f"{rate:,.0f}/s, bare {bare:,.0f}/s"
    cpu_ratio = statistics.median(run.cpu_ratio for run in runs)
    return Line("engine, pace off / bare client loop", shown, ratio, cpu_ratio, "at least 0.8 x", good)


def limit(field: Field) -> Line:
    """How much of a core ``run`` takes at the provider's limit, its start and its plan included."""
    rows = min(field.rows, LIMIT)
    file = campaign_file(field.folder / "limit.csv", rows)
    with bench_engine.gateway_process() as url:
        cost = run(
            python("-m", "dispatcher", "run", str(file), "--yes", "--json"),
            gateway=url,
            token="simulator",
            ledger=f"sqlite:///{field.empty()}/ledger.db",
            rate_per_minute=str(LIMIT),
        )
    # of the minutes that the limit gives these messages: a busy machine takes longer, for the same work
    share, minutes = cost.cpu / (rows / LIMIT * 60), cost.cpu / cost.seconds
    return Line(
        "processor at 10,000 a minute",
        f"{cost.cpu:.1f} s for {rows:,} messages, in {cost.seconds:.0f} s",
        minutes,
        share,
        "0.35 of a core",
        share <= 0.35,
    )


def small(field: Field) -> Line:
    """``check`` of a small file beside importing what it is made with."""
    file = field.file("csv", SMALL_ROWS)
    field.check(file)  # once for the tables of numbers and the compiled modules
    checks, imports = in_turn(
        2 * field.runs, partial(field.check, file), lambda: run(python("-c", "import pandas, pyarrow"))
    )
    return at_start("check of 1,000 rows / import pandas, pyarrow", checks, imports, 1.5, 0.5)


def usage(field: Field) -> Line:
    """``--help`` beside an interpreter that does nothing."""
    helps, nothing = in_turn(
        3 * field.runs,
        lambda: run(python("-m", "dispatcher", "--help")),
        lambda: run(python("-c", "pass")),
    )
    return at_start("--help / python -c pass", helps, nothing, 10, 0.15)


def status(field: Field) -> Line:
    """``status`` of a ledger with millions of rows beside one with a campaign of one row."""
    command = python("-m", "dispatcher", "status", "--ledger")
    larges, smalls = in_turn(
        2 * field.runs,
        lambda: run([*command, f"sqlite:///{field.grown()}"]),
        lambda: run([*command, f"sqlite:///{field.seedling()}"]),
    )
    return at_start(f"status at {field.ledger_rows:,} rows / at one row", larges, smalls, 1.0, 0.1)


def status_one(field: Field) -> Line:
    """``status ID`` of a campaign with a million rows beside one of a single row."""
    command = python("-m", "dispatcher", "status")
    larges, smalls = in_turn(
        2 * field.runs,
        lambda: run([*command, "2", "--ledger", f"sqlite:///{field.grown()}"]),
        lambda: run([*command, "1", "--ledger", f"sqlite:///{field.seedling()}"], expected=(0, 1, 4, 6)),
    )
    count = min(field.ledger_rows, 1_000_000)
    return at_start(f"status ID of {count:,} rows / of one row", larges, smalls, 1.0, 0.1)


def claims(field: Field) -> Line:
    """A campaign's claims, settlements and sweeps in a ledger with millions of old rows beside an empty one."""
    olds, news = in_turn(
        field.runs,
        lambda: run(child("claim", f"sqlite:///{field.copied(field.grown())}", "3200")),
        lambda: run(child("claim", f"sqlite:///{field.empty()}/ledger.db", "3200")),
    )
    ratios = [inner(olds, which) / inner(news, which) for which in (0, 1)]
    shown = f"{inner(olds, 1) / 3.2:.2f} ms of processor a row, new {inner(news, 1) / 3.2:.2f} ms"
    what = f"claims and sweeps at {field.ledger_rows:,} rows / in a new ledger"
    return Line(what, shown, *ratios, "1.5 x processor", ratios[1] <= 1.5)


def naive(field: Field) -> Line:
    """Planning beside the loop that one would write first, by the row."""
    large, few = field.file("csv", field.rows), field.file("csv", NAIVE_ROWS)
    loops, plans = in_turn(
        field.runs,
        lambda: run(python("-m", "tests.benchmarks.naive", str(few))),
        lambda: run(child("plan", str(large))),
    )
    ratios = [inner(loops, which) / NAIVE_ROWS / (inner(plans, which) / field.rows) for which in (0, 1)]
    shown = f"{inner(plans, 0) / field.rows * 1e6:.1f} us a row"
    return Line("naive loop / planning", shown, *ratios, "at least 40 x", ratios[0] >= 40)


BARS: dict[str, Callable[[Field], Line]] = {
    "check-csv": check_csv,
    "load": load,
    "check-xlsx": check_xlsx,
    "report": report,
    "engine": engine,
    "limit": limit,
    "small": small,
    "help": usage,
    "status": status,
    "status-one": status_one,
    "claims": claims,
    "naive": naive,
}


def child(name: str, *arguments: str) -> list[str]:
    """A command of :mod:`tests.benchmarks.children`."""
    return python("-m", "tests.benchmarks.children", name, *arguments)


def inner(costs: list[Cost], which: int) -> float:
    """The median of what the children printed: 0 for the seconds, 1 for the processor's."""
    return statistics.median(float(cost.output.split()[which]) for cost in costs)


def compared(what: str, ours: list[Cost], theirs: list[Cost], most: float, memory: int) -> Line:
    """A bar of a ratio and a memory."""
    ratios = wall(ours) / wall(theirs), cpu(ours) / cpu(theirs)
    shown = f"{wall(ours):.1f} s, {wall(theirs):.1f} s, {megabytes(ours):.0f} MB"
    good = ratios[0] <= most and megabytes(ours) <= memory
    return Line(what, shown, *ratios, f"{most} x, {memory} MB", good)


def at_start(what: str, ours: list[Cost], theirs: list[Cost], times: float, more: float) -> Line:
    """A bar of so many times a start and some seconds, by the processor: on a busy machine a start waits for others."""
    shown = f"{wall(ours):.2f} s, {wall(theirs):.2f} s, processor {cpu(ours):.2f} s, {cpu(theirs):.2f} s"
    good = cpu(ours) <= times * cpu(theirs) + more
    bar = f"{times} x + {more} s of processor"
    return Line(what, shown, wall(ours) / wall(theirs), cpu(ours) / cpu(theirs), bar, good)
