"""What one part cost, as the gateway charged it: enough for a median and a range, and no row of anybody.

Every charge counts once, in the transaction that writes it to its row.  Dry runs and what cost nothing are no charges.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Row, Table, Text, case, select

from dispatcher.ledger.database import Database
from dispatcher.ledger.sums import Counted
from dispatcher.ledger.upsert import Insert, insert_as
from dispatcher.ledger.values import Instant, from_micros, to_micros

_tables = MetaData()
learnt_prices = Table(
    "learnt_prices",
    _tables,
    Column("gateway", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("country", Text, primary_key=True),
    Column("price", BigInteger, primary_key=True),  # micro-units a part
    Column("n", Integer, nullable=False),
    Column("last_seen", Instant, nullable=False),
)
"""Described for the queries only; constraints stand in the migration."""


class Charge(NamedTuple):
    """What one part of a message cost, in micro-units."""

    gateway: str
    route: str
    country: str
    price: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """Prices of one part seen so far; ``count`` messages were charged."""

    count: int
    median: Decimal
    low: Decimal
    high: Decimal
    last_seen: datetime


def charge_of(gateway: str, row: Counted, total: Decimal, parts: int | None) -> Charge | None:
    """The charge of a message that cost ``total`` for so many parts; None for what teaches nothing."""
    if total <= 0 or not parts or row.route is None or row.country is None:
        return None
    return Charge(gateway, row.route, row.country, round(to_micros(total) / parts))


def learn(connection: Connection, charges: Counter[Charge], now: datetime) -> None:
    """Count the charges in the caller's transaction, as its last statement but the commit.

    In one order everywhere, and last: others wait for these few rows, and never for each other.
    """
    if not charges:
        return
    seen = [{**charge._asdict(), "n": charges[charge], "last_seen": now} for charge in sorted(charges)]
    connection.execute(_upsert(connection.dialect.name), seen)


@lru_cache(maxsize=2)
def _upsert(dialect: str) -> Insert:
    statement = insert_as(dialect, learnt_prices)
    new = statement.excluded
    later = case((new.last_seen > learnt_prices.c.last_seen, new.last_seen), else_=learnt_prices.c.last_seen)
    return statement.on_conflict_do_update(
        index_elements=[*learnt_prices.primary_key],
        set_={"n": learnt_prices.c.n + new.n, "last_seen": later},
    )


class LearntPrices:
    """The prices that a gateway's charges showed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, gateway: str, since: datetime | None = None) -> Mapping[tuple[str, str], Learnt]:
        """By route and country, per part; without the prices that nobody was charged ``since``."""
        query = select(learnt_prices).where(learnt_prices.c.gateway == gateway)
        if since is not None:
            query = query.where(learnt_prices.c.last_seen >= since)
        seen: dict[tuple[str, str], list[Row[Any]]] = defaultdict(list)
        with self._database.read() as connection:
            for row in connection.execute(query.order_by(learnt_prices.c.price)):
                seen[row.route, row.country].append(row)
        return {place: _summed(rows) for place, rows in seen.items()}


def _summed(rows: Sequence[Row[Any]]) -> Learnt:
    """``rows`` by rising price."""
    count = sum(row.n for row in rows)
    # the middle one, or the mean of the two in the middle
    low, high = _nth(rows, (count - 1) // 2), _nth(rows, count // 2)
    return Learnt(
        count=count,
        median=from_micros(low) if low == high else (from_micros(low) + from_micros(high)) / 2,
        low=from_micros(rows[0].price),
        high=from_micros(rows[-1].price),
        last_seen=max(row.last_seen for row in rows),
    )


def _nth(rows: Sequence[Row[Any]], position: int) -> int:
    for row in rows:
        if position < row.n:
            return int(row.price)
        position -= row.n
    raise IndexError(position)
