"""The one place where database exceptions become errors of this program.

sqlite3 says what happened by ``sqlite_errorname`` (Python 3.11); the primary code is its first two words.  An
IntegrityError is left alone: the code broke a promise of the schema, and that is a bug.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dispatcher.errors import DispatcherError, Unreachable

SQLITE_CODES: Mapping[str, str] = {
    "SQLITE_BUSY": "ledger_locked",
    "SQLITE_LOCKED": "ledger_locked",
    "SQLITE_PROTOCOL": "ledger_locked",
    "SQLITE_CORRUPT": "ledger_damaged",
    "SQLITE_NOTADB": "ledger_damaged",
    "SQLITE_FORMAT": "ledger_damaged",
    "SQLITE_FULL": "ledger_disk_full",
    "SQLITE_READONLY": "ledger_read_only",
    "SQLITE_PERM": "ledger_read_only",
    "SQLITE_AUTH": "ledger_read_only",
    "SQLITE_CANTOPEN": "ledger_cannot_open",
    "SQLITE_IOERR": "ledger_disk_failed",
    "SQLITE_NOMEM": "ledger_disk_failed",
}
"""Primary result codes of SQLite that a person can do something about."""

POSTGRESQL_CODES: Mapping[str, str] = {
    "53100": "ledger_disk_full",
    "25006": "ledger_read_only",
    "42501": "ledger_read_only",
    "58": "ledger_disk_failed",
    "XX": "ledger_damaged",
    "55P03": "ledger_locked",
    "40": "ledger_locked",
    "57014": "ledger_locked",
}
"""SQLSTATEs of PostgreSQL, or their two-letter classes, that a person can do something about."""


def sqlite_failure(error: sqlite3.Error, place: str) -> DispatcherError | None:
    """The error a person reads, or None when the exception is a bug of ours (or a broken promise of the
    schema).
    """
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_READONLY_DBMOVED"):
        return Unreachable("ledger_file_gone", file=place)
    code = SQLITE_CODES.get("_".join(name.split("_")[:2]))
    return None if code is None else Unreachable(code, file=place, found=name)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Runs the block; what the database cannot do is raised as :class:`Unreachable` with a ``ledger_…``
    code.
    """
    try:
        yield
    except sqlite3.Error as error:
        failure = sqlite_failure(error, place)
        if failure is None:
            raise
        raise failure from error
    except PoolTimeout as error:
        raise Unreachable("ledger_locked", file=place, found="pool") from error
    except IntegrityError:
        raise
    except DBAPIError as error:
        original = error.orig
        if isinstance(original, sqlite3.Error):
            failure = sqlite_failure(original, place)
        else:
            failure = _server_failure(error, place)
        if failure is None:
            raise
        raise failure from error


def _server_failure(error: DBAPIError, place: str) -> DispatcherError | None:
    """For PostgreSQL: by the class of the SQLSTATE, or None when the statement itself was wrong."""
    state = getattr(error.orig, "sqlstate", None) or ""
    found = type(error.orig).__name__
    if code := POSTGRESQL_CODES.get(state, POSTGRESQL_CODES.get(state[:2])):
        return Unreachable(code, file=place, found=found)
    # no SQLSTATE: the connection broke, or never came to be
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        said = str(error.orig).strip().splitlines()
        return Unreachable("ledger_server_unreachable", file=place, found=said[-1].strip() if said else found)
    return None
