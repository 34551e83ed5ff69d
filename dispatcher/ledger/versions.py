"""How a campaign compares with an older one of the same list, and what still waits of that for its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select

from dispatcher.ledger.bulk import move_ready_rows
from dispatcher.ledger.campaigns import locked
from dispatcher.ledger.counting import Tally
from dispatcher.ledger.database import Database
from dispatcher.ledger.journal import note
from dispatcher.ledger.schema import is_ready, rows
from dispatcher.ledger.states import RowState
from dispatcher.ledger.values import from_instant

_AT_ONCE = from_instant(0)
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
        mine = rows.alias("mine")
        readable = (mine.c.campaign_id == newer, mine.c.state != RowState.INVALID)
        if by_key:
            thread = func.substr(mine.c.guard_key, 1, THREAD_BYTES)
            named = select(thread).where(*readable, mine.c.guard_key.is_not(None))
            found = func.substr(rows.c.guard_key, 1, THREAD_BYTES).in_(named)
        else:
            named = select(mine.c.recipient).where(*readable, mine.c.recipient.is_not(None))
            found = rows.c.recipient.in_(named)
        keys = select(mine.c.guard_key).where(*readable, mine.c.guard_key.is_not(None))
        sums = (func.count(), func.count().filter(found), func.max(rows.c.due_at))
        counted = select(*sums).where(rows.c.campaign_id == older, is_ready())
        same = select(exists().where(rows.c.campaign_id == older, rows.c.guard_key.in_(keys)))
        begins = select(func.min(mine.c.due_at)).where(*readable, mine.c.due_at > _AT_ONCE)
        with self._database.read() as connection:
            waiting, of_them, last = connection.execute(counted).one()
            if not waiting:
                return Overlap(0, 0, same=False, later=False)
            first = connection.execute(begins).scalar()
            later = first is not None and first > last
            return Overlap(waiting, of_them, bool(connection.execute(same).scalar_one()), later)

    def withdraw(self, newer: int, older: int, now: datetime) -> int:
        """Cancel what still waits of the older campaign, in short transactions; gives how many rows.

        Rows stay whose person stands in the newer one only where it cannot be read: it is not known what it says.
        """
        done = 0
        while moved := self._withdraw_some(newer, older, now):
            done += moved
        if done:
            with self._database.write() as connection:
                note(connection, "superseded", now, campaign_id=older, by=newer, rows=done)
        return done

    def _withdraw_some(self, newer: int, older: int, now: datetime) -> int:
        mine = rows.alias("mine")
        unreadable = mine.c.state == RowState.INVALID
        of_newer = select(mine.c.recipient).where(mine.c.campaign_id == newer, mine.c.recipient.is_not(None))
        known = rows.c.recipient.not_in(of_newer.where(unreadable)) | rows.c.recipient.in_(
            of_newer.where(~unreadable)
        )
        with self._database.write() as connection:
            locked(connection, older)
            tally, state = Tally(), RowState.CANCELLED
            moved = move_ready_rows(connection, older, state, "superseded", tally, known)
            tally.write(connection, older, now)
            return moved
