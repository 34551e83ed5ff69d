"""The soak test of the watched folder: a short one in the ordinary run, the whole one by its own command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.chaos.dropping import ROWS_A_FILE, watched_folder
from tests.chaos.harness import TRACEBACK, Account
from tests.chaos.scenarios import Size

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a file that is open elsewhere is renamed")


def assert_at_rest(account: Account, *, files: int, kills: int) -> None:
    assert (account.twice, account.lost, account.unexpected) == (0, 0, 0), account
    assert account.accepted == account.rows
    assert (account.events["files"], account.kills) == (files, kills)
    assert account.states.total() == files
    assert not account.events[TRACEBACK]
    assert not account.events["bugs"]


@pytest.mark.long
def test_files_are_dropped_while_the_watcher_is_killed_twice(tmp_path: Path) -> None:
    size = Size(rows=22 * ROWS_A_FILE, disturbances=2, seed=3, limit=12_000, haste=True)
    assert_at_rest(watched_folder(tmp_path, size, seconds=14), files=22, kills=2)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_hundred_files_and_ten_kills(tmp_path: Path) -> None:
    size = Size(rows=200 * ROWS_A_FILE, disturbances=10, seed=1, limit=24_000, haste=True)
    assert_at_rest(watched_folder(tmp_path, size, seconds=60), files=200, kills=10)
