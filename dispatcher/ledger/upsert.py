"""INSERT … ON CONFLICT: what another process wrote in between is no error but the answer.

Looking first and inserting then is safe with SQLite's one writer only; on a server two may look at once.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can be told what to do on a conflict, in the connection's dialect; both say it alike."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
