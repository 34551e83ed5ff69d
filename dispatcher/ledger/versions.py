"""How a campaign compares with an older one of the same list, and what still waits of that for its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, select, union_all

from dispatcher.ledger.bulk import CHUNK, move_ready_rows
from dispatcher.ledger.campaigns import locked
from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.conditions import is_ready
from dispatcher.ledger.counting import Tally
from dispatcher.ledger.database import Database
from dispatcher.ledger.journal import note
from dispatcher.ledger.schema import rows
from dispatcher.ledger.states import RowState
from dispatcher.ledger.values import from_instant

_AT_ONCE = from_instant(0)
_NOTHING, _UNREADABLE, _READABLE = range(3)  # what the newer list says of a person; the most counts
THREAD_BYTES = 8  # of a reminder's key: whom and what it is about, whatever its time


@dataclass(frozen=True, slots=True)
class Overlap:
    """``waiting`` rows of the older campaign are still to be sent; ``found`` of them have their person (or, where a key
    column tells appointments apart, their appointment) in the newer one.  ``same``: some reminder stands in both.
    ``later``: every time in the newer one is later than all that still waits in the older one.
    """

    waiting: int
    found: int
    same: bool
    later: bool


class Versions:
    """One list as several campaigns.  What cannot be read in the newer one (invalid rows) says nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def overlap(self, newer: int, older: int, *, by_key: bool) -> Overlap:
        """Compare them; ``by_key``: both tell their appointments apart by the same key column."""
        whom = func.substr(rows.c.guard_key, 1, THREAD_BYTES) if by_key else rows.c.recipient
        waits = (rows.c.campaign_id == older, is_ready())
        counted = select(func.count(), func.max(rows.c.due_at)).where(*waits)
        readable = (rows.c.campaign_id == newer, rows.c.state != RowState.INVALID)
        begins = select(func.min(rows.c.due_at)).where(*readable, rows.c.due_at > _AT_ONCE)
        with self._database.read() as connection:
            waiting, last = connection.execute(counted).one()
            if not waiting:
                return Overlap(0, 0, same=False, later=False)
            first = connection.execute(begins).scalar()
            later = first is not None and first > last
            found = int(connection.execute(_in_both(whom, newer, older)).scalar_one())
            same = connection.execute(_in_both(rows.c.guard_key, newer, older)).scalar_one() > 0
            return Overlap(waiting, found, same=same, later=later)

    def withdraw(self, newer: int, older: int, now: datetime) -> int:
        """Cancel what still waits of the older campaign, in short transactions; gives how many rows.

        Rows stay whose person stands in the newer one only where it cannot be read: it is not known what it says.
        """
        done = 0
        while numbers := self._to_withdraw(newer, older):
            for chunk in in_chunks(numbers, CHUNK):
                done += self._withdraw_some(older, chunk, now)
        if done:
            with self._database.write() as connection:
                note(connection, "superseded", now, campaign_id=older, by=newer, rows=done)
        return done

    def _to_withdraw(self, newer: int, older: int) -> Sequence[int]:
        said = case((rows.c.state == RowState.INVALID, _UNREADABLE), else_=_READABLE)
        of_newer = select(rows.c.recipient, literal(0).label("row"), said.label("said"))
        of_older = select(rows.c.recipient, rows.c.row, literal(_NOTHING).label("said"))
        both = union_all(
            of_newer.where(rows.c.campaign_id == newer, rows.c.recipient.is_not(None)),
            of_older.where(rows.c.campaign_id == older, is_ready()),
        ).subquery()
        most = func.max(both.c.said).over(partition_by=both.c.recipient)
        each = select(both.c.row, most.label("said")).subquery()
        chosen = select(each.c.row).where(each.c.row > 0, each.c.said != _UNREADABLE).order_by(each.c.row)
        with self._database.read() as connection:
            return connection.execute(chosen).scalars().all()

    def _withdraw_some(self, older: int, numbers: Sequence[int], now: datetime) -> int:
        with self._database.write() as connection:
            locked(connection, older)
            tally, some = Tally(), rows.c.row.in_(numbers)
            moved = move_ready_rows(connection, older, RowState.CANCELLED, "superseded", tally, some)
            tally.write(connection, older, now)
            return moved


def _in_both(what: ColumnElement[Any], newer: int, older: int) -> Select[Any]:
    """How many rows that wait in the older one have ``what`` in common with a readable row of the newer one.

    Grouped, not joined: a server that has no statistics of a list just loaded would join it row by row.
    """
    of_older = select(what.label("what"), literal(1).label("waits"), literal(0).label("named"))
    of_newer = select(what.label("what"), literal(0).label("waits"), literal(1).label("named"))
    both = union_all(
        of_older.where(rows.c.campaign_id == older, is_ready()),
        of_newer.where(rows.c.campaign_id == newer, rows.c.state != RowState.INVALID, what.is_not(None)),
    ).subquery()
    each = select(func.sum(both.c.waits).label("waits")).group_by(both.c.what)
    shared = each.having(func.max(both.c.named) == 1).subquery()
    return select(func.coalesce(func.sum(shared.c.waits), 0))
