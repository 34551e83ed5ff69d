"""Ready rows whose time is over, has not come, or whose people have had enough: moved aside when they would be claimed.

Windows are rules outside the ledger; a claim brings them along as :class:`~dispatcher.ledger.records.Timeliness`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from dispatcher.ledger.conditions import is_maybe_sent, is_ready
from dispatcher.ledger.records import ClaimRequest
from dispatcher.ledger.schema import rows

_POSTPONE = (
    update(rows)
    .where(
        rows.c.campaign_id == bindparam("of_campaign"),
        is_ready(),
        rows.c.row.in_(bindparam("chosen", expanding=True)),
    )
    .values(due_at=bindparam("at"))
)
_SENT_LATELY = (
    select(rows.c.recipient, func.count().label("n"))
    .where(
        rows.c.recipient.in_(bindparam("recipients", expanding=True)),
        is_maybe_sent(),
        rows.c.attempt_started_at > bindparam("since"),
        rows.c.gateway_id == bindparam("gateway_id"),
    )
    .group_by(rows.c.recipient)
)


def too_late(due: Sequence[Row[Any]], request: ClaimRequest) -> set[int]:
    """Rows that are of no use any more by the time they would start."""
    return {
        row.row for row in due if row.useful_until is not None and row.useful_until < request.starts_until
    }


def postponed(due: Sequence[Row[Any]], request: ClaimRequest) -> tuple[dict[datetime, list[int]], set[int]]:
    """Rows whose window is closed: those to be put off, by their new time, and those that will be too late by then."""
    later: dict[datetime, list[int]] = defaultdict(list)
    late: set[int] = set()
    if request.windows is None:
        return later, late
    known: dict[str | None, datetime | None] = {}
    for row in due:
        if row.country not in known:
            known[row.country] = request.windows.next(row.country, request.now, request.starts_until)
        opens = known[row.country]
        if opens is None or (row.useful_until is not None and opens > row.useful_until):
            late.add(row.row)
        elif opens > request.now:
            later[opens].append(row.row)
    return later, late


def postpone(connection: Connection, campaign_id: int, later: dict[datetime, list[int]]) -> None:
    """Ready rows of a locked campaign get another due time."""
    for at, chosen in later.items():
        values = {"of_campaign": campaign_id, "at": at, "chosen": sorted(chosen)}
        if connection.execute(_POSTPONE, values).rowcount != len(chosen):
            raise RuntimeError(f"campaign {campaign_id}: rows moved while it was locked")


def over_cap(
    connection: Connection, gateway_id: int, due: Sequence[Row[Any]], request: ClaimRequest
) -> set[int]:
    """Rows whose recipient has had, or may have had, as many messages of the gateway as one person may."""
    if request.most_per_person is None or request.capped_since is None or not due:
        return set()
    values = {"recipients": sorted({row.recipient for row in due}), "since": request.capped_since}
    sent = Counter[str]()
    for found in connection.execute(_SENT_LATELY, {**values, "gateway_id": gateway_id}):
        sent[found.recipient] = found.n
    over = set()
    for row in due:
        if sent[row.recipient] >= request.most_per_person:
            over.add(row.row)
        else:
            sent[row.recipient] += 1
    return over
