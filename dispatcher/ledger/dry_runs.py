"""Which messages of a gateway were dry runs of ours: a listing need not say so, and a dry run reached nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Column, Connection, MetaData, Table, Text, select

from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.database import Database
from dispatcher.ledger.upsert import insert_into
from dispatcher.ledger.values import Instant

_CHUNK = 500
_tables = MetaData()
dry_runs = Table(
    "dry_runs",
    _tables,
    Column("message_id", Text, primary_key=True),
    Column("gateway", Text, primary_key=True),
    Column("made_at", Instant, nullable=False),
)


def remember_dry_runs(connection: Connection, gateway: str, made: Mapping[str, datetime]) -> None:
    """By message id, when each was made; in the caller's transaction.  One that is known already is no error."""
    values = [{"message_id": each, "gateway": gateway, "made_at": made[each]} for each in sorted(made)]
    if values:
        connection.execute(insert_into(connection, dry_runs).on_conflict_do_nothing(), values)


class DryRuns:
    """The dry runs that a gateway took, by message id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remember(self, gateway: str, message_id: str, made_at: datetime) -> None:
        """The gateway took it at ``made_at``."""
        with self._database.write() as connection:
            remember_dry_runs(connection, gateway, {message_id: made_at})

    def among(self, gateway: str, message_ids: Sequence[str]) -> set[str]:
        """Which of the messages are known to be dry runs."""
        found: set[str] = set()
        with self._database.read() as connection:
            for chunk in in_chunks(message_ids, _CHUNK):
                chosen = dry_runs.c.message_id.in_(chunk)
                query = select(dry_runs.c.message_id).where(chosen, dry_runs.c.gateway == gateway)
                found.update(connection.execute(query).scalars())
        return found
