"""What a ready row will cost at most, raised when the gateway turns out to be dearer than the price book."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    bindparam,
    cast,
    literal,
    select,
    type_coerce,
    update,
)

from dispatcher.ledger.bulk import CHUNK
from dispatcher.ledger.campaigns import locked
from dispatcher.ledger.conditions import is_ready
from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import rows
from dispatcher.ledger.values import to_micros

_MICRO = Decimal("0.000001")


def raise_reserves(database: Database, campaign_id: int, row: int, price: Decimal) -> int:
    """The gateway takes ``price`` a part for ``row``: rows that are still ready and go the same way, to the same
    country, are reckoned with no less; returns how many were.  Short transactions.

    What a bundle covers stays free: such a row's reserve is 0.
    """
    wanted = price.quantize(_MICRO, rounding=ROUND_UP)
    done = 0
    while moved := _some(database, campaign_id, row, wanted):
        done += moved
    return done


def _some(database: Database, campaign_id: int, row: int, price: Decimal) -> int:
    with database.write() as connection:
        locked(connection, campaign_id)
        where = _like(connection, campaign_id, row)
        # in the database it is a number of micro-units
        reserve = type_coerce(rows.c.reserve_cost, BigInteger)
        cheaper = (
            is_ready(),
            reserve > 0,
            reserve < cast(rows.c.parts, BigInteger) * literal(to_micros(price), BigInteger),
        )
        chosen = connection.execute(
            select(rows.c.row, rows.c.parts).where(*where, *cheaper).limit(CHUNK)
        ).all()
        if not chosen:
            return 0
        statement = update(rows).where(
            rows.c.campaign_id == campaign_id, is_ready(), rows.c.row == bindparam("of_row")
        )
        values = [{"of_row": each.row, "more": price * each.parts} for each in chosen]
        connection.execute(statement.values(reserve_cost=bindparam("more")), values)
        return len(chosen)


def _like(connection: Connection, campaign_id: int, row: int) -> list[ColumnElement[bool]]:
    of_row = (rows.c.campaign_id == campaign_id, rows.c.row == row)
    found = connection.execute(select(rows.c.route, rows.c.country).where(*of_row)).one()
    same = rows.c.country.is_(None) if found.country is None else rows.c.country == found.country
    return [rows.c.campaign_id == campaign_id, rows.c.route == found.route, same]
