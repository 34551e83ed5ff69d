"""Rows that wait may be left to another process only while there is one."""

from __future__ import annotations

from datetime import datetime

from dispatcher.errors import UsageError
from dispatcher.intake.house import House


def require_sender(house: House, now: datetime) -> None:
    """UsageError ``detach_nobody`` unless a process is registered that sends through the gateway for others and is not
    known to be gone.
    """
    for process in house.ledger.processes.all():
        owner = process.owner
        if (
            process.sends_through(house.gateway)
            and not house.owners.is_gone(owner)
            and not house.owners.is_silent(owner, now)
        ):
            return
    raise UsageError("detach_nobody")
