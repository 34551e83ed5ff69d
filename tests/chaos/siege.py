"""What is done to the senders: killed, frozen, their disk filled, at random moments; then they are left in peace."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as later
from pathlib import Path

from tests.chaos.harness import (
    CLEAN_EXITS,
    PYTHON_FAILED,
    Account,
    Battlefield,
    end,
    exit_event,
    finished,
    stage,
    tail,
    until,
)

GRACE = 600.0  # seconds the senders may take to finish once nothing disturbs them any more
FROZEN = (2.0, 7.0)
FULL = (0.3, 4.0)
STAGES = ("loading", "preflight", "sending")
STAGE_WITHIN = 2.0
ROOM_TO_SPEAK = 64 * 1024  # bytes that fit in any case: what a sender prints goes to a file of the same disk
WRONG_USAGE, SAME_FILE = 2, "ledger_same_file_open"
ALL_BYTES = resource.RLIM_INFINITY


@dataclass
class Sender:
    """One file's process, started again when it is gone."""

    field: Battlefield
    file: Path
    account: Account
    process: subprocess.Popen[bytes] = later(init=False)

    def __post_init__(self) -> None:
        self.process = self.field.start(self.file)

    def restart(self) -> None:
        """Another process for the same file."""
        self.process = self.field.start(self.file)
        self.account.restarts += 1

    def ended(self) -> None:
        """Note how it ended by itself; AssertionError for an end that nobody promised."""
        code = self.process.returncode
        said = tail(self.field, self.file)
        self.account.events[exit_event(code)] += 1
        # two that begin with the same file at the same moment: one loads it, the other one is told so
        told = code == WRONG_USAGE and SAME_FILE in said
        if PYTHON_FAILED in said or not (code in CLEAN_EXITS or told):
            raise AssertionError(f"a sender ended with {code}: {said}")

    def ended_within(self, seconds: float) -> bool:
        """Whether it ended by itself meanwhile."""
        try:
            self.process.wait(timeout=max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True


Disturbance = Callable[[Sender, random.Random], None]


def kill(sender: Sender, _rng: random.Random) -> None:
    """SIGKILL, and another one starts."""
    end(sender.process)
    sender.account.kills += 1
    sender.restart()


def freeze(sender: Sender, rng: random.Random, seconds: tuple[float, float] = FROZEN) -> None:
    """SIGSTOP for a while: the process stands still, the world does not."""
    sender.process.send_signal(signal.SIGSTOP)
    time.sleep(rng.uniform(*seconds))
    sender.process.send_signal(signal.SIGCONT)
    sender.account.freezes += 1


def await_stage(sender: Sender) -> None:
    """Let the sender come as far as the next of the stages, if it comes there soon: each has its turn."""
    before = sum(n for event, n in sender.account.events.items() if event.startswith("disk full"))
    wanted = STAGES[before % len(STAGES)]

    def reached() -> bool:
        return stage(sender.field, sender.file) == wanted or sender.process.poll() is not None

    until(reached, STAGE_WITHIN)


def fill_disk(sender: Sender, rng: random.Random) -> None:
    """No file of this process can grow beyond a limit near to where its files are now, for a while (Linux only)."""
    await_stage(sender)
    sizes = [path.stat().st_size for path in sender.field.ledger_path.parent.glob("*.db*")]
    nearly = rng.choice(sizes or [0]) + rng.randrange(ROOM_TO_SPEAK)
    limit = max(nearly, (sender.field.folder / f"{sender.file.stem}.log").stat().st_size + ROOM_TO_SPEAK)
    sender.account.events[f"disk full while {stage(sender.field, sender.file)}"] += 1
    _limit_files(sender.process, limit)
    if not sender.ended_within(rng.uniform(*FULL)):
        _limit_files(sender.process, ALL_BYTES)


def fill_with_ballast(sender: Sender, rng: random.Random) -> None:
    """The ledger's disk, a small one of its own, has no room left for a while."""
    await_stage(sender)
    ballast = sender.field.ledger_path.parent / "ballast"
    sender.account.events[f"disk full while {stage(sender.field, sender.file)}"] += 1
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    sender.ended_within(rng.uniform(*FULL))
    ballast.unlink()


def besiege(
    field: Battlefield,
    files: Sequence[Path],
    rng: random.Random,
    *,
    times: int,
    between: tuple[float, float],
    disturbances: Mapping[Disturbance, float],
    account: Account | None = None,
) -> Account:
    """One sender a file (a file may be named twice), disturbed ``times`` times in all, then left to finish.

    ``disturbances``: what is done, and how often in proportion.  ``account``: one that is begun already.
    """
    account = account or Account()
    senders = [Sender(field, file, account) for file in files]
    try:
        done = 0
        while done < times and not (_all_ended(senders) and finished(field, files)):
            sender = rng.choice(senders)
            if sender.ended_within(rng.uniform(*between)):
                started_again(field, sender)
                time.sleep(0.1)
                continue
            (disturb,) = rng.choices(list(disturbances), list(disturbances.values()))
            disturb(sender, rng)
            done += 1
        finish(field, senders)
    finally:
        for sender in senders:
            if sender.process.poll() is None:
                end(sender.process)
    return account


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

    A share ``freezes`` of the disturbances is a SIGSTOP instead of a SIGKILL.
    """
    account = Account()
    sender = Sender(field, file, account)
    try:
        while account.kills < kills:
            if sender.ended_within(rng.uniform(*between)):
                if not started_again(field, sender):
                    break
            elif rng.random() < freezes:
                freeze(sender, rng)
            else:
                kill(sender, rng)
        finish(field, [sender])
    finally:
        if sender.process.poll() is None:
            end(sender.process)
    return account


def finish(field: Battlefield, senders: Sequence[Sender]) -> None:
    """Let the senders end by themselves, starting them again while rows are open; bounded by :data:`GRACE`."""
    files = [sender.file for sender in senders]
    deadline = time.monotonic() + GRACE
    while True:
        for sender in senders:
            if not sender.ended_within(deadline - time.monotonic()):
                raise AssertionError(f"not finished after {GRACE:.0f} s: {tail(field, sender.file)}")
            sender.ended()
        if finished(field, files):
            return
        time.sleep(0.5)
        for sender in senders:
            sender.restart()


def _all_ended(senders: Sequence[Sender]) -> bool:
    return all(sender.process.poll() is not None for sender in senders)


def started_again(field: Battlefield, sender: Sender) -> bool:
    """Whether a sender that ended had something left to do; one that had not stays away."""
    if finished(field, [sender.file]):
        return False
    sender.ended()
    sender.restart()
    return True


def _limit_files(process: subprocess.Popen[bytes], limit: int) -> None:
    if process.poll() is None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, ALL_BYTES))
