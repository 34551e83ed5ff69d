"""One process of a ledger does what only one needs to do: it holds a lock that ends with it.

On a server the lock belongs to a connection of its own.  The server closes that connection when nothing is heard of it,
so a leader that froze, or was cut off, is replaced; when it is back it finds out before it does anything.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dispatcher.ledger.database import Database

SILENCE = 15  # seconds after which the server gives the lock to somebody else


class Leader:
    """``work`` names what is led; there is one leader for each.  Used from one thread."""

    def __init__(self, database: Database, work: str) -> None:
        self._database = database
        digest = hashlib.sha256(work.encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._file: FileLock | None = None
        self._connection: Connection | None = None
        if database.path is not None:
            self._file = FileLock(_beside(database.path, digest), timeout=0)

    def leads(self) -> bool:
        """Whether this process leads, now; it tries to when nobody does.  Ask before each step.

        Errors: Unreachable when the server is.
        """
        if self._file is not None:
            return self._leads_by_file(self._file)
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
            except DBAPIError:
                self.resign()
            else:
                return True
        return self._leads_by_server()

    def resign(self) -> None:
        """Let somebody else lead."""
        if self._file is not None:
            self._file.release()
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.execute(text("SELECT pg_advisory_unlock_all()"))
            connection.invalidate()  # whether or not that worked: nobody else may get it with its lock
            connection.close()

    def _leads_by_file(self, lock: FileLock) -> bool:
        if lock.is_locked:
            return True
        try:
            lock.acquire()
        except Timeout:
            return False
        return True

    def _leads_by_server(self) -> bool:
        with self._database.translated():
            connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                leads = connection.execute(
                    text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}
                ).scalar()
                if leads:
                    connection.execute(text(f"SET idle_session_timeout = '{SILENCE}s'"))
            except BaseException:
                connection.invalidate()
                connection.close()
                raise
        if leads:
            self._connection = connection
        else:
            connection.close()
        return bool(leads)


def _beside(ledger: Path, digest: bytes) -> Path:
    return ledger.with_name(f"{ledger.name}.leader-{digest.hex()[:8]}.lock")
