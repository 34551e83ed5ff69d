"""What else happens to a campaign: its machine's clocks step, its disk is full, others send beside it, its gateway
comes and goes.  Each scenario is one function, short or long by its size.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dispatcher.gateway.simulator import Fault, Faults, SimulatorConfig
from tests.chaos.clocks import Machine
from tests.chaos.harness import HASTE, RUNNER, Account, Battlefield, battlefield, settle_accounts, until
from tests.chaos.siege import GRACE, Disturbance, besiege, fill_disk, fill_with_ballast, freeze, kill


@dataclass(frozen=True)
class Size:
    """How large a scenario is.

    ``limit``: requests a minute.  ``between``: seconds between disturbances.  ``haste``: see :mod:`tests.chaos.runner`.
    ``rounds`` of waves, each kind once a round; None: as long as the campaign lasts, its beginning included.
    """

    rows: int
    disturbances: int
    seed: int
    limit: int
    between: tuple[float, float] = (2.0, 5.0)
    haste: bool = False
    frozen: tuple[float, float] = (2.0, 7.0)
    wave: tuple[float, float] = (0.5, 4.0)
    rounds: int | None = None


Scenario = Callable[[Path, Size], Account]


def stepped_clocks(folder: Path, size: Size) -> Account:
    """The wall clock steps by seconds, minutes and hours, the monotonic one stalls and jumps, senders are killed."""
    # as long as the disturbances take, and the campaign at the limit
    calm = size.disturbances * size.between[1] + size.rows / size.limit * 60
    machine = Machine(size.seed, time.time(), calm)
    config = _config(folder, size, faults=Faults(rates={Fault.RESET_AFTER: 0.004, Fault.ERROR_BEFORE: 0.004}))
    with _field(folder, config, size, CHAOS_CLOCKS=str(machine)) as field:
        file = field.file("campaign.csv", size.rows)
        account = besiege(
            field,
            [file],
            random.Random(f"{size.seed}/clocks"),
            times=size.disturbances,
            between=size.between,
            disturbances={kill: 3, partial(freeze, seconds=size.frozen): 1},
        )
        account.events["clock events"] = len(machine.events)
        return settle_accounts(field, {file: size.rows}, account)


def full_disk(folder: Path, size: Size) -> Account:
    """No file can grow any more, at random moments of loading, preflight, sending and reporting."""
    return _disk_troubles(folder, size, fill_disk)


def small_disk(folder: Path, size: Size) -> Account:
    """The ledger on a disk of its own, which is full at random moments; needs the right to mount one (Linux, root)."""
    disk = folder / "ledger"
    disk.mkdir()
    options = f"size={8 + size.rows // 500}m,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)
    try:
        return _disk_troubles(folder, size, fill_with_ballast)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def can_mount() -> bool:
    """Whether :func:`small_disk` is worth trying."""
    return sys.platform == "linux" and os.geteuid() == 0


def _disk_troubles(folder: Path, size: Size, fill: Disturbance) -> Account:
    config = _config(folder, size, faults=Faults(rates={Fault.RESET_AFTER: 0.002}))
    with _field(folder, config, size) as field:
        file = field.file("campaign.csv", size.rows)
        account = besiege(
            field,
            [file],
            random.Random(f"{size.seed}/disk"),
            times=size.disturbances,
            between=(0.3, size.between[1]),
            disturbances={fill: 4, kill: 1},
        )
        return settle_accounts(field, {file: size.rows}, account)


def several_senders(folder: Path, size: Size) -> Account:
    """Two files and three processes on one ledger, two of them on the same file, killed and frozen."""
    config = _config(folder, size, faults=Faults(rates={Fault.RESET_AFTER: 0.002}))
    with _field(folder, config, size) as field:
        half = size.rows // 2
        files = {field.file("one.csv", half): half, field.file("two.csv", half, first=half): half}
        one, two = files
        account = besiege(
            field,
            [one, two, two],
            random.Random(f"{size.seed}/several"),
            times=size.disturbances,
            between=size.between,
            disturbances={kill: 3, partial(freeze, seconds=size.frozen): 1},
        )
        return settle_accounts(field, files, account)


def gateway_waves(folder: Path, size: Size) -> Account:
    """Waves of 429 with Retry-After, of 5xx after accepting, of resets; the gateway away for seconds; a listing that
    comes late and in small pages; senders killed.
    """
    config = _config(folder, size, listing_lag=0.7, limit_cap=37, listing_order="oldest")
    with _field(folder, config, size) as field:
        file = field.file("campaign.csv", size.rows)
        with _waves(field, size) as seen:
            account = besiege(
                field,
                [file],
                random.Random(f"{size.seed}/kills"),
                times=size.disturbances,
                between=size.between,
                disturbances={kill: 1},
            )
        account.events.update(seen)
        return settle_accounts(field, {file: size.rows}, account)


SCENARIOS: dict[str, Scenario] = {
    "stepped-clocks": stepped_clocks,
    "full-disk": full_disk,
    "small-disk": small_disk,
    "several-senders": several_senders,
    "gateway-waves": gateway_waves,
}

WAVES = {
    "throttled": Faults(rates={Fault.THROTTLED: 1.0}, only_sends=False, retry_after=1.0),
    "lost answers": Faults(rates={Fault.ERROR_AFTER: 0.3, Fault.RESET_AFTER: 0.3}),
    "resets": Faults(rates={Fault.RESET_BEFORE: 0.5, Fault.HALF_ANSWER: 0.2}, only_sends=False),
    "slow": Faults(rates={Fault.CLOSE_AFTER: 0.05}, latency=(0.1, 0.8)),
}
OUTAGE = "away"


@contextmanager
def _waves(field: Battlefield, size: Size) -> Iterator[dict[str, int]]:
    """Waves of every kind in turn, as long as the block lasts; counts them."""
    seen = dict.fromkeys((*WAVES, OUTAGE), 0)
    rng = random.Random(f"{size.seed}/waves")
    over = threading.Event()

    def blow() -> None:
        if size.rounds is not None:  # few: none may be spent before anything is sent
            until(lambda: over.is_set() or bool(field.simulator.simulator.sends()), GRACE)
        for _ in itertools.count() if size.rounds is None else range(size.rounds):
            kinds = list(seen)
            rng.shuffle(kinds)
            for kind in kinds:
                if over.wait(rng.uniform(*size.wave)):
                    return
                seen[kind] += 1
                _wave(field, kind, lambda: over.wait(rng.uniform(*size.wave)))

    wind = threading.Thread(target=blow, name="waves")
    wind.start()
    try:
        yield seen
    finally:
        over.set()
        wind.join()


def _wave(field: Battlefield, kind: str, last: Callable[[], object]) -> None:
    if kind == OUTAGE:
        field.simulator.stop()
        last()
        field.simulator.start()
        return
    field.simulator.simulator.set_faults(WAVES[kind])
    last()
    field.simulator.simulator.set_faults(Faults())


def _config(folder: Path, size: Size, **settings: object) -> SimulatorConfig:
    plain = SimulatorConfig(
        state=folder / "gateway.db",
        requests_per_minute=None,  # seen from here, not enforced: the account says whether it held
        lists_dry_runs=True,
        seed=size.seed,
        arrivals_kept=2_000_000,
    )
    return replace(plain, **settings)  # type: ignore[arg-type]


def _field(
    folder: Path, config: SimulatorConfig, size: Size, **chaos: str
) -> AbstractContextManager[Battlefield]:
    settings = {**chaos, **(HASTE if size.haste else {})}
    return battlefield(folder, config, rate_per_minute=size.limit, command=RUNNER, settings=settings)
