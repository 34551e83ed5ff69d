"""Triggers by which the database itself refuses every change of state that ``states`` does not list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from enum import IntEnum

from sqlalchemy import DDL, Table, event


def refuse_other_moves(table: Table, moves: Iterable[tuple[IntEnum, IntEnum]]) -> None:
    """Whoever creates ``table`` creates the trigger with it, on SQLite and on PostgreSQL."""
    sqlite, postgresql = _triggers(table, moves)
    event.listen(table, "after_create", sqlite.execute_if(dialect="sqlite"))
    event.listen(table, "after_create", postgresql.execute_if(dialect="postgresql"))


def _triggers(table: Table, moves: Iterable[tuple[IntEnum, IntEnum]]) -> tuple[DDL, DDL]:
    """Triggers (SQLite, PostgreSQL) that refuse a change of state outside ``moves``."""
    targets: dict[int, int] = defaultdict(int)
    for old, new in moves:
        targets[int(old)] |= 1 << int(new)
    cases = " ".join(f"WHEN {old} THEN {bits}" for old, bits in sorted(targets.items()))
    # one bit per legal target: a lookup instead of a long list
    test = f"OLD.state <> NEW.state AND ((CASE OLD.state {cases} ELSE 0 END) >> NEW.state) & 1 = 0"
    name = f"{table.name}_legal_moves"
    sqlite = DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER {name} BEFORE UPDATE OF state ON {table.name} WHEN {test} "
        f"BEGIN SELECT RAISE(ABORT, 'illegal move in {table.name}'); END"
    )
    postgresql = DDL(  # type: ignore[no-untyped-call]
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION 'illegal move in {table.name}' USING ERRCODE = 'check_violation'; END $$; "
        f"CREATE TRIGGER {name} BEFORE UPDATE OF state ON {table.name} "
        f"FOR EACH ROW WHEN ({test}) EXECUTE FUNCTION {name}()"
    )
    return sqlite, postgresql
