"""Many rows changed by one statement, each with values of its own.

``executemany`` runs one statement a row, and after each the thread waits for the interpreter's lock again: beside a
busy event loop most of a transaction's time goes there.  Here all values travel at once: to SQLite as a list of VALUES,
whose text is kept for each length, to a server as one JSON array, which it takes apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Dialect,
    Text,
    Update,
    bindparam,
    cast,
    column,
    func,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.schema import rows
from dispatcher.ledger.states import RowState

# SQLite takes 32,766 values, a row of ours has some fifteen
CHUNK = 1_000
# the campaign too, though it is the same for all: were it a plain value, SQLite would walk all its rows and look for
# each of them in the list
_KEY = ("campaign_id", "row", "attempt_token")
_Columns = Mapping[str, tuple[Any, ...]]


def move_each(
    connection: Connection,
    campaign_id: int,
    old: RowState,
    new: RowState,
    names: tuple[str, ...],
    moves: Sequence[tuple[Any, ...]],
) -> int:
    """Rows of a campaign go from ``old`` to ``new``; returns how many did.

    ``names`` are ``row``, ``attempt_token`` and the further columns, which are written; a move has the values of
    all.  A row that is in another state by now, or under another token, stays as it is.
    """
    if connection.dialect.name == "sqlite":
        chunks = (dict(zip(names, zip(*some, strict=True), strict=True)) for some in in_chunks(moves, CHUNK))
        return sum(_listed(connection, campaign_id, old, new, columns) for columns in chunks)
    columns = dict(zip(names, zip(*moves, strict=True), strict=True))
    stored = _stored_moves(campaign_id, columns, connection.dialect)
    each = [dict(zip(("campaign_id", *names), move, strict=True)) for move in stored]
    return connection.execute(_statement(old, new, names), {"each": json.dumps(each)}).rowcount


def _listed(connection: Connection, campaign_id: int, old: RowState, new: RowState, columns: _Columns) -> int:
    # half of what is written is that nothing is known any more: that needs no value
    emptied = frozenset(name for name, values in columns.items() if values.count(None) == len(values))
    told = {name: values for name, values in columns.items() if name not in emptied}
    moves = list(_stored_moves(campaign_id, told, connection.dialect))
    statement = _listing(old, new, tuple(told), tuple(sorted(emptied)), len(moves))
    return connection.exec_driver_sql(statement, tuple(chain.from_iterable(moves))).rowcount


def _stored_moves(campaign_id: int, columns: _Columns, dialect: Dialect) -> Iterator[tuple[Any, ...]]:
    """Moves as the database takes them, each with its campaign in front."""
    stored = [map(_storing(name, dialect), values) for name, values in columns.items()]
    return zip(repeat(campaign_id), *stored, strict=False)


@lru_cache(maxsize=1_024)
def _listing(old: RowState, new: RowState, names: tuple[str, ...], emptied: tuple[str, ...], n: int) -> str:
    place = {name: f"move.column{i}" for i, name in enumerate(("campaign_id", *names), 1)}
    written = [f"{name} = {place[name]}" for name in names if name not in _KEY]
    sets = ", ".join([f"state = {int(new)}", *written, *(f"{name} = NULL" for name in emptied)])
    same = " AND ".join(f"rows.{name} = {place[name]}" for name in _KEY)
    marks = f"({', '.join('?' * len(place))})"
    listed = ", ".join([marks] * n)
    # the names are the schema's own, never text from outside
    return f"UPDATE rows SET {sets} FROM (VALUES {listed}) AS move WHERE rows.state = {int(old)} AND {same}"  # noqa: S608


@lru_cache(maxsize=64)
def _storing(name: str, dialect: Dialect) -> Callable[[Any], Any]:
    """How a value of the column is stored."""
    store: Callable[[Any], Any] | None = rows.c[name].type.dialect_impl(dialect).bind_processor(dialect)
    return store or (lambda value: value)


@lru_cache(maxsize=64)
def _statement(old: RowState, new: RowState, names: tuple[str, ...]) -> Update:
    moves = func.jsonb_array_elements(cast(bindparam("each", type_=Text), JSONB))
    move = moves.table_valued(column("value", JSON), name="move").c.value
    same = (rows.c[name] == _stored(move, name) for name in _KEY)
    values = {name: _stored(move, name) for name in names if name not in _KEY}
    return update(rows).where(rows.c.state == old, *same).values(state=new, **values)


def _stored(move: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    """The column's value in a move, in the type it is stored as."""
    kind = rows.c[name].type
    if isinstance(kind, Boolean):
        return cast(move[name].as_string(), Boolean)
    return cast(move[name].as_string(), Text if isinstance(kind, Text) else BigInteger)
