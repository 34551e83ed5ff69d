"""How long reading a column of phone numbers takes: by the tables, and by the rule cell by cell.

    python tests/benchmarks/bench_phones.py --rows 100000

Both read the same column in one process, so their ratio holds on a busy machine too.  Building the tables,
and loading them from a cache folder of this run's own, is shown beside it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd
import phonenumbers
import pyarrow as pa

from dispatcher.campaign.phones.automaton import build_automaton
from dispatcher.campaign.phones.keeping import kept_automaton, kept_file
from dispatcher.campaign.phones.reading import read_phone, read_text_cells
from dispatcher.campaign.phones.recogniser import Recogniser

REGION = "IT"
REGIONS = ("IT",) * 14 + ("ES",) * 4 + ("GB", "FR")
# The rule is timed on so many cells at most: it takes the same time for each.
RULE_ROWS = 20_000
BAR = 10.0

Result = TypeVar("Result")


def written_number(rng: random.Random) -> str:
    """A mobile as people write it; one in a hundred is junk."""
    if rng.random() < 0.01:
        return rng.choice(("", "n/d", "06 6982", "333 1234567 int. 2"))
    example = phonenumbers.example_number_for_type(rng.choice(REGIONS), phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        raise LookupError("the library has no example mobile of a region of this list")
    digits = str(example.national_number)
    number = f"{digits[:-6]}{rng.randrange(1_000_000):06d}"
    code = str(example.country_code)
    return rng.choice(
        (
            *(f"+{code}{number}",) * 4,
            *(number if code == "39" else f"+{code}{number}",) * 4,
            f"+{code} {number[:3]} {number[3:6]} {number[6:]}",
            f"00{code}{number}",
            f"{code}{number}",
            f"+{code} {number[:3]}-{number[3:]}",
            f"+{code}.{number[:3]}.{number[3:]}",
            f"+{code} ({number[:3]}) {number[3:]}",
            f"{number[:3]}/{number[3:]}" if code == "39" else f"+{code}/{number}",
            f"\u200e+{code}\u00a0{number}" if rng.random() < 0.1 else f"+{code} {number}",
        )
    )


def best_of(runs: int, work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of the fastest of ``runs``, and what it gave."""
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - started)
    return min(taken), result


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 when the tables are less than ``BAR`` times faster than the rule, or differ from it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(arguments)

    rng = random.Random(20_262)
    texts = [written_number(rng) for _ in range(options.rows)]
    cells = pa.array(pd.Series(texts, dtype=object), pa.large_string())
    with tempfile.TemporaryDirectory() as folder:
        built, _ = best_of(1, build_automaton)
        kept_automaton(Path(folder))
        size = kept_file(Path(folder)).stat().st_size
        loaded, automaton = best_of(options.runs, lambda: kept_automaton(Path(folder)))
    tables, column = best_of(
        options.runs, lambda: read_text_cells(cells, Recogniser(automaton, REGION), REGION)
    )
    sample = texts[:RULE_ROWS]
    rule, expected = best_of(1, lambda: [read_phone(text, REGION) for text in sample])
    same = [phone.recipient for phone in expected] == column.recipient[: len(sample)].tolist()
    by_rule = Recogniser(automaton, REGION).read(cells).open.mean()

    per_row, per_cell = tables / len(texts), rule / len(sample)
    print(f"{len(texts):,} rows, best of {options.runs}")
    print(f"tables: built in {built:.2f} s, loaded in {1000 * loaded:.1f} ms, {size / 1000:.0f} kB on disk")
    print(f"column: {tables:.3f} s, {1e6 * per_row:.2f} us a row; {by_rule:.2%} of the rows went to the rule")
    print(f"rule:   {1e6 * per_cell:.1f} us a row, on {len(sample):,} rows")
    print(f"ratio:  {per_cell / per_row:.1f} (bar {BAR:.0f}); same recipients: {same}")
    return 0 if same and per_cell / per_row >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
