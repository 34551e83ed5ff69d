"""The short chaos set: a few kills and faults on real processes, in the ordinary test run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dispatcher.gateway.simulator import Fault, Faults, SimulatorConfig
from tests.chaos.harness import HASTE, RUNNER, Account, battlefield, settle_accounts
from tests.chaos.siege import kill_repeatedly

LIMIT = 60_000
ROWS = 1_500


def assert_exactly_once(account: Account) -> None:
    assert (account.twice, account.lost, account.unexpected) == (0, 0, 0), account
    assert account.accepted == account.at_gateway == account.rows
    assert sum(account.states.values()) == account.rows
    assert account.busiest <= LIMIT


@pytest.mark.parametrize(
    ("name", "faults", "order"),
    [
        pytest.param("calm", Faults(), "newest", marks=pytest.mark.long),
        (
            "broken answers",
            Faults(rates={Fault.RESET_AFTER: 0.01, Fault.ERROR_AFTER: 0.005, Fault.RESET_BEFORE: 0.01}),
            "oldest",
        ),
    ],
)
def test_killed_three_times(tmp_path: Path, name: str, faults: Faults, order: str) -> None:
    config = SimulatorConfig(
        state=tmp_path / "gateway.db",
        requests_per_minute=LIMIT,
        faults=faults,
        listing_order="oldest" if order == "oldest" else "newest",
        lists_dry_runs=True,
        seed=7,
    )
    with battlefield(tmp_path, config, rate_per_minute=LIMIT // 10, command=RUNNER, settings=HASTE) as field:
        file = field.file("campaign.csv", ROWS)

        account = kill_repeatedly(field, file, random.Random(name), kills=3, between=(2.0, 5.0))

        assert_exactly_once(settle_accounts(field, {file: ROWS}, account))
