"""Dispatcher as a process of its own, as a person or a script starts it, and a gateway it really talks to."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.gateway.simulator import Received, Simulator, SimulatorThread

TOKEN = "token-of-the-test-5f2c9a"


@dataclass(frozen=True)
class Ended:
    """What a finished process left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be exactly one JSON object on one line."""
        (line,) = self.out.splitlines()
        value = json.loads(line)
        assert isinstance(value, dict)
        return value

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output of a service: one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The error object."""
        assert list(self.json) == ["error"], self
        found: dict[str, Any] = self.json["error"]
        return found


class Running:
    """A process at work.  Its output goes to files, so it never blocks on a full pipe."""

    def __init__(self, arguments: Sequence[str], folder: Path, env: Mapping[str, str], outputs: Path) -> None:
        outputs.mkdir(parents=True, exist_ok=True)
        self._out, self._err = outputs / "out", outputs / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                # in haste, the waits of an hour-long campaign are those of a short one
                [
                    sys.executable,
                    "-m",
                    "tests.chaos.runner" if "CHAOS_HASTE" in env else "dispatcher",
                    *arguments,
                ],
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def when(self, condition: Callable[[], bool], seconds: float = 60.0) -> Running:
        """Wait until the condition holds; fails when the process ends first."""

        def holds() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode} before: {self.said}"
            return condition()

        return self.until(holds, seconds)

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> Running:
        """Wait until the condition holds, whether or not the process has ended."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"still not after {seconds} s: {self.said}"
            time.sleep(0.02)
        return self

    def signal(self, number: signal.Signals) -> Running:
        """Send a signal."""
        self.process.send_signal(number)
        return self

    def ended(self, seconds: float = 90.0) -> Ended:
        """Wait for the end."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {seconds} s: {self.said}") from None
        return Ended(code, self._out.read_text("utf-8"), self._err.read_text("utf-8"))

    @property
    def out(self) -> str:
        """What was printed on standard output so far."""
        return self._out.read_text("utf-8", "replace")

    @property
    def said(self) -> str:
        """Everything printed so far."""
        return self._out.read_text("utf-8", "replace") + self._err.read_text("utf-8", "replace")


@dataclass
class Cli:
    """Starts dispatcher in ``folder``, with nothing of this machine's settings and its ledger in ``ledger``."""

    folder: Path
    ledger: Path
    env: dict[str, str]
    _started: list[Running] = field(default_factory=list)

    def start(self, *arguments: str | Path, **env: str) -> Running:
        """A process in the background; keywords are environment variables (``DISPATCHER_LOG="debug"``)."""
        outputs = self.ledger.parent.parent / "outputs" / str(len(self._started))
        running = Running([str(each) for each in arguments], self.folder, {**self.env, **env}, outputs)
        self._started.append(running)
        return running

    def __call__(self, *arguments: str | Path, seconds: float = 90.0, **env: str) -> Ended:
        """Run to the end."""
        return self.start(*arguments, **env).ended(seconds)

    def json(self, *arguments: str | Path, **env: str) -> dict[str, Any]:
        """The object of a command that may end as it likes, with its exit code under ``code``."""
        ended = self(*arguments, "--json", **env)
        return {**ended.json, "code": ended.code}

    def received(self) -> list[dict[str, Any]]:
        """What the embedded simulator has received."""
        found: list[dict[str, Any]] = self("simulator", "--received", "--json").json["received"]
        return found

    def sends(self) -> Counter[tuple[str, str]]:
        """How often the embedded simulator really sent each (recipient, text)."""
        return Counter(
            (message["recipient"], message["message"])
            for message in self.received()
            if not message["dry_run"] and not message["blocked"]
        )

    def kill_all(self) -> None:
        """End what a failed test left running."""
        for running in self._started:
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait()


@dataclass(frozen=True)
class GatewayOutside:
    """A simulator in the test's own process: it lives on when dispatcher is killed."""

    thread: SimulatorThread

    @property
    def simulator(self) -> Simulator:
        return self.thread.simulator

    @property
    def url(self) -> str:
        return self.thread.url

    def received(self) -> list[Received]:
        """Everything it took in, dry runs too."""
        return self.simulator.received()

    def accepted(self) -> list[Received]:
        """What it really sends."""
        return [message for message in self.received() if message.accepted]

    def sends(self) -> Counter[tuple[str, str]]:
        """How often each (recipient, text) is really sent."""
        return self.simulator.sends()


def number(n: int) -> str:
    """A plainly fictional Italian mobile number."""
    return f"+3931234{n:05d}"


def write_rows(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """A CSV of numbers and texts."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("phone", "text"))
        writer.writerows(rows)
    return path


def people(count: int, *, first: int = 0, texts: int = 5) -> list[tuple[str, str]]:
    """So many people, who get ``texts`` different texts."""
    return [(number(first + n), f"Your appointment is at {n % texts + 9}:00.") for n in range(count)]


def report_of(cli: Cli, answer: Mapping[str, Any]) -> list[dict[str, str]]:
    """The rows of the CSV report that an answer names."""
    path = cli.folder / str(answer["report"])
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def once_each(rows: Sequence[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Every row sent exactly once."""
    return Counter(dict.fromkeys(rows, 1))
