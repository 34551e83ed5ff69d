"""What statements find, and how they are told what to look for, where it is hundreds of rows a transaction."""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, Boolean, Column, Dialect, Integer, Result, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


def all_named(result: Result[Any]) -> list[Any]:
    """Every row, as a tuple with names: to read a name of SQLAlchemy's own rows costs ten times as much."""
    return list(map(_kind(tuple(result.keys())), result.all()))


@lru_cache(maxsize=64)
def _kind(names: tuple[str, ...]) -> Callable[[Any], Any]:
    make: Callable[[Any], Any] = namedtuple("Found", names)._make  # type: ignore[attr-defined]
    return make


class OneOf(FunctionElement[bool]):
    """Whether a column of numbers or texts has one of the values that are bound under ``name``, a sequence.

    An IN would be written out for each number of values, by SQLAlchemy at every call and by SQLite's parser again.
    """

    name = "one_of"
    type = Boolean()
    inherit_cache = True

    def __init__(self, column: Column[Any], name: str) -> None:
        super().__init__(column, bindparam(name, type_=_Listed(isinstance(column.type, Text))))

    def self_group(self, against: object = None) -> OneOf:
        """Itself: a truth to SQLite too, which is said to have none and would get "= 1" behind it and use no index."""
        return self


class _Listed(TypeDecorator[Sequence[Any]]):
    """A sequence as one parameter: JSON to SQLite, an array to a server."""

    impl = Text
    cache_ok = True

    def __init__(self, texts: bool) -> None:
        super().__init__()
        self.texts = texts

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        array: ARRAY[Any] = ARRAY(Text() if self.texts else Integer())
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else array)

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        return json.dumps(list(value or ())) if dialect.name == "sqlite" else list(value or ())


@compiles(OneOf, "sqlite")
def _in_json(element: OneOf, compiler: SQLCompiler, **options: Any) -> str:
    # SQLite ends a text of JSON at its first NUL: no recipient and no message id (models.Name) has one
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - clauses, never text from outside


@compiles(OneOf)
def _in_array(element: OneOf, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY ({values})"
