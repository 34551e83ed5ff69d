"""The one place where database exceptions become errors of this program.

sqlite3 says what happened by ``sqlite_errorname`` (Python 3.11), its primary code is the first two words; a server
says it by SQLSTATE.  What is left is a bug, :class:`StatementRefused`.

No exception of a driver gets out, not even as a cause: the server's own words repeat whole rows ("Failing row
contains …", "COPY rows, line 3: …"), and with them people's numbers and texts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.engine.interfaces import DBAPIModule
from sqlalchemy.exc import DBAPIError
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

AWAY = "ledger_server_unreachable"
POSTGRESQL_CODES: Mapping[str, str] = {
    "53100": "ledger_disk_full",
    "25006": "ledger_read_only",
    "42501": "ledger_read_only",
    "58": "ledger_disk_failed",
    "XX": "ledger_damaged",
    "55P03": "ledger_locked",
    "40": "ledger_locked",
    "57014": "ledger_locked",
    "08": AWAY,
    "25P03": AWAY,  # it closed the connection of a client that was frozen
    "28": AWAY,
    "3D000": AWAY,
    "53": AWAY,
    "57": AWAY,
}
"""SQLSTATEs of PostgreSQL, or their two-letter classes, that a person can do something about."""

WITHOUT_VALUES = ("08", "23", "25", "28", "3D", "42", "53", "57")
"""Classes of SQLSTATEs whose primary message names objects only; its details never do."""


def is_busy(error: BaseException) -> bool:
    """Whether others only write to the ledger for longer than a statement waits: the same again may do."""
    return isinstance(error, Unreachable) and error.code == "ledger_locked"


class StatementRefused(Exception):
    """A bug: the database refused a statement, most often because it would break a promise of the schema.

    Says what refused it and where, and never a value.
    """


def sqlite_failure(error: sqlite3.Error, place: str) -> DispatcherError | None:
    """The error a person reads, or None when the exception is a bug of ours (or a broken promise of the
    schema).
    """
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_READONLY_DBMOVED"):
        return Unreachable("ledger_file_gone", file=place)
    code = SQLITE_CODES.get("_".join(name.split("_")[:2]))
    return None if code is None else Unreachable(code, file=place, found=name)


def server_failure(
    error: BaseException, place: str, driver: DBAPIModule, *, lost: bool = False
) -> DispatcherError | None:
    """The error a person reads, or None when the statement itself was wrong; ``lost``: so is the connection."""
    state = _state(error)
    code = POSTGRESQL_CODES.get(state, POSTGRESQL_CODES.get(state[:2]))
    if code is None and (lost or isinstance(error, driver.OperationalError | driver.InterfaceError)):
        code = AWAY
    if code is None:
        return None
    found = _said(error) if code == AWAY else None
    return Unreachable(code, file=place, found=found or type(error).__name__)


@contextmanager
def translated(place: str, driver: DBAPIModule) -> Iterator[None]:
    """Runs the block; what the database cannot do is raised as :class:`Unreachable` with a ``ledger_…``
    code, and what it refuses as :class:`StatementRefused`.

    ``driver``: its exceptions are understood wrapped by SQLAlchemy or raw, as from a cursor of its own.
    """
    try:
        yield
    except PoolTimeout as error:
        raise Unreachable("ledger_locked", file=place, found="pool") from error
    except (DBAPIError, driver.Error) as error:
        raise _failure(error, place, driver).with_traceback(error.__traceback__) from None


def _failure(error: Exception, place: str, driver: DBAPIModule) -> Exception:
    original: BaseException = error
    lost = False
    if isinstance(error, DBAPIError):
        original, lost = error.orig or error, error.connection_invalidated
    if isinstance(original, sqlite3.Error):
        return sqlite_failure(original, place) or StatementRefused(_named(original, str(original)))
    return server_failure(original, place, driver, lost=lost) or StatementRefused(_refusal(original))


def _state(error: BaseException) -> str:
    """The SQLSTATE; "" where the server said nothing."""
    return getattr(error, "sqlstate", None) or ""


def _said(error: BaseException) -> str | None:
    """The server's or the library's own sentence, where it cannot hold a value."""
    if _state(error)[:2] in WITHOUT_VALUES:
        return _diagnosed(error, "message_primary")
    if _state(error):
        return None
    # of the connection, not of a statement: it broke, or never came to be; the server's own word says why
    lines = str(error).strip().splitlines()
    return next((line.strip() for line in lines if "FATAL" in line), lines[0].strip() if lines else None)


def _refusal(error: BaseException) -> str:
    names = ("constraint_name", "table_name", "column_name")
    said = _said(error) if _state(error) else None
    return _named(error, said, *(_diagnosed(error, name) for name in names))


def _diagnosed(error: BaseException, name: str) -> str | None:
    found: str | None = getattr(getattr(error, "diag", None), name, None)
    return found


def _named(error: BaseException, *parts: str | None) -> str:
    return ": ".join((type(error).__name__, *(part for part in parts if part)))
