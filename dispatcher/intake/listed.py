"""The gateway's own view of messages: its listing as a stream, filtered and without secrets, and one message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from hashlib import blake2b
from zoneinfo import ZoneInfo

from dispatcher.campaign.locale import Locale
from dispatcher.campaign.phones import read_phone
from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.timing.moments import read_moment
from dispatcher.errors import UsageError
from dispatcher.gateway.masking import ShownMessage, shown
from dispatcher.gateway.models import Message, MessageState
from dispatcher.gateway.recipients import may_be_same_number
from dispatcher.intake.house import House
from dispatcher.sending.listing import Paging, walk


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which messages; everything by default.  ``recipient`` E.164; ``since`` and before ``until``, when it was made."""

    states: frozenset[MessageState] = frozenset()
    recipient: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None

    def fits(self, message: Message) -> bool:
        """Whether it is one of them, whatever the limit; one that says no time was made at none."""
        if self.states and message.state not in self.states:
            return False
        if self.recipient is not None and not may_be_same_number(message.recipient or "", self.recipient):
            return False
        if self.since is None and self.until is None:
            return True
        made = message.created_at
        return (
            made is not None
            and (self.since is None or made >= self.since)
            and (self.until is None or made < self.until)
        )


@dataclass(frozen=True, kw_only=True)
class Listed:
    """How a listing went.  ``complete``: its end was reached, and nothing can have been passed over.

    ``limited``: the limit was reached before.
    """

    n: int
    complete: bool
    limited: bool
    unreadable: bool


def list_messages(house: House, wanted: Wanted, tell: Callable[[Sequence[ShownMessage]], bool]) -> Listed:
    """Page through the listing, in the gateway's order; ``tell`` gets some at a time and says whether to go on.

    Each message comes once, however the listing shifts meanwhile; of those that came, 8 bytes each are remembered.
    Every page takes a slot of the pace.  Raises Unreachable or Halted.
    """

    async def pages() -> Listed:
        paging, known, n, unreadable = Paging(), set[bytes](), 0, False
        async with house.services() as services:
            async for page in walk(services, paging):
                unreadable |= page.unreadable > 0
                found = [shown(each) for each in page.messages if _is_new(each, known) and wanted.fits(each)]
                if wanted.limit is not None:
                    found = found[: wanted.limit - n]
                n += len(found)
                if found and not tell(found):
                    break
                if n == wanted.limit:
                    return Listed(n=n, complete=False, limited=True, unreadable=unreadable)
        complete = paging.complete and paging.consistent and not unreadable
        return Listed(n=n, complete=complete, limited=False, unreadable=unreadable)

    return asyncio.run(pages())


def find_message(house: House, message_id: str) -> ShownMessage | None:
    """The message of that id, None when the gateway has none."""

    async def ask() -> Message | None:
        async with house.services() as services:
            await services.slot()
            return await services.gateway.message(message_id)

    found = asyncio.run(ask())
    return None if found is None else shown(found)


def read_states(names: Sequence[str]) -> frozenset[MessageState]:
    """Raises UsageError for a name that is none."""
    known = {str(state): state for state in MessageState}
    for name in names:
        if name.upper() not in known:
            raise UsageError("message_state", found=name, allowed=", ".join(known))
    return frozenset(known[name.upper()] for name in names)


def read_recipient(text: str, region: str) -> str:
    """A number as people write it, in E.164.  Raises UsageError."""
    phone = read_phone(text, region)
    if phone.recipient is None:
        raise UsageError("message_number", found=text, reason=str(phone.reason or Reason.PHONE_NOT_VALID))
    return phone.recipient


def read_bound(text: str, flag: str, zone: ZoneInfo, *, end: bool = False) -> datetime:
    """A date or a moment on the operator's clock; ``end``: a date alone means all of its day.  Raises UsageError."""
    moment = read_moment(text, Locale.EN)
    if isinstance(moment, Reason) or moment.utc_offset is not None:
        raise UsageError("message_moment", found=text, flag=flag)
    if moment.time is not None:
        return moment.local.replace(tzinfo=zone)
    day = moment.date + timedelta(days=1) if end else moment.date
    return datetime.combine(day, time(), tzinfo=zone)


def _is_new(message: Message, known: set[bytes]) -> bool:
    digest = blake2b(message.id.encode(), digest_size=8).digest()
    if digest in known:
        return False
    known.add(digest)
    return True
