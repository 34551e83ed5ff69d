"""Numbers that must not get anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, select

from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import opt_outs
from dispatcher.ledger.upsert import insert_into

CHUNK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """One number and where the wish came from."""

    recipient: str
    added_at: datetime
    source: str


class OptOuts:
    """The list of opt-outs; it holds for every campaign at its next claim."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, recipients: Iterable[str], source: str, now: datetime) -> int:
        """Add E.164 numbers; returns how many were new (an earlier entry keeps its date)."""
        wanted, added = sorted(set(recipients)), 0
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            with self._database.write() as connection:
                there = set(connection.execute(_among(chunk)).scalars())
                new = [{"recipient": r, "added_at": now, "source": source} for r in chunk if r not in there]
                if new:
                    # another process may add the same ones at this moment
                    insert = insert_into(connection, opt_outs).on_conflict_do_nothing()
                    added += len(connection.execute(insert.returning(opt_outs.c.recipient), new).all())
        return added

    def remove(self, recipients: Iterable[str]) -> int:
        """Remove numbers; returns how many were there."""
        wanted, removed = sorted(set(recipients)), 0
        for start in range(0, len(wanted), CHUNK):
            with self._database.write() as connection:
                chosen = opt_outs.c.recipient.in_(wanted[start : start + CHUNK])
                removed += connection.execute(delete(opt_outs).where(chosen)).rowcount
        return removed

    def opted_out(self, recipients: Iterable[str]) -> set[str]:
        """Which of ``recipients`` have opted out; they are looked at only where somebody has."""
        with self._database.read() as connection:
            size = connection.execute(select(func.count()).select_from(opt_outs)).scalar_one()
            if not size:
                return set()
            wanted = set(recipients)
            if size <= len(wanted):  # reading the whole list is cheaper than asking for each
                return wanted.intersection(connection.execute(select(opt_outs.c.recipient)).scalars())
            numbers, found = list(wanted), set[str]()
            for start in range(0, len(numbers), CHUNK):
                found.update(connection.execute(_among(numbers[start : start + CHUNK])).scalars())
            return found

    def all(self) -> Iterator[OptOut]:
        """The whole list in order of number, as a stream."""
        query = select(opt_outs).order_by(opt_outs.c.recipient)
        with self._database.read() as connection:
            for o in connection.execution_options(yield_per=1_000).execute(query):
                yield OptOut(recipient=o.recipient, added_at=o.added_at, source=o.source)


def _among(chunk: list[str]) -> Select[Any]:
    return select(opt_outs.c.recipient).where(opt_outs.c.recipient.in_(chunk))
