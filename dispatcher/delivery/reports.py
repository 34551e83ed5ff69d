"""What a gateway's message says about its row: the one way from a callback or a listing to the ledger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial

from dispatcher.gateway.models import Message, MessageState, Route
from dispatcher.gateway.recipients import may_be_same_number
from dispatcher.ledger import ENCODING_NUMBERS, DeliveryReport, RowState
from dispatcher.sending.listing import row_key
from dispatcher.sending.settlements import actual_cost

FINAL: Mapping[MessageState, RowState] = {
    MessageState.DELIVERED: RowState.DELIVERED,
    MessageState.UNDELIVERABLE: RowState.UNDELIVERABLE,
    MessageState.EXPIRED: RowState.EXPIRED,
    MessageState.REJECTED: RowState.REJECTED,
}
"""The gateway's final states as a row's; every other one says only that the message was accepted."""

_DIGITS = re.compile(r"[1-9]\d{0,8}", re.ASCII)


def report_of(
    message: Message, *, ledger_id: str, seen_at: datetime, route: str | None = None
) -> DeliveryReport | None:
    """What ``message``, seen at ``seen_at``, says; None for a dry run, which reached nobody.

    Campaign and row are named only by a row key of the ledger ``ledger_id``.  ``route`` is the row's where it is known:
    a worldwide price is 0 until it is filled in, so without a route zero is no price.
    """
    if message.is_dry_run:
        return None
    state = FINAL.get(message.state) if message.state is not None else None
    delivered = message.delivered_at or message.updated_at if state is RowState.DELIVERED else None
    campaign_id, row = place_of(row_key(message), ledger_id) or (None, None)
    return DeliveryReport(
        message_id=message.id,
        seen_at=seen_at,
        state=state,
        sent_at=message.sent_at or message.created_at,
        delivered_at=delivered,
        actual_cost=actual_cost(Route(route) if route is not None else Route.WW, message),
        parts=message.message_count or None,
        encoding=ENCODING_NUMBERS.get(message.encoding or ""),
        error_detail=message.blocklisted_reason if message.blocklisted else None,
        campaign_id=campaign_id,
        row=row,
        is_to=partial(may_be_same_number, message.recipient) if message.recipient else None,
        text=message.message,
    )


def place_of(key: str | None, ledger_id: str) -> tuple[int, int] | None:
    """Campaign and row that a row key names; None for what is no key of the ledger ``ledger_id``."""
    ledger, _, place = (key or "").partition(".")
    campaign, _, row = place.partition(".")
    if ledger != ledger_id or not (_DIGITS.fullmatch(campaign) and _DIGITS.fullmatch(row)):
        return None
    return int(campaign), int(row)
