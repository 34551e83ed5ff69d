"""What processes left that died: seen by whoever comes next."""

from __future__ import annotations

from pathlib import Path

from dispatcher.intake.house import House
from dispatcher.ledger import Ledger
from dispatcher.sending.owners import is_dead


def tidy(house: House) -> None:
    """Discard the half-loaded plans of dead processes, put their open claims in doubt, and forget them."""
    ledger, now = house.ledger, house.clock.now()

    def gone(owner: str) -> bool:
        return owner_is_gone(ledger, owner)

    ledger.loading.discard_unfinished_loads(now, gone)
    ledger.rows.doubt_dead(gone, now)
    for process in ledger.processes.all():
        if process.lock_path is not None and is_dead(Path(process.lock_path)):
            ledger.processes.forget(process.owner)
            Path(process.lock_path).unlink(missing_ok=True)
    ledger.rows.doubt_expired(now)


def owner_is_gone(ledger: Ledger, owner: str) -> bool:
    """True when the process is proved dead, or left in order and is not registered any more.

    The register is read anew each time: a process that came since must not lose its plan or its claims.
    """
    locks = {process.owner: process.lock_path for process in ledger.processes.all()}
    if owner not in locks:
        return True
    lock = locks[owner]
    return lock is not None and is_dead(Path(lock))
