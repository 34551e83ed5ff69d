"""The global limit in a SQLite file of its own, shared by every process of one ledger.

Slots are evenly spaced, without bursts (GCRA).  A caller sleeps to each of its slots and gives up one it is
more than ``LATENESS`` late for; with worst lateness D a minute holds at most ``(60 + D) x rate + 1``
requests, so the rate is ``(limit - 1) / (60 + D)``: 99 % of the limit.

The file is no record: losing it loses nothing but a moment.  A missing shared time, or one further ahead than
any reservation can reach (the wall clock was set back, the file was replaced), restarts at now + that reach,
because somebody may still hold slots up to there.  A time in the past is simply now.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dispatcher.errors import Unreachable
from dispatcher.ledger.database import create_file

T = TypeVar("T")
WINDOW = 60.0
LATENESS = 0.6
MAX_SLOW_DOWN = 3600.0
ROUNDING = 0.001
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS pace "
    "(key TEXT PRIMARY KEY, next_at REAL NOT NULL, blocked_until REAL NOT NULL)"
)
_TAKE = (
    "UPDATE pace SET next_at = max(next_at, :start) + :n * :interval WHERE key = :key "
    "RETURNING next_at - :n * :interval"
)
_RESTART = (
    "INSERT INTO pace (key, next_at, blocked_until) VALUES (:key, :next_at, 0) "
    "ON CONFLICT (key) DO UPDATE SET next_at = excluded.next_at"
)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Slots as wall-clock seconds, in order; perhaps fewer than asked for, perhaps none.

    ``now`` is the clock they were made by.  ``retry_at``: when asking again can give a slot.
    """

    times: list[float]
    now: float
    retry_at: float


def interval_for(limit_per_minute: int) -> float:
    """Seconds between two slots; ValueError below one a minute."""
    if limit_per_minute < 1:
        raise ValueError("the pace needs a limit of at least 1 a minute")
    # with one a minute there is no rate left after the "+ 1": two slots must simply never share a window
    return (WINDOW + LATENESS) / (limit_per_minute - 1) if limit_per_minute > 1 else WINDOW + 2 * LATENESS


def reach_for(interval: float) -> float:
    """How far ahead of the clock a slot may lie: a second, or four slots where they are far apart."""
    return max(1.0, 4 * interval)


class SqlitePace:
    """``limit_per_minute`` requests at most in any 60 seconds, over all processes that share ``path``.

    ``clock`` is the wall clock in seconds (``time.time``).
    """

    def __init__(
        self, path: Path, *, limit_per_minute: int, clock: Callable[[], float], busy_seconds: float = 5.0
    ) -> None:
        self._path = path
        self._clock = clock
        self._busy_seconds = busy_seconds
        self.interval = interval_for(limit_per_minute)
        self.reach = reach_for(self.interval)
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def reserve(self, key: str, n: int) -> Reservation:
        """Up to ``n`` slots for ``key``, none further ahead than ``reach``; none at all while it is slowed
        down.

        Errors: Unreachable, and then nothing may be sent.
        """
        if n < 1:
            raise ValueError("reserve at least one slot")
        return self._in_transaction(lambda connection: self._reserve(connection, key, n))

    def slow_down(self, key: str, until: float) -> None:
        """Nobody gets a slot before ``until`` (at most an hour ahead); an earlier block is never
        shortened.
        """
        self._in_transaction(lambda connection: self._block(connection, key, until))

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _reserve(self, connection: sqlite3.Connection, key: str, n: int) -> Reservation:
        now = self._clock()  # read under the lock: waiting for it takes time
        next_at, blocked_until = self._shared(connection, key, now)
        start = max(now, next_at, blocked_until)
        free = int((now + self.reach - start) / self.interval) + 1 if start <= now + self.reach else 0
        granted = min(n, free)
        if granted < 1:
            return Reservation([], now, start - self.reach)
        values = {"key": key, "n": granted, "interval": self.interval, "start": start}
        (first,) = connection.execute(_TAKE, values).fetchone()
        after = first + granted * self.interval
        times = [first + i * self.interval for i in range(granted)]
        return Reservation(times, now, max(now, after - self.reach))

    def _shared(self, connection: sqlite3.Connection, key: str, now: float) -> tuple[float, float]:
        """The shared time and the block, put right when they are missing or cannot be."""
        found = connection.execute("SELECT next_at, blocked_until FROM pace WHERE key = ?", (key,)).fetchone()
        next_at, blocked_until = found if found else (None, 0.0)
        if blocked_until > now + MAX_SLOW_DOWN:  # the clock was set back since
            blocked_until = 0.0
        latest = now + self.reach + self.interval  # after the last slot anybody can hold by now
        if next_at is None or next_at > latest + ROUNDING:
            next_at = latest
            connection.execute(_RESTART, {"key": key, "next_at": next_at})
        return next_at, blocked_until

    def _block(self, connection: sqlite3.Connection, key: str, until: float) -> None:
        now = self._clock()
        _, blocked_until = self._shared(connection, key, now)
        later = max(blocked_until, min(until, now + MAX_SLOW_DOWN))
        connection.execute("UPDATE pace SET blocked_until = ? WHERE key = ?", (later, key))

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            self.close()
            found = getattr(error, "sqlite_errorname", type(error).__name__)
            raise Unreachable("pace_unreachable", file=str(self._path), found=found) from error
        return result

    def _connected(self) -> sqlite3.Connection:
        """The open file; opened again when somebody replaced it, so that all share the new one."""
        if self._connection is not None and self._identity_now() == self._identity:
            return self._connection
        self.close()
        create_file(self._path)
        connection = sqlite3.connect(
            self._path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        self._connection = connection
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=OFF", _SCHEMA):
            _persistently(connection, statement, self._busy_seconds)
        self._identity = self._identity_now()
        return connection

    def _identity_now(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _persistently(connection: sqlite3.Connection, statement: str, seconds: float) -> None:
    """Execute, trying again while the file is busy: SQLite's own time-out does not cover the change to WAL."""
    until = time.monotonic() + seconds
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(0.01)
