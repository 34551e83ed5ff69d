"""A message that nobody meant to send: a gateway took a dry run for a real one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from dispatcher.ledger.claiming import mark_rows
from dispatcher.ledger.conditions import is_ready
from dispatcher.ledger.counting import COUNTED, Tally
from dispatcher.ledger.records import Accepted, ClaimRequest
from dispatcher.ledger.schema import rows
from dispatcher.ledger.settling import settle_rows


def sent_unasked(
    connection: Connection,
    campaign: Row[Any],
    answer: Accepted,
    request: ClaimRequest,
    tally: Tally,
    now: datetime,
) -> bool:
    """The ready row of a locked campaign goes the way of every sent one, in whatever state the campaign is.

    So the guard sees it, its price is counted, and its delivery is followed.  False when the row is not ready.
    """
    query = select(rows.c.row, *COUNTED)
    chosen: Sequence[Any] = connection.execute(
        query.where(rows.c.campaign_id == campaign.id, rows.c.row == answer.row, is_ready())
    ).all()
    if not chosen:
        return False
    mark_rows(connection, campaign.id, request, chosen, tally)
    settle_rows(connection, campaign, [answer], tally, now)
    return True
