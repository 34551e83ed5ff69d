"""Single questions to the gateway: its listing, one message, one code.  Each request takes a slot of the pace."""

from __future__ import annotations

import asyncio

from dispatcher.errors import Halted, Unreachable
from dispatcher.gateway.models import Message, OtpRequest
from dispatcher.gateway.outcomes import Outcome
from dispatcher.intake.house import House

PAGE = 100


def list_messages(house: House, limit: int) -> list[Message]:
    """The first ``limit`` messages in the gateway's order."""

    async def pages() -> list[Message]:
        found: list[Message] = []
        async with house.services() as services:
            skip = 0
            while len(found) < limit:
                await services.slot()
                page = await services.gateway.messages(skip=skip, limit=min(PAGE, limit - len(found)))
                if not page.count:
                    break
                skip += page.count
                found.extend(page.messages)
        return found[:limit]

    return asyncio.run(pages())


def find_message(house: House, message_id: str) -> Message | None:
    """The message of that id, None when the gateway has none."""

    async def ask() -> Message | None:
        async with house.services() as services:
            await services.slot()
            return await services.gateway.message(message_id)

    return asyncio.run(ask())


def send_otp(house: House, request: OtpRequest) -> Message:
    """Have one code sent.  Raises Halted for a refusal, Unreachable when it is not known whether it was sent."""

    async def send() -> Message:
        async with house.services() as services:
            await services.slot()
            verdict = await services.gateway.send_otp(request)
        if verdict.outcome is Outcome.ACCEPTED and verdict.message is not None:
            return verdict.message
        if verdict.outcome in (Outcome.REFUSED, Outcome.HALT):
            raise Halted("otp_refused", found=verdict.detail, status=verdict.code or verdict.http_status)
        if verdict.outcome is Outcome.IN_DOUBT:
            raise Unreachable("otp_in_doubt", found=verdict.detail)
        raise Unreachable("otp_not_sent", found=verdict.detail)

    return asyncio.run(send())
