"""Rows that wait may be left to another process only while there is one."""

from __future__ import annotations

from datetime import datetime

from dispatcher.errors import UsageError
from dispatcher.intake.house import House

SENDERS = frozenset({"worker", "watch", "schedule"})
"""Roles of processes that send what is due, of any campaign of the ledger."""


def require_sender(house: House, now: datetime) -> None:
    """UsageError ``detach_nobody`` unless a process is registered that sends for others and is not known to be gone."""
    for process in house.ledger.processes.all():
        owner = process.owner
        if (
            process.role in SENDERS
            and not house.owners.is_gone(owner)
            and not house.owners.is_silent(owner, now)
        ):
            return
    raise UsageError("detach_nobody")
