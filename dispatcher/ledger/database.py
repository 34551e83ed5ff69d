"""The engine: where the ledger is, how transactions start, what is checked before a write.

SQLite: WAL, ``synchronous=FULL`` (NORMAL loses the last intents in a power cut, and those rows would go
twice), ``BEGIN IMMEDIATE`` for writes.  PostgreSQL takes the same statements.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from dispatcher.errors import Unreachable, UsageError
from dispatcher.interrupts import unbroken
from dispatcher.ledger.failures import translated
from dispatcher.private import private_folder

BUSY_SECONDS = 10.0
FROZEN_SECONDS = 20.0
"""How long a server lets a client do nothing within a transaction: one that is frozen there (a laptop asleep, a paused
machine) holds the locks of its campaign, and nobody else sends meanwhile.  Whoever writes never waits for anything
there; a report reads while it is written, and has to write two thousand rows in that time.
"""
ASKED_EVERY = 0.002  # seconds between two tries to write to a file
LET_OTHERS = 0.006  # seconds: a gap that who asks so often cannot miss
# a server's default shows every statement another moment; a file in WAL mode keeps one by itself
_ONE_MOMENT: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def parse_url(url: str) -> URL:
    """The ledger's URL: a SQLite file or a PostgreSQL server; UsageError for anything else."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UsageError("ledger_url", found=url.split("@")[-1]) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise UsageError("ledger_url", found=parsed.render_as_string(hide_password=True))
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise UsageError("ledger_in_memory", found=parsed.render_as_string(hide_password=True))
    return parsed


def file_of(url: URL) -> Path | None:
    """The ledger's file; None for a server."""
    return Path(url.database or "").absolute() if url.get_backend_name() == "sqlite" else None


def create_file(path: Path) -> None:
    """An empty file only its owner can read (SQLite gives its WAL the same rights), in a folder only the
    owner enters.

    A file that is there already is left as it is.
    """
    try:
        private_folder(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise Unreachable("ledger_cannot_open", file=str(path), found="not a file") from None
    except OSError as error:
        raise Unreachable(
            "ledger_cannot_open", file=str(path), found=error.strerror or type(error).__name__
        ) from error


@contextmanager
def _taken_from(engine: Engine) -> Iterator[Connection]:
    """A connection, given back at the end of the block.

    An interruption while one is taken or given back could leave the pool's lock held, and every other thread of the
    process would wait for it for ever.
    """
    connection: Connection | None = None
    try:
        with unbroken():
            connection = engine.connect()
        yield connection
    finally:
        if connection is not None:
            with unbroken():
                connection.close()


class Database:
    """Connections and transactions of one ledger.  Nothing is created here but connections."""

    def __init__(
        self, url: URL, *, busy_seconds: float = BUSY_SECONDS, frozen_seconds: float = FROZEN_SECONDS
    ) -> None:
        self.url = url
        self.path = file_of(url)
        self.place = str(self.path) if self.path else url.render_as_string(hide_password=True)
        of_server = _server_options(busy_seconds, frozen_seconds)
        options = {"connect_args": {"timeout": busy_seconds}} if self.path else of_server
        # what goes wrong may be logged, and the parameters are people's numbers and texts
        self.engine = create_engine(url, hide_parameters=True, **options)
        if self.path:
            event.listen(self.engine, "connect", _prepare)
            event.listen(self.engine, "begin", partial(_begin, busy_seconds=busy_seconds))
        self._driver = self.engine.dialect.loaded_dbapi
        self._reader = self.engine if self.path else self.engine.execution_options(**_ONE_MOMENT)
        self._writer = self.engine.execution_options(ledger_write=True)
        self._identity = self._file_identity()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: committed at the end, rolled back by any exception."""
        self.check_file()
        with self.translated(), _taken_from(self._writer) as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One moment of the ledger, however many statements look at it; a server refuses to write there."""
        with self.translated(), _taken_from(self._reader) as connection:
            yield connection

    def translated(self) -> AbstractContextManager[None]:
        """No exception of the database's gets out of such a block, only errors of this program."""
        return translated(self.place, self._driver)

    def ahead(self, connection: Connection, now: datetime) -> timedelta:
        """How far the ledger's clock is ahead of ``now``.

        On a server its own clock dates claims, since those of several machines never agree; a file's ledger has none.
        """
        if self.path is not None:
            return timedelta(0)
        # not now(): that one stands still during a transaction
        there: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return there - now

    def check(self) -> None:
        """Unreachable when it is damaged (a file's), or cannot be written."""
        if self.path is not None:
            with self.read() as connection:
                found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
            if found != "ok":
                raise Unreachable("ledger_damaged", file=self.place, found=found.splitlines()[0])
        with self.write() as connection:
            connection.exec_driver_sql("UPDATE meta SET value = value WHERE key = 'version'")

    def check_file(self) -> None:
        """Unreachable when the file was deleted or replaced: writing on would go to a file nobody sees."""
        if self._identity is not None and self._file_identity() != self._identity:
            raise Unreachable("ledger_file_gone", file=self.place)

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _file_identity(self) -> tuple[int, int] | None:
        if self.path is None:
            return None
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return (0, 0)
        except OSError as error:
            raise Unreachable("ledger_cannot_open", file=self.place, found=error.strerror) from error
        return (status.st_dev, status.st_ino)


def _server_options(busy_seconds: float, frozen_seconds: float) -> dict[str, Any]:
    """A server that is not there, or hangs, is noticed within seconds, and so is a client by the server."""
    seconds = max(1, round(busy_seconds))
    alive = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
    arguments = {
        "connect_timeout": seconds,
        "tcp_user_timeout": 1_000 * seconds,
        "application_name": "dispatcher",
        # a lock is waited for as long as SQLite would
        "options": f"-c lock_timeout={seconds}s"
        f" -c idle_in_transaction_session_timeout={round(1_000 * frozen_seconds)}ms",
    }
    return {"pool_pre_ping": True, "pool_recycle": 1_800, "connect_args": {**arguments, **alive}}


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions start where we say, not where sqlite3 guesses
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-16000",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection, *, busy_seconds: float) -> None:
    if connection.get_execution_options().get("ledger_write", False):
        _begin_writing(connection.connection.driver_connection, busy_seconds)
    else:
        connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Any, busy_seconds: float) -> None:
    """Wait for the writer's lock by asking often.

    SQLite's own wait asks every tenth of a second in the end, and who loads a million rows lets the lock go for a few
    milliseconds only: a sender would get it by luck, and miss its slots.
    """
    connection.execute("PRAGMA busy_timeout = 0").close()
    try:
        for _ in range(round(busy_seconds / ASKED_EVERY)):
            try:
                connection.execute("BEGIN IMMEDIATE").close()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                time.sleep(ASKED_EVERY)
            else:
                return
        connection.execute("BEGIN IMMEDIATE").close()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {round(1_000 * busy_seconds)}").close()
