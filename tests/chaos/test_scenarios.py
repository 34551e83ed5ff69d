"""A short case of every scenario, in the ordinary test run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.chaos.harness import Account
from tests.chaos.scenarios import SCENARIOS, Size

SHORT = Size(rows=600, disturbances=3, seed=5, limit=12_000, between=(1.0, 3.0), haste=True)


def assert_exactly_once(account: Account, limit: int) -> None:
    assert (account.twice, account.lost, account.unexpected) == (0, 0, 0), account
    assert account.accepted == account.at_gateway == account.rows
    assert dict(account.states) == {"accepted": account.rows}
    assert account.busiest <= limit
    assert not account.unclean, account


@pytest.mark.skipif(sys.platform != "linux", reason="signals and limits of Linux")
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(tmp_path: Path, name: str) -> None:
    account = SCENARIOS[name](tmp_path, SHORT)

    assert account.kills + account.freezes + account.events["disk full"] > 0
    assert_exactly_once(account, SHORT.limit)
