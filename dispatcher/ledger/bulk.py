"""Ready rows that will not be sent, a chunk at a time: short transactions keep other processes on time."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, select, update

from dispatcher.ledger.conditions import is_ready
from dispatcher.ledger.counting import COUNTED, Tally, ready_row
from dispatcher.ledger.schema import rows
from dispatcher.ledger.states import RowState, may_move

CHUNK = 2_000


def move_ready_rows(
    connection: Connection,
    campaign_id: int,
    new: RowState,
    reason: str | None,
    tally: Tally,
    *where: ColumnElement[bool],
    limit: int = CHUNK,
    error_code: str | None = None,
) -> int:
    """Move up to ``limit`` ready rows that match ``where`` of a locked campaign to ``new``; returns how many
    moved.

    ValueError for a move that is not legal or would be an attempt.
    """
    if new is RowState.SENDING or not may_move(RowState.READY, new):
        raise ValueError(f"ready rows cannot become {new.code} here")
    ready = (rows.c.campaign_id == campaign_id, is_ready())
    chosen = connection.execute(select(rows.c.row, *COUNTED).where(*ready, *where).limit(limit)).all()
    if not chosen:
        return 0
    statement = update(rows).where(*ready, rows.c.row.in_([row.row for row in chosen]))
    moved = connection.execute(statement.values(state=new, reason=reason, error_code=error_code)).rowcount
    if moved != len(chosen):
        raise RuntimeError(f"campaign {campaign_id}: ready rows moved while it was locked")
    for row in chosen:
        before = ready_row(row)
        tally.change(before, before._replace(state=new))
    return moved
