"""Rows that need a person's eye: an index holds them alone, so they are found among millions that went well."""

from __future__ import annotations

from sqlalchemy import Connection, text

# the words of the index; SQLite would walk the whole campaign for the sake of its order, were the index not named
_FIRST = (
    'SELECT "row" FROM rows{indexed} WHERE campaign_id = :campaign'
    " AND (state = 3 OR state BETWEEN 6 AND 10 OR state BETWEEN 15 AND 17)"
    ' ORDER BY "row" LIMIT :most'
)
_BY_DIALECT = {
    "sqlite": text(_FIRST.format(indexed=" INDEXED BY rows_problem")),
    "postgresql": text(_FIRST.format(indexed="")),
}


def first_problems(connection: Connection, campaign_id: int, limit: int) -> list[int]:
    """The numbers of the first rows in a state of ``states.PROBLEM``."""
    values = {"campaign": campaign_id, "most": limit}
    return list(connection.execute(_BY_DIALECT[connection.dialect.name], values).scalars())
