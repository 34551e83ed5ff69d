"""Recurring batches: which there are, and what became of each of their ticks.

A tick is one row, claimed in the transaction that moves its schedule on: two schedulers never claim the same one, and
none is claimed after a later one.  Whoever claimed it owns it; every later write names the owner, so that one that was
taken for dead changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, update

from dispatcher.errors import UsageError
from dispatcher.ledger.database import Database
from dispatcher.ledger.journal import note
from dispatcher.ledger.schedule_tables import TickState, schedules, ticks
from dispatcher.ledger.schema import campaigns
from dispatcher.ledger.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """A schedule about to be added; ``options`` is JSON that its reader checks."""

    name: str
    gateway: str
    file: str
    cron: str
    timezone: str
    late_minutes: int
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(NewSchedule):
    """A schedule as stored; every tick up to ``watched_until`` has been claimed or missed."""

    id: int
    watched_until: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One tick; ``at`` is its name.  ``outcome`` is a code: the campaign's state, or an error's, with its facts in
    ``detail``.
    """

    schedule_id: int
    at: datetime
    state: TickState
    owner: str
    campaign_id: int | None
    outcome: str | None
    detail: Mapping[str, Any]
    claimed_at: datetime
    finished_at: datetime | None


class Schedules:
    """Schedules and their ticks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[NewSchedule], now: datetime) -> None:
        """Add them, all or none; their first tick is the first after ``now``.  UsageError when a name is taken."""
        with self._database.write() as connection:
            for each in new:
                values = {**asdict(each), "watched_until": now, "created_at": now}
                statement = insert_into(connection, schedules).values(values).on_conflict_do_nothing()
                if connection.execute(statement.returning(schedules.c.id)).scalar() is None:
                    raise UsageError("schedule_exists", found=each.name)
                note(
                    connection,
                    "schedule_added",
                    now,
                    schedule=each.name,
                    gateway=each.gateway,
                    cron=each.cron,
                )

    def remove(self, name: str, now: datetime) -> bool:
        """Remove one with its ticks; what they began stays as it is.  False when there is none of that name."""
        with self._database.write() as connection:
            query = select(schedules.c.id).where(schedules.c.name == name).with_for_update()
            schedule_id = connection.execute(query).scalar()
            if schedule_id is None:
                return False
            connection.execute(delete(ticks).where(ticks.c.schedule_id == schedule_id))
            connection.execute(delete(schedules).where(schedules.c.id == schedule_id))
            note(connection, "schedule_removed", now, schedule=name)
        return True

    def all(self) -> list[Schedule]:
        """Every schedule, by name."""
        with self._database.read() as connection:
            found = connection.execute(select(schedules).order_by(schedules.c.name)).mappings()
            return [Schedule(**each) for each in found]

    def claim(
        self,
        schedule: Schedule,
        *,
        fire: datetime | None,
        missed: tuple[datetime, Mapping[str, Any]] | None,
        until: datetime,
        owner: str,
        now: datetime,
    ) -> bool:
        """Claim ``fire`` and write down what was missed (from when, and details), in one transaction.

        False, and nothing is written, when another process has moved the schedule on since it was read, or it is gone.
        """
        mine = (schedules.c.id == schedule.id, schedules.c.watched_until == schedule.watched_until)
        facts = {"schedule_id": schedule.id, "owner": owner, "claimed_at": now}
        with self._database.write() as connection:
            moved = connection.execute(update(schedules).where(*mine).values(watched_until=until))
            if moved.rowcount != 1:
                return False
            if missed is not None:
                at, detail = missed
                ended = {"state": TickState.MISSED, "outcome": "missed", "finished_at": now}
                connection.execute(insert(ticks).values(**facts, **ended, at=at, detail=detail))
            if fire is not None:
                connection.execute(insert(ticks).values(**facts, at=fire, state=TickState.RUNNING, detail={}))
        return True

    def running(self, gateway: str) -> list[tuple[Schedule, Tick]]:
        """Ticks of the gateway's schedules that have not ended, oldest first."""
        on = (ticks, ticks.c.schedule_id == schedules.c.id)
        query = select(schedules, *(column.label(f"tick_{column.name}") for column in ticks.c)).join(*on)
        query = query.where(schedules.c.gateway == gateway, ticks.c.state == TickState.RUNNING)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(ticks.c.at, schedules.c.id)).mappings().all()
        return [
            (
                Schedule(**{name: row[name] for name in _names(Schedule)}),
                Tick(**{name: row[f"tick_{name}"] for name in _names(Tick)}),
            )
            for row in found
        ]

    def history(self, schedule_id: int, limit: int = 1) -> list[Tick]:
        """The newest ticks of a schedule, newest first."""
        query = select(ticks).where(ticks.c.schedule_id == schedule_id).order_by(ticks.c.at.desc())
        with self._database.read() as connection:
            return [Tick(**each) for each in connection.execute(query.limit(limit)).mappings()]

    def files_before(
        self, schedule_id: int, at: datetime, limit: int = 400
    ) -> Sequence[tuple[datetime, str]]:
        """Earlier ticks that have a campaign, newest first: when, and the digest of the file it was made of."""
        mine = (ticks.c.schedule_id == schedule_id, ticks.c.at < at)
        query = select(ticks.c.at, campaigns.c.file_sha256).join(
            campaigns, campaigns.c.id == ticks.c.campaign_id
        )
        with self._database.read() as connection:
            found = connection.execute(query.where(*mine).order_by(ticks.c.at.desc()).limit(limit))
            return [(row.at, row.file_sha256) for row in found]

    def take_over(self, tick: Tick, owner: str) -> bool:
        """Own a tick whose owner is dead; False when somebody was faster."""
        return self._write(tick, {"owner": owner})

    def begun(self, tick: Tick, campaign_id: int) -> bool:
        """The tick has a campaign from now on; False when its owner has lost it."""
        return self._write(tick, {"campaign_id": campaign_id, "outcome": None})

    def interrupted(self, tick: Tick) -> bool:
        """Whoever owned it ends, and paused what it had begun; a scheduler that takes it over goes on with that."""
        return self._write(tick, {"outcome": "interrupted"})

    def end(
        self, tick: Tick, state: TickState, outcome: str, detail: Mapping[str, Any], now: datetime
    ) -> bool:
        """The tick is over; False when its owner has lost it."""
        ended = {"state": state, "outcome": outcome, "detail": detail, "finished_at": now}
        return self._write(tick, ended)

    def _write(self, tick: Tick, values: Mapping[str, Any]) -> bool:
        """By the owner that ``tick`` was read with, and only while it runs."""
        owned: tuple[ColumnElement[bool], ...] = (
            ticks.c.schedule_id == tick.schedule_id,
            ticks.c.at == tick.at,
            ticks.c.owner == tick.owner,
            ticks.c.state == TickState.RUNNING,
        )
        with self._database.write() as connection:
            return connection.execute(update(ticks).where(*owned).values(values)).rowcount == 1


def _names(kind: type[Schedule] | type[Tick]) -> Sequence[str]:
    return list(kind.__dataclass_fields__)
