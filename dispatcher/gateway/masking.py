"""A message as it may be shown: without callback headers, without a one-time code.

Whoever reads a code off a screen, a file or a script's output can use it.  The model keeps no callback headers; codes
are taken out here, in one place, for every way of showing a message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dispatcher.gateway.models import Message

CODE_SENDER = "OTP MOBILE"
MASK = "•"
_VISIBLE = re.compile(r"\S")


@dataclass(frozen=True, kw_only=True)
class ShownMessage:
    """What people and scripts see of a message, in this order."""

    id: str
    state: str | None
    recipient: str | None
    country: str | None
    sender: str | None
    text: str
    encoding: str | None
    parts: int | None
    price: Decimal | None
    total_price: Decimal | None
    dry_run: bool
    is_code: bool
    blocklisted: bool
    created_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None


def shown(message: Message) -> ShownMessage:
    """The message without its secrets."""
    return ShownMessage(
        id=message.id,
        state=str(message.state) if message.state else None,
        recipient=message.recipient,
        country=message.country_code,
        sender=message.sender,
        text=masked_text(message),
        encoding=message.encoding,
        parts=message.message_count,
        price=message.price,
        total_price=message.total_price,
        dry_run=message.is_dry_run,
        is_code=holds_code(message),
        blocklisted=bool(message.blocklisted),
        created_at=message.created_at,
        sent_at=message.sent_at,
        delivered_at=message.delivered_at,
    )


def holds_code(message: Message) -> bool:
    """Whether its text holds a one-time code; a listing need not say so in every way."""
    return bool(message.is_otp or message.otp or message.sender == CODE_SENDER)


def masked_text(message: Message) -> str:
    """The text; of one that holds a code, no digit and nothing of the code.

    A code of letters that the listing does not name cannot be told from the words around it: then nothing is left.
    """
    text = message.message or ""
    if not holds_code(message):
        return text
    if not message.otp:
        return _VISIBLE.sub(MASK, text)
    without = re.sub(re.escape(message.otp), MASK * len(message.otp), text, flags=re.IGNORECASE)
    if without == text:  # the text's code is another one, or is written otherwise
        return _VISIBLE.sub(MASK, text)
    return "".join(MASK if letter.isnumeric() else letter for letter in without)
