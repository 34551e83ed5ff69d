"""What processes left that died: seen by whoever comes next."""

from __future__ import annotations

from pathlib import Path

from dispatcher.intake.house import House
from dispatcher.sending.owners import is_dead


def tidy(house: House) -> None:
    """Discard the half-loaded plans of dead processes, put their open claims in doubt, and forget them."""
    ledger, now = house.ledger, house.clock.now()
    processes = ledger.processes.all()
    alive = {p.owner for p in processes if p.lock_path is None or not is_dead(Path(p.lock_path))}
    ledger.loading.discard_unfinished_loads(now, lambda owner: owner not in alive)
    ledger.rows.doubt_dead(lambda owner: owner not in alive, now)
    for process in processes:
        if process.owner not in alive:
            ledger.processes.forget(process.owner)
    ledger.rows.doubt_expired(now)
