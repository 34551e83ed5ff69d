"""Whether a campaign has to give way to a more urgent one of its gateway."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, exists, select

from dispatcher.ledger.conditions import is_ready
from dispatcher.ledger.schema import campaigns, rows
from dispatcher.ledger.states import CampaignState

AT_WORK = timedelta(minutes=3)  # a campaign without a write for so long is sent by nobody

_mine, _other = campaigns.alias("mine"), campaigns.alias("other")
_due = exists().where(rows.c.campaign_id == _other.c.id, is_ready(), rows.c.due_at <= bindparam("at"))
_MORE_URGENT = (
    select(_other.c.id)
    .where(
        _mine.c.id == bindparam("of_campaign"),
        _other.c.gateway_id == _mine.c.gateway_id,
        _other.c.priority > _mine.c.priority,
        # its dry runs take slots as well, and it cannot be sent before they are through
        _other.c.state.in_((CampaignState.PREFLIGHT, CampaignState.SENDING)),
        _other.c.updated_at > bindparam("since"),
        _due,
    )
    .limit(1)
)


def is_outranked(connection: Connection, campaign_id: int, now: datetime) -> bool:
    """Whether a campaign of the same gateway with a higher priority is being screened or sent, and has a row due.

    ``now`` may be any machine's: minutes count here.
    """
    values = {"of_campaign": campaign_id, "at": now, "since": now - AT_WORK}
    return connection.execute(_MORE_URGENT, values).first() is not None
