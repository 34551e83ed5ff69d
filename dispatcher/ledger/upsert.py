"""INSERT … ON CONFLICT: what another process wrote in between is no error but the answer.

Looking first and inserting then is safe with SQLite's one writer only; on a server two may look at once.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Insert = postgresql.Insert | sqlite.Insert


def insert_into(connection: Connection, table: Table) -> Insert:
    """An INSERT that can be told what to do on a conflict, in the connection's dialect; both say it alike."""
    return insert_as(connection.dialect.name, table)


def insert_as(dialect: str, table: Table) -> Insert:
    """The same by the dialect's name, for a statement that is made once and kept."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
