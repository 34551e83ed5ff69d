"""Who counts as gone: the register is asked anew, and a lock is the only proof of a death."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from dispatcher.intake.tidying import owner_is_gone
from dispatcher.ledger import Ledger

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    yield opened
    opened.dispose()


def register(ledger: Ledger, owner: str, lock: Path | None) -> None:
    path = None if lock is None else str(lock)
    ledger.processes.register(owner, pid=1, host="here", role="run", lock_path=path, now=NOW)


def test_only_a_proof_makes_an_owner_gone(ledger: Ledger, tmp_path: Path) -> None:
    held, left = FileLock(tmp_path / "held.lock"), tmp_path / "left.lock"
    left.touch()
    register(ledger, "without_lock", None)
    register(ledger, "alive", tmp_path / "held.lock")
    register(ledger, "killed", left)
    register(ledger, "removed_its_lock", tmp_path / "nowhere.lock")
    owners = ("without_lock", "alive", "killed", "removed_its_lock", "unknown")
    with held:
        gone = {owner: owner_is_gone(ledger, owner) for owner in owners}
    assert gone == dict(zip(owners, (False, False, True, True, True), strict=True))


def test_who_registers_later_is_seen(ledger: Ledger, tmp_path: Path) -> None:
    assert owner_is_gone(ledger, "late")
    with FileLock(tmp_path / "late.lock"):
        register(ledger, "late", tmp_path / "late.lock")
        assert not owner_is_gone(ledger, "late")
