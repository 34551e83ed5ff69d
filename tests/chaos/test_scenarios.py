"""A short case of every scenario, in the ordinary test run."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.callbacks import callbacks_under_fire
from tests.chaos.harness import SPAN, TRACEBACK, Account
from tests.chaos.scenarios import (
    OUTAGE,
    WAVES,
    Size,
    full_disk,
    gateway_waves,
    several_senders,
    stepped_clocks,
)

SHORT = Size(
    rows=600,
    disturbances=3,
    seed=5,
    limit=12_000,
    between=(0.8, 2.0),
    haste=True,
    frozen=(1.0, 2.0),
    wave=(0.2, 0.7),
    rounds=1,
)
BUNCHED = 2.0  # seconds by which a gateway on a busy machine may look at requests late, all at once

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and limits of Linux")


def assert_exactly_once(account: Account, size: Size) -> None:
    assert (account.twice, account.lost, account.unexpected) == (0, 0, 0), account
    assert account.accepted == account.at_gateway == account.rows == size.rows
    assert dict(account.states) == {"accepted": size.rows}
    assert account.busiest <= size.limit
    assert not account.events[TRACEBACK]


def test_clocks_step_and_stall(tmp_path: Path) -> None:
    size = replace(SHORT, disturbances=2)

    account = stepped_clocks(tmp_path, size)

    assert account.kills
    assert account.events["clock events"] > 3
    assert_exactly_once(account, size)


def test_disk_is_full_now_and_then(tmp_path: Path) -> None:
    account = full_disk(tmp_path, SHORT)

    assert sum(n for event, n in account.events.items() if event.startswith("disk full")) > 1
    assert_exactly_once(account, SHORT)


@pytest.mark.long
def test_three_senders_share_ledger_and_pace(tmp_path: Path) -> None:
    size = replace(SHORT, rows=900, limit=6_000)

    account = several_senders(tmp_path, size)

    assert account.kills
    assert_exactly_once(account, size)
    # each for itself would send three times as fast
    assert account.fullest <= (SPAN + BUNCHED) * size.limit / 60


@pytest.mark.long
def test_gateway_comes_and_goes(tmp_path: Path) -> None:
    size = replace(SHORT, rows=700, limit=6_000, disturbances=1)

    account = gateway_waves(tmp_path, size)

    assert account.kills
    assert all(account.events[kind] for kind in (*WAVES, OUTAGE)), account
    assert_exactly_once(account, size)


@pytest.mark.long
def test_callbacks_come_to_a_receiver_that_is_killed(tmp_path: Path) -> None:
    account = callbacks_under_fire(tmp_path, SHORT)

    assert (account.twice, account.lost, account.unexpected) == (0, 0, 0), account
    assert account.accepted == account.at_gateway == account.rows == SHORT.rows
    assert set(account.states) == {"delivered", "undeliverable", "expired"}
    assert account.events["serve killed"]
    assert account.events["event proved_by_report"]
    assert all(account.events[f"strangers answered {status}"] for status in (400, 401)), account
    assert not account.events[TRACEBACK]
