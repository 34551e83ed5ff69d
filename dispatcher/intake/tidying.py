"""What processes left that died: seen by whoever comes next."""

from __future__ import annotations

from datetime import datetime

from dispatcher.ledger import Ledger
from dispatcher.sending.owners import Owners


def tidy(ledger: Ledger, owners: Owners, now: datetime) -> None:
    """Discard the half-loaded plans of dead processes, put their open claims in doubt, and forget them."""
    ledger.loading.discard_unfinished_loads(now, owners.is_gone)
    ledger.rows.doubt_dead(owners.is_gone, now)
    owners.forget_dead()
    ledger.rows.doubt_expired(now)
