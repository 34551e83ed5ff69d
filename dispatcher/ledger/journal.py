"""The journal: what happened to a campaign and which decisions persons made.  Entries are added, never
changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import events


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry."""

    at: datetime
    kind: str
    campaign_id: int | None
    row: int | None
    detail: Mapping[str, Any]


def note(
    connection: Connection,
    kind: str,
    now: datetime,
    *,
    campaign_id: int | None = None,
    row: int | None = None,
    **detail: Any,
) -> None:
    """Add an entry in the caller's transaction.  ``detail`` holds JSON values, no text of a message, no phone
    number.
    """
    connection.execute(
        insert(events).values(campaign_id=campaign_id, row=row, at=now, kind=kind, detail=detail)
    )


class Events:
    """The journal, for readers and for whoever decides outside the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        kind: str,
        now: datetime,
        *,
        campaign_id: int | None = None,
        row: int | None = None,
        **detail: Any,
    ) -> None:
        """Add an entry in its own transaction."""
        with self._database.write() as connection:
            note(connection, kind, now, campaign_id=campaign_id, row=row, **detail)

    def of(self, campaign_id: int | None = None, kind: str | None = None) -> Iterator[Event]:
        """Entries in the order they were made, of one campaign or of all, of one kind or of all."""
        query = select(events).order_by(events.c.id)
        if campaign_id is not None:
            query = query.where(events.c.campaign_id == campaign_id)
        if kind is not None:
            query = query.where(events.c.kind == kind)
        with self._database.read() as connection:
            for e in connection.execute(query):
                yield Event(at=e.at, kind=e.kind, campaign_id=e.campaign_id, row=e.row, detail=e.detail)
