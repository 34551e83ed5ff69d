"""Campaigns under fire: senders as real processes, a gateway that misbehaves, and the account afterwards.

Everything random comes from one seed.  The gateway is the simulator in the test's own process, so it outlives the
senders; it is asked what it really accepted.  What is done to the senders meanwhile is in :mod:`tests.chaos.siege`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.ledger import CampaignState, CampaignView, Ledger, RowState
from dispatcher.ledger.states import SENT
from tests.servers.ports import free_port

RUN = (sys.executable, "-m", "dispatcher", "run")
RUNNER = (sys.executable, "-m", "tests.chaos.runner", "run")  # the same in a strange world
HASTE = {"CHAOS_HASTE": "1"}
TEXTS = 20
SPAN = 3.0  # seconds: in a short campaign they show whether the senders share the pace
OPEN = (RowState.READY, RowState.SENDING, RowState.IN_DOUBT)
# how a sender may end by itself: done, rows left, held, unreachable (a full disk, too), interrupted
CLEAN_EXITS = frozenset({0, 1, 4, 5, 130})
PYTHON_FAILED = "Traceback (most recent call last)"
TRACEBACK = "traceback"  # an event that must not happen


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
    fullest: int = 0  # requests in any SPAN seconds
    events: Counter[str] = field(default_factory=Counter)  # what else was done, and how senders ended

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
        self.fullest = max(self.fullest, other.fullest)
        self.seconds += other.seconds
        self.states.update(other.states)
        self.events.update(other.events)


@dataclass(frozen=True)
class Battlefield:
    """One ledger, one gateway, and the files to send."""

    folder: Path
    simulator: SimulatorThread
    rate_per_minute: int
    quiet_seconds: int = 2
    command: Sequence[str] = RUN
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def ledger_path(self) -> Path:
        """The ledger's file."""
        return self.folder / "ledger" / "ledger.db"

    @property
    def ledger_url(self) -> str:
        """Where the ledger is."""
        return self.settings.get("DISPATCHER_LEDGER", f"sqlite:///{self.ledger_path}")

    def file(self, name: str, rows: int, first: int = 0) -> Path:
        """A campaign of ``rows`` plainly fictional numbers and :data:`TEXTS` different texts."""
        path = self.folder / name
        lines = (f"+39312{first + i:07d},Message {i % TEXTS} of {name}\n" for i in range(rows))
        path.write_text("Phone,Message\n" + "".join(lines), encoding="utf-8")
        return path

    def start(self, file: Path, **options: Any) -> subprocess.Popen[bytes]:
        """A sender of its own process group for ``file``."""
        return self.launch([*self.command, str(file), "--yes", "--json"], file.stem, **options)

    def launch(
        self, command: Sequence[str], name: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """A process of its own process group; what it prints is added to the log ``name``."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DISPATCHER_")},
            "DISPATCHER_GATEWAY": self.simulator.url,
            "DISPATCHER_TOKEN": "simulator",
            "DISPATCHER_LEDGER": self.ledger_url,
            "DISPATCHER_RATE_PER_MINUTE": str(self.rate_per_minute),
            "DISPATCHER_QUIET_SECONDS": str(self.quiet_seconds),
            "TMPDIR": str(self.folder),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            **self.settings,
            **(env or {}),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )


@contextmanager
def battlefield(
    folder: Path,
    config: SimulatorConfig,
    *,
    rate_per_minute: int,
    command: Sequence[str] = RUN,
    settings: Mapping[str, str] | None = None,
    **simulator_options: Any,
) -> Iterator[Battlefield]:
    """A gateway that runs while the block lasts; its state is a file, so it can be looked at afterwards.

    It keeps its port when it is stopped and started again meanwhile.
    """
    with SimulatorThread(config, port=free_port(), **simulator_options) as simulator:
        yield Battlefield(folder, simulator, rate_per_minute, command=command, settings=settings or {})


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a sender by its id and wait until it is gone, frozen or not."""
    process.kill()
    process.wait(timeout=30)


def finished(field: Battlefield, files: Sequence[Path]) -> bool:
    """Whether every file has a finished campaign, and no row of the ledger is open."""
    wanted = {_digest(file) for file in files}
    with opened_ledger(field) as ledger:
        campaigns = ledger.queries.campaigns(limit=1_000) if ledger else []
        done = {each.file_sha256 for each in campaigns if each.state is CampaignState.FINISHED}
        return wanted <= done and not any(
            ledger.queries.counts(each.id).get(state) for each in campaigns for state in OPEN if ledger
        )


def stage(field: Battlefield, file: Path) -> str:
    """How far the file's newest campaign is: its state, or that there is none."""
    if not field.ledger_path.exists():
        return "starting"
    with opened_ledger(field) as ledger:
        campaigns = ledger.queries.campaigns(limit=1_000) if ledger else []
        states = {each.id: each.state.code for each in campaigns if each.file_sha256 == _digest(file)}
        return states[max(states)] if states else "starting"


def settle_accounts(field: Battlefield, files: dict[Path, int], account: Account) -> Account:
    """Compare the ledger with what the gateway really accepted.

    ``states`` counts every row of every file once: a file that was run again as well has the row's first state, or
    the one in which it was sent.
    """
    received = [message for message in field.simulator.simulator.received() if message.accepted]
    at_gateway = Counter((message.recipient, message.message) for message in received)
    accepted: Counter[str] = Counter()
    rows: dict[tuple[str, int], RowState] = {}
    with opened_ledger(field) as ledger:
        assert ledger is not None
        for campaign in sorted(ledger.queries.campaigns(limit=1_000), key=_by_id):
            for row in ledger.queries.report_rows(campaign.id):
                key = (campaign.file_sha256, row.row)
                if key not in rows or row.state in SENT:
                    rows[key] = row.state
                if row.state in SENT and row.message_id is not None:
                    accepted[row.message_id] += 1
    account.states.update(state.code for state in rows.values())
    account.rows = sum(files.values())
    account.accepted = sum(accepted.values())
    account.at_gateway = len(received)
    account.twice = sum(n - 1 for n in at_gateway.values())
    account.lost = account.rows - len(at_gateway)
    account.unexpected = len({message.id for message in received} ^ set(accepted))
    account.busiest = field.simulator.simulator.busiest(60)
    account.fullest = field.simulator.simulator.busiest(SPAN)
    account.events[TRACEBACK] += sum(said(field, file).count(PYTHON_FAILED) for file in files)
    account.events += Counter()  # what did not happen is not listed
    return account


def exit_event(code: int) -> str:
    """Under which name an exit code is counted."""
    return f"exit {code}"


def said(field: Battlefield, file: Path) -> str:
    """Everything the senders of a file printed."""
    return (field.folder / f"{file.stem}.log").read_text(encoding="utf-8", errors="replace")


def tail(field: Battlefield, file: Path, lines: int = 15) -> str:
    """The last lines a sender printed."""
    return "\n".join(said(field, file).splitlines()[-lines:])


def as_json(account: Account, *, events: bool = False) -> str:
    """One line for the record; ``events``: with what else was done, and how senders ended."""
    shown = {**vars(account), "states": dict(account.states), "events": dict(sorted(account.events.items()))}
    hidden = () if events else ("events", "fullest")
    return json.dumps({name: value for name, value in shown.items() if name not in hidden})


def until(condition: Callable[[], bool], seconds: float, every: float = 0.02) -> bool:
    """Poll a condition; whether it came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(every)
    return False


@contextmanager
def opened_ledger(field: Battlefield) -> Iterator[Ledger | None]:
    """The battlefield's ledger while the block lasts; None when there is none yet."""
    ledger = Ledger.open_existing(field.ledger_url)
    try:
        yield ledger
    finally:
        if ledger is not None:
            ledger.dispose()


def _by_id(campaign: CampaignView) -> int:
    return campaign.id


def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()
