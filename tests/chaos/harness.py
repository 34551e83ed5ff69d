"""Campaigns under fire: senders as real processes, killed and frozen, a gateway that misbehaves, and the account.

Everything random comes from one seed.  The gateway is the simulator in the test's own process, so it outlives the
senders; it is asked what it really accepted.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.ledger import Ledger, RowState
from dispatcher.ledger.states import SENT

RUN = (sys.executable, "-m", "dispatcher", "run")
GRACE = 600.0  # seconds a sender may take to finish once nothing disturbs it any more
TEXTS = 20


@dataclass
class Account:
    """What was done to the senders and what came of it."""

    rows: int = 0
    kills: int = 0
    freezes: int = 0
    restarts: int = 0
    accepted: int = 0
    at_gateway: int = 0
    twice: int = 0
    lost: int = 0
    unexpected: int = 0
    busiest: int = 0
    seconds: float = 0.0
    states: Counter[str] = field(default_factory=Counter)

    def add(self, other: Account) -> None:
        """Count another run in."""
        for name in (
            "rows",
            "kills",
            "freezes",
            "restarts",
            "accepted",
            "at_gateway",
            "twice",
            "lost",
            "unexpected",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.busiest = max(self.busiest, other.busiest)
        self.seconds += other.seconds
        self.states.update(other.states)


@dataclass(frozen=True)
class Battlefield:
    """One ledger, one gateway, and the files to send."""

    folder: Path
    simulator: SimulatorThread
    rate_per_minute: int
    quiet_seconds: int = 2
    command: Sequence[str] = RUN

    @property
    def ledger_path(self) -> Path:
        """The ledger's file."""
        return self.folder / "ledger" / "ledger.db"

    def file(self, name: str, rows: int, first: int = 0) -> Path:
        """A campaign of ``rows`` plainly fictional numbers and :data:`TEXTS` different texts."""
        path = self.folder / name
        lines = (f"+39312{first + i:07d},Message {i % TEXTS} of {name}\n" for i in range(rows))
        path.write_text("Phone,Message\n" + "".join(lines), encoding="utf-8")
        return path

    def start(self, file: Path, **options: Any) -> subprocess.Popen[bytes]:
        """A sender of its own process group for ``file``."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DISPATCHER_")},
            "DISPATCHER_GATEWAY": self.simulator.url,
            "DISPATCHER_TOKEN": "simulator",
            "DISPATCHER_LEDGER": f"sqlite:///{self.ledger_path}",
            "DISPATCHER_RATE_PER_MINUTE": str(self.rate_per_minute),
            "DISPATCHER_QUIET_SECONDS": str(self.quiet_seconds),
        }
        with (self.folder / f"{file.stem}.log").open("ab") as log:
            return subprocess.Popen(
                [*self.command, str(file), "--yes", "--json"],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )


@contextmanager
def battlefield(
    folder: Path, config: SimulatorConfig, *, rate_per_minute: int, command: Sequence[str] = RUN
) -> Iterator[Battlefield]:
    """A gateway that runs while the block lasts; its state is a file, so it can be looked at afterwards."""
    with SimulatorThread(config) as simulator:
        yield Battlefield(folder, simulator, rate_per_minute, command=command)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a sender by its id and wait until it is gone, frozen or not."""
    process.kill()
    process.wait(timeout=30)


def kill_repeatedly(
    field: Battlefield,
    file: Path,
    rng: random.Random,
    *,
    kills: int,
    between: tuple[float, float],
    freezes: float = 0,
) -> Account:
    """Send ``file``, killing the sender ``kills`` times at random moments; then let it finish.

    A share ``freezes`` of the disturbances is a SIGSTOP of 2 to 7 seconds instead of a SIGKILL.
    """
    account = Account()
    process = field.start(file)
    try:
        while account.kills < kills:
            if _ended_within(process, rng.uniform(*between)):
                if process.returncode in (0, 1) and finished(field):
                    break
                process = field.start(file)
                account.restarts += 1
                continue
            if rng.random() < freezes:
                process.send_signal(signal.SIGSTOP)
                time.sleep(rng.uniform(2, 7))
                process.send_signal(signal.SIGCONT)
                account.freezes += 1
                continue
            end(process)
            account.kills += 1
            account.restarts += 1
            process = field.start(file)
        finish(field, file, process, account)
    finally:
        if process.poll() is None:
            end(process)
    return account


def finish(field: Battlefield, file: Path, process: subprocess.Popen[bytes], account: Account) -> None:
    """Let a sender end by itself, starting it again while it was held or interrupted; bounded by :data:`GRACE`."""
    deadline = time.monotonic() + GRACE
    while not _ended_within(process, deadline - time.monotonic()) or not finished(field):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not finished after {GRACE:.0f} s: {tail(field, file)}")
        time.sleep(0.5)
        process = field.start(file)
        account.restarts += 1


def finished(field: Battlefield) -> bool:
    """Whether no campaign of the ledger has an open row left."""
    ledger = Ledger.open_existing(f"sqlite:///{field.ledger_path}")
    if ledger is None:
        return False
    try:
        campaigns = ledger.queries.campaigns(limit=1_000)
        open_states = (RowState.READY, RowState.SENDING, RowState.IN_DOUBT)
        return bool(campaigns) and not any(
            ledger.queries.counts(campaign.id).get(state) for campaign in campaigns for state in open_states
        )
    finally:
        ledger.dispose()


def settle_accounts(field: Battlefield, files: dict[Path, int], account: Account) -> Account:
    """Compare the ledger with what the gateway really accepted."""
    received = [message for message in field.simulator.simulator.received() if message.accepted]
    at_gateway = Counter((message.recipient, message.message) for message in received)
    ledger = Ledger.open_existing(f"sqlite:///{field.ledger_path}")
    assert ledger is not None
    try:
        accepted: Counter[str] = Counter()
        for campaign in ledger.queries.campaigns(limit=1_000):
            for row in ledger.queries.report_rows(campaign.id):
                account.states[row.state.code] += 1
                if row.state in SENT and row.message_id is not None:
                    accepted[row.message_id] += 1
    finally:
        ledger.dispose()
    account.rows = sum(files.values())
    account.accepted = sum(accepted.values())
    account.at_gateway = len(received)
    account.twice = sum(n - 1 for n in at_gateway.values())
    account.lost = account.rows - len(at_gateway)
    account.unexpected = len({message.id for message in received} ^ set(accepted))
    account.busiest = field.simulator.simulator.busiest(60)
    return account


def tail(field: Battlefield, file: Path, lines: int = 15) -> str:
    """The last lines a sender printed."""
    text = (field.folder / f"{file.stem}.log").read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def as_json(account: Account) -> str:
    """One line for the record."""
    return json.dumps({**vars(account), "states": dict(account.states)})


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll a condition; whether it came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(timeout=max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return False
    return True
