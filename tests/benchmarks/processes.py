"""Programs run as processes of their own: what each took of time, processor and memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# A process inherits the peak of whoever starts it: this one is started between, and is small.
_BETWEEN = """
import json, os, sys, time
started = time.perf_counter()
_, status, used = os.wait4(os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ), 0)
cost = [time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss, status]
os.write(int(sys.argv[1]), json.dumps(cost).encode())
"""


@dataclass(frozen=True)
class Cost:
    """One run: wall and processor seconds, the largest resident memory, and what it printed."""

    seconds: float
    cpu: float
    megabytes: float
    output: str


def run(command: Sequence[str], *, expected: Sequence[int] = (0,), **settings: str) -> Cost:
    """Run a program, named by its path, to its end.

    Its modules are kept compiled, as those of an installed program are, whatever this process was told.
    ``settings`` are environment variables without their prefix ``DISPATCHER_``.  RuntimeError with its error output
    when it ends with a code that was not ``expected``.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("DISPATCHER_") and key != "PYTHONDONTWRITEBYTECODE"
    }
    environment = kept | {f"DISPATCHER_{name.upper()}": value for name, value in settings.items()}
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
        tempfile.TemporaryFile() as told,
    ):
        between = [sys.executable, "-I", "-S", "-c", _BETWEEN, str(told.fileno())]
        subprocess.run(
            [*between, *command],
            stdout=output,
            stderr=errors,
            env=environment,
            pass_fds=[told.fileno()],
            check=True,
        )
        for file in (output, errors, told):
            file.seek(0)
        seconds, processor, largest, status = json.loads(told.read())
        code = os.waitstatus_to_exitcode(status)
        if code not in expected:
            raise RuntimeError(f"{command[:4]} ended with {code}: {errors.read()[-2000:]!r}")
        peak = largest / (1 << 20 if sys.platform == "darwin" else 1 << 10)
        return Cost(seconds, processor, peak, output.read().decode())


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
