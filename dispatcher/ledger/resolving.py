"""How a doubt ends when the answer itself never came: found, proved absent, or decided by a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from dispatcher.ledger.journal import note
from dispatcher.ledger.records import Absent, Accepted, Decided, Found, Resolution
from dispatcher.ledger.schema import rows
from dispatcher.ledger.settling import decide
from dispatcher.ledger.states import RowState
from dispatcher.ledger.writing import Decision


def decide_doubt(
    connection: Connection,
    campaign: Row[Any],
    row: Row[Any],
    resolution: Resolution,
    token: str | None,
    now: datetime,
) -> Decision | None:
    """The move for a row in doubt, journaled; None when the found message belongs to another row.

    ValueError when a proof does not say which attempt it is about: it may be older than the row's last
    attempt.
    """
    if not isinstance(resolution, Decided) and token is None:
        raise ValueError("a proof needs the token of the attempt it is about")
    about = {"campaign_id": campaign.id, "row": row.row}
    if isinstance(resolution, Found):
        taken = _taken(connection, campaign.gateway_id, resolution.message_id)
        note(
            connection,
            "message_id_taken" if taken else "doubt_found",
            now,
            **about,
            message_id=resolution.message_id,
        )
        return None if taken else _found(row, resolution, now)
    if isinstance(resolution, Absent):
        note(
            connection,
            "doubt_absent",
            now,
            **about,
            token=row.attempt_token,
            evidence=dict(resolution.evidence),
        )
        return Decision(RowState.READY)
    note(
        connection,
        "doubt_decided",
        now,
        **about,
        token=row.attempt_token,
        sent=resolution.sent,
        by=resolution.by,
    )
    if not resolution.sent:
        return Decision(RowState.READY)
    return Decision(RowState.ACCEPTED, {"decided_at": now, "sent_at": row.attempt_started_at})


def _found(row: Row[Any], found: Found, now: datetime) -> Decision:
    answer = Accepted(
        token=row.attempt_token,
        row=row.row,
        message_id=found.message_id,
        sent_at=found.sent_at,
        actual_cost=found.actual_cost,
        parts=found.parts,
        encoding=found.encoding,
    )
    return decide(row, answer, False, now)


def _taken(connection: Connection, gateway_id: int, message_id: str) -> bool:
    same = (rows.c.message_id == message_id, rows.c.gateway_id == gateway_id)
    return connection.execute(select(rows.c.row).where(*same)).first() is not None
