"""The long chaos run: ``python -m tests.chaos.long_run --kills 200 --rows 100000 --seed 1``.

Several campaigns, each under another mixture of faults, their senders killed and frozen at random moments.  After each
one the ledger is compared with what the gateway really accepted; one line of JSON a campaign, a total at the end, exit
code 1 when anything was sent twice, lost, or unaccounted for, or the limit was broken.

``--scenarios all`` adds stepped clocks, full disks, several senders, waves at the gateway, callbacks, a cluster and a
watched folder, a line each; a name takes that one alone and may be given several times.  Rows and kills are
shared out among the campaigns.
``--haste`` shortens the waits of the scenarios (see :mod:`tests.chaos.runner`).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dispatcher.gateway.simulator import Fault, Faults, SimulatorConfig
from tests.chaos.callbacks import callbacks_on_several_machines, callbacks_under_fire
from tests.chaos.cluster import cluster_under_fire
from tests.chaos.dropping import watched_folder
from tests.chaos.harness import TRACEBACK, Account, as_json, battlefield, settle_accounts
from tests.chaos.scenarios import SCENARIOS, Size, can_mount
from tests.chaos.siege import kill_repeatedly

EVERY = {
    **SCENARIOS,
    "callbacks": callbacks_under_fire,
    "callbacks-cluster": callbacks_on_several_machines,
    "cluster": cluster_under_fire,
    "watch": watched_folder,
}


@dataclass(frozen=True)
class Weather:
    """One mixture of faults at the gateway."""

    name: str
    faults: Faults = field(default_factory=Faults)
    order: Literal["newest", "oldest"] = "newest"
    lag: float = 0.0
    cap: int = 100
    lists_dry_runs: bool = True


WEATHER = (
    Weather("calm"),
    Weather("lost answers", Faults(rates={Fault.RESET_AFTER: 0.004, Fault.ERROR_AFTER: 0.004}), "oldest"),
    Weather("resets", Faults(rates={Fault.RESET_BEFORE: 0.004, Fault.HALF_ANSWER: 0.004}), lag=3.0),
    Weather(
        "throttled", Faults(rates={Fault.THROTTLED: 0.01, Fault.ERROR_AFTER: 0.002}, retry_after=1), cap=37
    ),
    Weather(
        "garbage", Faults(rates={Fault.GARBAGE: 0.003, Fault.CLOSE_AFTER: 0.003, Fault.ERROR_BEFORE: 0.003})
    ),
)


def campaign(weather: Weather, *, rows: int, kills: int, seed: int, limit: int) -> Account:
    """One campaign under one weather."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dispatcher-chaos-") as name:
        folder = Path(name)
        config = SimulatorConfig(
            state=folder / "gateway.db",
            requests_per_minute=None,
            faults=weather.faults,
            listing_order=weather.order,
            listing_lag=weather.lag,
            limit_cap=weather.cap,
            lists_dry_runs=weather.lists_dry_runs,
            seed=seed,
            arrivals_kept=2_000_000,
        )
        with battlefield(folder, config, rate_per_minute=limit) as field:
            file = field.file("campaign.csv", rows)
            rng = random.Random(f"{seed}/{weather.name}")
            account = kill_repeatedly(field, file, rng, kills=kills, between=(2.0, 5.0), freezes=0.1)
            settle_accounts(field, {file: rows}, account)
    account.seconds = round(time.monotonic() - started, 1)
    return account


def scenario(name: str, size: Size) -> Account:
    """One campaign of a scenario."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dispatcher-chaos-") as folder:
        account = EVERY[name](Path(folder), size)
    account.seconds = round(time.monotonic() - started, 1)
    return account


def main() -> int:
    """Run it; 0 when every promise held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, default=24_000, help="requests a minute")
    parser.add_argument(
        "--scenarios", nargs="+", choices=["weather", "all", *EVERY], default=["weather"], metavar="NAME"
    )
    parser.add_argument("--haste", action="store_true")
    wanted = parser.parse_args()
    weather, names = _chosen(wanted.scenarios)
    parts = len(weather) + len(names)
    rows, kills = wanted.rows // parts, wanted.kills // parts
    total = Account()
    failed = False
    for i, kind in enumerate(weather):
        account = campaign(kind, rows=rows, kills=kills, seed=wanted.seed + i, limit=wanted.limit)
        _say(f"{kind.name}: {as_json(account)}")
        failed |= account.kills < kills
        total.add(account)
    for name in names:
        size = Size(rows=rows, disturbances=kills, seed=wanted.seed, limit=wanted.limit, haste=wanted.haste)
        try:
            account = scenario(name, size)
        except (
            AssertionError
        ) as error:  # a sender ended as none may, or never: the other scenarios are still run
            _say(f"{name}: {error}")
            failed = True
            continue
        _say(f"{name}: {as_json(account, events=True)}")
        failed |= account.events[TRACEBACK] > 0
        total.add(account)
    _say(f"total: {as_json(total)}")
    broken = total.twice or total.lost or total.unexpected or total.busiest > wanted.limit
    return 1 if broken or failed else 0


def _chosen(names: Sequence[str]) -> tuple[Sequence[Weather], list[str]]:
    """The kinds of weather and the scenarios to run; a disk of its own only where one can be mounted."""
    every = "all" in names
    chosen = [name for name in EVERY if name in names or (every and (name != "small-disk" or can_mount()))]
    return (WEATHER if every or "weather" in names else ()), chosen


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
