"""Many rows changed by one statement, each with values of its own.

``executemany`` runs one statement a row, and after each the thread waits for the interpreter's lock again: beside a
busy event loop most of a transaction's time goes there.  Here the values travel as one JSON array, which the database
takes apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
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
from sqlalchemy.sql.functions import FunctionElement

from dispatcher.ledger.schema import rows
from dispatcher.ledger.states import RowState

_TAKES_APART: Mapping[str, Callable[[ColumnElement[str]], FunctionElement[Any]]] = {
    "sqlite": func.json_each,
    "postgresql": lambda each: func.jsonb_array_elements(cast(each, JSONB)),
}
# the campaign too, though it is the same for all: were it a plain value, SQLite would walk all its rows and look for
# each of them in the array
_KEY = ("campaign_id", "row", "attempt_token")


def move_each(
    connection: Connection, campaign_id: int, old: RowState, new: RowState, moves: Sequence[Mapping[str, Any]]
) -> int:
    """Rows of a campaign go from ``old`` to ``new``; returns how many did.

    Every move has the ``row``, its ``attempt_token`` and the same further columns, which are written.  A row that is in
    another state by now, or under another token, stays as it is.
    """
    names, dialect = tuple(moves[0]), connection.dialect
    store = {name: _storing(name, dialect) for name in names}
    each = [
        {"campaign_id": campaign_id} | {name: store[name](move[name]) for name in names} for move in moves
    ]
    statement = _statement(dialect.name, old, new, names)
    return connection.execute(statement, {"each": json.dumps(each)}).rowcount


def _storing(name: str, dialect: Dialect) -> Callable[[Any], Any]:
    """How a value of the column is stored."""
    store: Callable[[Any], Any] | None = rows.c[name].type.dialect_impl(dialect).bind_processor(dialect)
    return store or (lambda value: value)


@lru_cache(maxsize=64)
def _statement(dialect: str, old: RowState, new: RowState, names: tuple[str, ...]) -> Update:
    moves = _TAKES_APART[dialect](bindparam("each", type_=Text))
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
