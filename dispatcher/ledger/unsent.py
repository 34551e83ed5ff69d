"""What is still to be sent of a campaign, as far as paying for it goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, or_, select

from dispatcher.ledger.conditions import is_ready
from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import rows
from dispatcher.ledger.states import RowState
from dispatcher.ledger.values import Instant, Money

CHUNK = 50_000

Payable = tuple[int, str, str, int]
"""Row number, route, country, parts."""


@dataclass(frozen=True, slots=True)
class Most:
    """Ready rows, the most that they may cost, and when the last is due (None without any)."""

    rows: int
    cost: Decimal
    last_due: datetime | None


class Unsent:
    """Reads of rows that are ready."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def routes(self, campaign_id: int) -> list[str]:
        """Every route that the campaign may still send through, what is on its way or in doubt included."""
        still = rows.c.state.in_((RowState.READY, RowState.SENDING, RowState.IN_DOUBT))
        query = select(rows.c.route).where(rows.c.campaign_id == campaign_id, still).distinct()
        with self._database.read() as connection:
            return sorted(connection.execute(query).scalars())

    def most(self, campaign_id: int) -> Most:
        """What ready rows may cost and when the last of them is due."""
        cost = func.coalesce(func.sum(rows.c.reserve_cost, type_=Money), 0)
        last = func.max(rows.c.due_at, type_=Instant)
        query = select(func.count().label("rows"), cost.label("cost"), last.label("last_due"))
        with self._database.read() as connection:
            found = connection.execute(query.where(rows.c.campaign_id == campaign_id, is_ready())).one()
        return Most(found.rows, found.cost, found.last_due)

    def payable(
        self, campaign_id: int, chunk: int = CHUNK, *, without_free: bool = False
    ) -> Iterator[list[Payable]]:
        """Every ready row in the order of the file, so many at a time; ``without_free``: not those that the plan found
        to cost nothing, mostly because a bundle pays.
        """
        query = select(rows.c.row, rows.c.route, rows.c.country, rows.c.parts)
        query = query.where(rows.c.campaign_id == campaign_id, is_ready()).order_by(rows.c.row).limit(chunk)
        if without_free:
            query = query.where(or_(rows.c.estimated_cost.is_(None), rows.c.estimated_cost != Decimal(0)))
        last = 0
        while True:
            with self._database.read() as connection:
                found = connection.execute(query.where(rows.c.row > last)).all()
            if not found:
                return
            yield [(row, str(route), str(country or ""), int(parts)) for row, route, country, parts in found]
            last = found[-1].row
