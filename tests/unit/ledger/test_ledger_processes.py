"""Who of the register sends for others, and through which gateway."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.ledger import Ledger

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ALIVE = timedelta(seconds=15)


@pytest.mark.parametrize(
    ("role", "gateway", "silent", "counts"),
    [
        ("worker", "production", 0, True),
        ("watch", "production", 14, True),
        ("schedule", "production", 0, True),
        ("run", "production", 0, False),
        ("worker", "sandbox", 0, False),
        ("worker", None, 0, False),  # an older version registered it
        ("worker", "production", 16, False),
    ],
)
def test_who_sends_for_others(
    ledger: Ledger, role: str, gateway: str | None, silent: int, counts: bool
) -> None:
    ledger.processes.register("one", pid=1, host="here", role=role, lock_path=None, now=NOW, gateway=gateway)
    found = ledger.processes.senders("production", ALIVE, NOW + timedelta(seconds=silent))
    assert bool(found) is counts
    (registered,) = ledger.processes.all()
    assert registered.gateway == gateway
