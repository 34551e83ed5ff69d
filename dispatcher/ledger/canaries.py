"""The rows of a campaign that go first and alone.  While there are any, nothing else of the campaign is claimed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select, update

from dispatcher.ledger.campaigns import locked
from dispatcher.ledger.conditions import is_ready
from dispatcher.ledger.database import Database
from dispatcher.ledger.journal import note
from dispatcher.ledger.schema import campaigns, events, rows
from dispatcher.ledger.states import RowState

CHOSEN, FAILED = "canary_chosen", "canary_failed"
"""The journal's kinds of entry that say whether a person has to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A ready row that could go first."""

    row: int
    route: str
    country: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRow:
    """A row that went first, as it was planned and as it turned out.

    ``actual_parts`` and ``actual_encoding`` are None where the gateway counted as planned, or has not said.
    """

    row: int
    state: RowState
    route: str
    country: str | None
    parts: int
    encoding: int | None
    estimated_cost: Decimal | None
    actual_cost: Decimal | None
    actual_parts: int | None
    actual_encoding: int | None
    attempts: int
    sent_at: datetime | None


def canary_rows(stored: str | None) -> list[int]:
    """The row numbers that a campaign's ``canary`` holds; none where nothing is held back."""
    return [] if stored is None else [int(row) for row in json.loads(stored)]


class Canaries:
    """Chooses, asks about and lets go the rows that go first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def candidates(self, campaign_id: int, now: datetime) -> Iterator[Candidate]:
        """Ready rows that are due first (now, or at the earliest time of all), in row order, as a stream."""
        ready = (rows.c.campaign_id == campaign_id, is_ready())
        columns = [rows.c[name] for name in Candidate.__dataclass_fields__]
        with self._database.read() as connection:
            first = connection.execute(select(func.min(rows.c.due_at)).where(*ready)).scalar()
            if first is None:
                return
            query = select(*columns).where(*ready, rows.c.due_at <= max(first, now)).order_by(rows.c.row)
            for row in connection.execution_options(yield_per=2_000).execute(query):
                yield Candidate(**row._mapping)

    def send_first(self, campaign_id: int, numbers: Sequence[int], now: datetime) -> None:
        """From now on only these rows are claimed."""
        self._write(campaign_id, json.dumps(sorted(numbers)), CHOSEN, now, rows=len(numbers))

    def let_the_rest_go(
        self, campaign_id: int, kind: str, now: datetime, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Every row may be claimed again; ``kind`` and ``detail`` are what the journal says about why."""
        self._write(campaign_id, None, kind, now, **(detail or {}))

    def note_failure(self, campaign_id: int, now: datetime, detail: Mapping[str, Any]) -> None:
        """What became of them, for the journal; they stay the ones that go first."""
        with self._database.write() as connection:
            note(connection, FAILED, now, campaign_id=campaign_id, **detail)

    def rows(self, campaign_id: int) -> list[CanaryRow]:
        """The rows that go first, in row order; none where nothing is held back."""
        columns = [rows.c[name] for name in CanaryRow.__dataclass_fields__]
        with self._database.read() as connection:
            stored = select(campaigns.c.canary).where(campaigns.c.id == campaign_id)
            numbers = canary_rows(connection.execute(stored).scalar())
            chosen = (rows.c.campaign_id == campaign_id, rows.c.row.in_(numbers))
            found = connection.execute(select(*columns).where(*chosen).order_by(rows.c.row))
            return [CanaryRow(**row._mapping) for row in found]

    def has_failed(self, campaign_id: int) -> bool:
        """Whether the rows that go first now were judged, and not found as they should be."""
        kinds = (CHOSEN, FAILED)
        query = select(events.c.kind).where(events.c.campaign_id == campaign_id, events.c.kind.in_(kinds))
        with self._database.read() as connection:
            return connection.execute(query.order_by(events.c.id.desc()).limit(1)).scalar() == FAILED

    def _write(self, campaign_id: int, canary: str | None, kind: str, now: datetime, **detail: Any) -> None:
        with self._database.write() as connection:
            locked(connection, campaign_id)
            statement = update(campaigns).where(campaigns.c.id == campaign_id)
            connection.execute(statement.values(canary=canary, updated_at=now))
            note(connection, kind, now, campaign_id=campaign_id, **detail)
