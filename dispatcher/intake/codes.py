"""A one-time code from a person's words to the gateway: the number is read and checked as a row's is."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from decimal import Decimal

from dispatcher.campaign.phones import read_phone
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.timing.spans import parse_span
from dispatcher.errors import UsageError
from dispatcher.gateway.models import Message, OtpRequest, Route
from dispatcher.intake.house import House
from dispatcher.ledger import CodeLimit, CodeLimits
from dispatcher.ledger.codes import KEPT
from dispatcher.sending.codes import CodeAnswer, CodeDesk

_LIMIT = re.compile(r"(?P<most>[1-9]\d{0,5})\s*(?:per|/)\s*(?P<span>\S+)", re.IGNORECASE)
NO_LIMIT = "none"


@dataclass(frozen=True, kw_only=True)
class CodeOrder:
    """What a person asks for; ``number`` as people write it."""

    number: str
    length: int = 5
    alphanumeric: bool = False
    cache_seconds: int = 0


@dataclass(frozen=True, kw_only=True)
class CodePlan:
    """A code that may be sent.  ``price``: the price book's for a part, None where it has none."""

    request: OtpRequest
    country: str | None
    price: Decimal | None


def parse_limits(text: str, setting: str) -> tuple[CodeLimit, ...]:
    """``5 per 1h, 10 per 1d``; ``none`` is no limit.  Raises UsageError."""
    if text.strip().casefold() == NO_LIMIT:
        return ()
    return tuple(_limit(piece, text, setting) for piece in text.split(","))


def code_limits(per_number: str, per_prefix: str) -> CodeLimits:
    """The limits of the settings.  Raises UsageError."""
    return CodeLimits(
        per_number=parse_limits(per_number, "otp_per_number"),
        per_prefix=parse_limits(per_prefix, "otp_per_prefix"),
    )


def plan_code(house: House, order: CodeOrder) -> CodePlan:
    """Raises UsageError for what is no mobile number, or opted out of everything."""
    phone = read_phone(order.number, house.default_region)
    if phone.recipient is None:
        reason = str(phone.reason or Reason.PHONE_NOT_VALID)
        raise UsageError("otp_number", found=order.number, reason=reason)
    if house.ledger.opt_outs.opted_out([phone.recipient]):
        raise UsageError("otp_opted_out", found=phone.recipient)
    request = OtpRequest(
        recipient=phone.recipient,
        length=order.length,
        alphanumeric=order.alphanumeric,
        cache_seconds=order.cache_seconds,
    )
    price = house.book.price(str(Route.WW), phone.country or "")
    return CodePlan(request=request, country=phone.country, price=price)


def send_code(house: House, plan: CodePlan, limits: CodeLimits) -> CodeAnswer:
    """See :meth:`CodeDesk.send`."""

    async def send() -> CodeAnswer:
        async with house.services() as services:
            return await CodeDesk(services, house.gateway, limits).send(plan.request)

    return asyncio.run(send())


def try_code(house: House, plan: CodePlan) -> Message:
    """See :meth:`CodeDesk.try_out`."""

    async def try_out() -> Message:
        async with house.services() as services:
            return await CodeDesk(services, house.gateway, CodeLimits()).try_out(plan.request)

    return asyncio.run(try_out())


def _limit(piece: str, text: str, setting: str) -> CodeLimit:
    found = _LIMIT.fullmatch(piece.strip())
    if found is None:
        raise UsageError("otp_limits", found=text, setting=f"DISPATCHER_{setting.upper()}")
    within = parse_span(found["span"], f"DISPATCHER_{setting.upper()}").length
    if within > KEPT:
        raise UsageError("otp_limits", found=text, setting=f"DISPATCHER_{setting.upper()}")
    return CodeLimit(int(found["most"]), within)
