"""That what was deleted is not in the file any more.

SQLite gives the room of deleted content free and leaves its bytes; so does a server until it cleans up.  A file is
written anew and its log emptied; on a server the tables are vacuumed, which gives the room to others.  That it has to
be done is written down with what makes it necessary, and stays written until it was.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from dispatcher.errors import Unreachable
from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import meta
from dispatcher.ledger.upsert import insert_into

_MARK = "to_compact"
_TABLES = ("rows", "campaigns", "screenings", "dry_runs", "inbox", "codes_sent", "ticks")


def must_compact(connection: Connection) -> None:
    """Write down, in the caller's transaction, that content goes which must not stay in the file."""
    connection.execute(insert_into(connection, meta).values(key=_MARK, value="1").on_conflict_do_nothing())


class Compacting:
    """Makes the database forget for good what was deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_due(self) -> bool:
        """Whether something was deleted since it was last done."""
        with self._database.read() as connection:
            return connection.execute(select(meta.c.value).where(meta.c.key == _MARK)).first() is not None

    def compact(self) -> bool:
        """Do it; False when others are at work and it has to be done another time.

        Writers wait meanwhile: about a second for each hundred megabytes.  Unreachable when the disk has no room for a
        second file, or is failing.
        """
        try:
            done = self._rewrite() if self._database.path else self._vacuum()
        except Unreachable as error:
            if error.code != "ledger_locked":
                raise
            return False
        if done:
            with self._database.write() as connection:
                connection.execute(delete(meta).where(meta.c.key == _MARK))
        return done

    def _rewrite(self) -> bool:
        with self._database.translated():
            connection = self._database.engine.raw_connection()
            try:
                connection.detach()  # nobody gets a connection that was changed like this
                cursor = connection.cursor()
                for statement in ("secure_delete = ON", "temp_store = FILE"):  # not a second file in memory
                    cursor.execute(f"PRAGMA {statement}")
                cursor.execute("VACUUM")
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                return not busy
            finally:
                connection.close()

    def _vacuum(self) -> bool:
        with self._database.translated(), self._database.engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            alone.exec_driver_sql(f"VACUUM {', '.join(_TABLES)}")
        return True
