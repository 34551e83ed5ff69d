"""What is still to be sent of a campaign, as far as paying for it goes."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import is_ready, rows

CHUNK = 50_000

Payable = tuple[int, str, str, int]
"""Row number, route, country, parts."""


class Unsent:
    """Reads of rows that are ready."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def payable(self, campaign_id: int, chunk: int = CHUNK) -> Iterator[list[Payable]]:
        """Every ready row in the order of the file, so many at a time."""
        query = select(rows.c.row, rows.c.route, rows.c.country, rows.c.parts)
        query = query.where(rows.c.campaign_id == campaign_id, is_ready()).order_by(rows.c.row).limit(chunk)
        last = 0
        while True:
            with self._database.read() as connection:
                found = connection.execute(query.where(rows.c.row > last)).all()
            if not found:
                return
            yield [(row, str(route), str(country or ""), int(parts)) for row, route, country, parts in found]
            last = found[-1].row
