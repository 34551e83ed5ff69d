"""What a campaign's rows add up to, by route, country and state: kept with every move, so that a bill is a few rows.

Adding up a million rows takes seconds; these are changed in the transactions that change the rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from operator import add
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table, Text, text

from dispatcher.ledger.states import RowState
from dispatcher.ledger.values import Coded, Money, to_micros

_tables = MetaData()
campaign_sums = Table(
    "campaign_sums",
    _tables,
    Column("campaign_id", Integer, primary_key=True),
    Column("route", Text, primary_key=True),  # "" for none, as for the country
    Column("country", Text, primary_key=True),
    Column("state", Coded(RowState), primary_key=True),
    Column("n", Integer),
    Column("parts", BigInteger),
    Column("estimated", Money),
    Column("unestimated", Integer),
    Column("charged", Money),
    Column("unpriced", Integer),
    Column("bundled", Integer),
    Column("bundled_parts", BigInteger),
    Column("bundled_charged", Money),
    Column("dearer", Integer),
    Column("cheaper", Integer),
    Column("recounted", Integer),
)
"""Described for the queries only; constraints stand in the migration."""

_KEY = ("campaign_id", "route", "country", "state")
_SUMS = tuple(column.name for column in campaign_sums.c if column.name not in _KEY)
_ADD = text(
    f"INSERT INTO campaign_sums AS old ({', '.join((*_KEY, *_SUMS))})"  # noqa: S608 - the schema's own names
    f" VALUES ({', '.join(f':{name}' for name in (*_KEY, *_SUMS))}) ON CONFLICT ({', '.join(_KEY)})"
    f" DO UPDATE SET {', '.join(f'{name} = old.{name} + excluded.{name}' for name in _SUMS)}"
)


class Counted(NamedTuple):
    """What of a row the counters see.  ``recounted``: the gateway counted its parts, or saw its encoding, otherwise."""

    state: RowState
    parts: int | None = None
    reserve: Decimal | None = None
    actual: Decimal | None = None
    route: str | None = None
    country: str | None = None
    estimated: Decimal | None = None
    recounted: bool = False


def add_up(connection: Connection, campaign_id: int, changes: Mapping[Counted, int]) -> None:
    """Count so many rows more (or fewer) of each kind of a locked campaign."""
    groups: dict[tuple[str, str, int], tuple[int, ...]] = defaultdict(lambda: (0,) * len(_SUMS))
    for row, n in changes.items():
        key = (row.route or "", row.country or "", int(row.state))
        groups[key] = tuple(map(add, groups[key], (n * each for each in _worth(row))))
    changed = [
        {
            "campaign_id": campaign_id,
            **dict(zip(_KEY[1:], key, strict=True)),
            **dict(zip(_SUMS, sums, strict=True)),
        }
        for key, sums in sorted(groups.items())
        if any(sums)
    ]
    if changed:
        connection.execute(_ADD, changed)


def _worth(row: Counted) -> tuple[int, ...]:
    """What one row adds, in the order of the columns; money in micro-units."""
    parts, estimated, actual = row.parts or 0, row.estimated, row.actual
    charged = 0 if actual is None else to_micros(actual)
    # a row that the plan found free is one whose parts a bundle was to pay
    bundled = estimated is not None and not estimated
    priced = estimated is not None and actual is not None and not bundled
    return (
        1,
        parts,
        0 if estimated is None else to_micros(estimated),
        int(estimated is None),
        charged,
        int(actual is None),
        int(bundled),
        parts if bundled else 0,
        charged if bundled else 0,
        int(priced and actual > estimated),  # type: ignore[operator]
        int(priced and actual < estimated),  # type: ignore[operator]
        int(row.recounted),
    )
