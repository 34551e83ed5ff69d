"""From an answer to what the ledger writes about the row."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from dispatcher.campaign.reasons import Reason
from dispatcher.gateway.models import Message, Route
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.gateway.recipients import may_be_same_number
from dispatcher.ledger import (
    ENCODING_NUMBERS,
    Accepted,
    ClaimedRow,
    Found,
    InDoubt,
    NotSent,
    Refused,
    Settlement,
)

ANOTHER_RECIPIENT = "the answer is about another recipient"


def settlement_of(row: ClaimedRow, token: str, verdict: Verdict, started: datetime) -> Settlement:
    """What the answer means for the row, whatever it means for the campaign."""
    code = (
        None
        if verdict.code is None and verdict.http_status is None
        else str(verdict.code or verdict.http_status)
    )
    match verdict.row:
        case Outcome.ACCEPTED:
            assert verdict.message is not None  # what an acceptance is
            if verdict.message.recipient and not may_be_same_number(verdict.message.recipient, row.recipient):
                # somebody on the way has mixed up answers: what became of this row nobody has said
                return InDoubt(token=token, row=row.row, detail=ANOTHER_RECIPIENT)
            return accepted(row, token, verdict.message, started)
        case Outcome.REFUSED:
            reason = Reason.FORBIDDEN_TEXT if verdict.forbidden else Reason.REFUSED_BY_GATEWAY
            return Refused(
                token=token, row=row.row, reason=str(reason), error_code=code, detail=verdict.detail
            )
        case Outcome.IN_DOUBT:
            return InDoubt(token=token, row=row.row, error_code=code, detail=verdict.detail)
        case _:
            return NotSent(token=token, row=row.row)


class Attempted(Protocol):
    """What was asked for: a claimed row, or one that a dry run was made of."""

    @property
    def row(self) -> int: ...

    @property
    def recipient(self) -> str: ...

    @property
    def route(self) -> str: ...

    @property
    def text(self) -> str: ...


def accepted(row: Attempted, token: str, message: Message, started: datetime) -> Accepted:
    """The row as the gateway's message tells it; ``started`` stands in for a time that the message does not have."""
    return Accepted(
        token=token,
        row=row.row,
        message_id=message.id,
        sent_at=message.sent_at or message.created_at or started,
        actual_cost=actual_cost(Route(row.route), message),
        echoed=message.recipient == row.recipient and message.message == row.text,
        parts=message.message_count,
        encoding=ENCODING_NUMBERS.get(message.encoding or ""),
        reason=str(Reason.BLOCKLISTED_WITH_IT) if message.blocklisted else None,
    )


def found(route: str, message: Message, otherwise: datetime) -> Found:
    """A listed message as the end of a doubt; ``otherwise`` stands in for a time that the message does not have."""
    return Found(
        message_id=message.id,
        sent_at=message.sent_at or message.created_at or otherwise,
        actual_cost=actual_cost(Route(route), message),
        parts=message.message_count,
        encoding=ENCODING_NUMBERS.get(message.encoding or ""),
    )


def actual_cost(route: Route, message: Message) -> Decimal | None:
    """What the gateway says the message cost, None while it has not said so.

    A worldwide price is 0 at first and filled in later: there, zero is not a price.
    """
    total = message.total_price
    return None if route is Route.WW and not total else total
