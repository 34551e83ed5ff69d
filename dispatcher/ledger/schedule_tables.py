"""The tables of recurring batches, as version 4 of the schema made them (:mod:`dispatcher.ledger.migrations`).

They are described here for the queries only: constraints stand in the migration, and a test compares the columns.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import JSON, Column, Integer, MetaData, Table, Text

from dispatcher.ledger.values import Coded, Instant


class TickState(IntEnum):
    """Where one tick is.  Only RUNNING ever moves: by who owns it to one of the others."""

    RUNNING = 1  # claimed; what a crash leaves, and the next scheduler takes over
    DONE = 2  # its campaign ended, or stopped for a person to look at
    FAILED = 3  # it could not become a campaign, or its campaign could not be begun
    MISSED = 4  # too late when it was seen

    @property
    def code(self) -> str:
        """The name scripts see."""
        return self.name.lower()


_tables = MetaData()

schedules = Table(
    "schedules",
    _tables,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("gateway", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("cron", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("late_minutes", Integer, nullable=False),
    Column("options", JSON, nullable=False),
    Column("watched_until", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
)

ticks = Table(
    "ticks",
    _tables,
    Column("schedule_id", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, primary_key=True, autoincrement=False),
    Column("state", Coded(TickState), nullable=False),
    Column("owner", Text, nullable=False),
    Column("campaign_id", Integer),
    Column("outcome", Text),
    Column("detail", JSON, nullable=False),
    Column("claimed_at", Instant, nullable=False),
    Column("finished_at", Instant),
)
