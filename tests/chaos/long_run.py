"""The long chaos run: ``python -m tests.chaos.long_run --kills 200 --rows 100000 --seed 1``.

Several campaigns, each under another mixture of faults, their senders killed and frozen at random moments.  After each
one the ledger is compared with what the gateway really accepted; one line of JSON a campaign, a total at the end, exit
code 1 when anything was sent twice, lost, or unaccounted for, or the limit was broken.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dispatcher.gateway.simulator import Fault, Faults, SimulatorConfig
from tests.chaos.harness import Account, as_json, battlefield, settle_accounts
from tests.chaos.siege import kill_repeatedly


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


def main() -> int:
    """Run it; 0 when every promise held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, default=24_000, help="requests a minute")
    wanted = parser.parse_args()
    total = Account()
    for i, weather in enumerate(WEATHER):
        account = campaign(
            weather,
            rows=wanted.rows // len(WEATHER),
            kills=wanted.kills // len(WEATHER),
            seed=wanted.seed + i,
            limit=wanted.limit,
        )
        sys.stdout.write(f"{weather.name}: {as_json(account)}\n")
        sys.stdout.flush()
        total.add(account)
    sys.stdout.write(f"total: {as_json(total)}\n")
    broken = total.twice or total.lost or total.unexpected or total.busiest > wanted.limit
    return 1 if broken or total.kills < wanted.kills // len(WEATHER) * len(WEATHER) else 0


if __name__ == "__main__":
    raise SystemExit(main())
