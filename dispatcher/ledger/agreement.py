"""What all processes of a ledger must agree on, written down by the first of them."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import meta


class Agreement:
    """One value, by its name."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name

    def reach(self, value: str, *, replace: bool) -> str:
        """The value that holds from now on: the one written down, or ``value`` where there is none.

        ``replace``: nobody else is at work, so that ``value`` holds in any case.
        """
        with self._database.write() as connection:
            # also where it is written for the first time: two that begin at once must not both be first
            lock = update(meta).where(meta.c.key == "id").values(value=meta.c.value)
            connection.execute(lock)
            found = connection.execute(select(meta.c.value).where(meta.c.key == self._name)).scalar()
            if found is None:
                connection.execute(insert(meta).values(key=self._name, value=value))
                return value
            if replace and found != value:
                connection.execute(update(meta).where(meta.c.key == self._name).values(value=value))
                return value
            return str(found)
