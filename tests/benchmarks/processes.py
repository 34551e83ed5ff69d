"""Programs run as processes of their own: what each took of time, processor and memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """One run: wall and processor seconds, the largest resident memory, and what it printed."""

    seconds: float
    cpu: float
    megabytes: float
    output: str


def run(command: Sequence[str], *, expected: Sequence[int] = (0,), **settings: str) -> Cost:
    """Run a program to its end.  ``settings`` are environment variables without their prefix ``DISPATCHER_``.

    Its modules are kept compiled, as those of an installed program are, whatever this process was told.

    RuntimeError with its error output when it ends with a code that was not ``expected``.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("DISPATCHER_") and key != "PYTHONDONTWRITEBYTECODE"
    }
    environment = kept | {f"DISPATCHER_{name.upper()}": value for name, value in settings.items()}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode not in expected:
            raise RuntimeError(f"{command[:4]} ended with {process.returncode}: {errors.read()[-2000:]!r}")
        peak = used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
        return Cost(seconds, used.ru_utime + used.ru_stime, peak, output.read().decode())


def python(*arguments: str) -> list[str]:
    """A command of this interpreter."""
    return [sys.executable, *arguments]


def in_turn(runs: int, *programs: Callable[[], Cost]) -> list[list[Cost]]:
    """Each program so many times, one after the other in turn: what else the machine does meets all of them."""
    found: list[list[Cost]] = [[] for _ in programs]
    for _ in range(runs):
        for costs, program in zip(found, programs, strict=True):
            costs.append(program())
    return found


def wall(costs: Sequence[Cost]) -> float:
    """The median of the seconds that passed."""
    return statistics.median(cost.seconds for cost in costs)


def cpu(costs: Sequence[Cost]) -> float:
    """The median of the seconds of processor time."""
    return statistics.median(cost.cpu for cost in costs)


def megabytes(costs: Sequence[Cost]) -> float:
    """The largest of the peaks."""
    return max(cost.megabytes for cost in costs)
