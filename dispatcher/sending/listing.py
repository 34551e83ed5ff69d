"""Walking over the gateway's listing, and what its messages may be about.

The order is not documented and messages come and go while pages are read, so every page asks again for the end of the
one before: when that is not there, something may have been passed over, and the walk proves no absence.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.errors import Unreachable
from dispatcher.gateway.client import Page
from dispatcher.gateway.models import Message
from dispatcher.gateway.recipients import ending, is_same_number, may_be_same_number
from dispatcher.ledger import CampaignView, DoubtfulRow
from dispatcher.sending.services import Services

PAGE = 100
OVERLAP = 10  # messages of a page that the next one must show again
MAX_PAGES = 20_000
STALE_PAGES = 5  # in a row that show nothing new
ASK_AGAIN = (1.0, 4.0)  # seconds after which a page that was not to be had is asked for again
SKEW_TOLERANCE = timedelta(seconds=5)  # the Date header has whole seconds, and the answer took time
PLAINLY_OLDER = timedelta(
    days=1
)  # what is older than an attempt by less may be of it: a clock was put right since

_ROW_KEY = re.compile(r"[0-9a-f]{8}\.\d+\.\d+")


@dataclass
class Paging:
    """How a walk went: ``complete`` when it came to an empty page, ``consistent`` when nothing can have been missed."""

    complete: bool = False
    consistent: bool = True


async def walk(services: Services, paging: Paging) -> AsyncGenerator[Page, None]:
    """The pages of the listing up to its empty page; each takes a slot.  Raises Unreachable or Halted.

    Gives up where no end is in sight: the gateway does not page, or is given messages faster than it lists them.
    """
    skip = overlap = stale = 0
    last: str | None = None
    recent: deque[list[str]] = deque(maxlen=STALE_PAGES)
    for _ in range(MAX_PAGES):
        page = await _page(services, skip)
        if not page.count:
            # where the end of the page before was asked for again, it has gone: so may have messages behind it
            paging.consistent &= not overlap
            paging.complete = True
            return
        ids = [message.id for message in page.messages]
        if overlap and last is not None and last not in ids:
            paging.consistent = False
        yield page
        known = set().union(*recent)
        stale = stale + 1 if ids and known.issuperset(ids) else 0
        if stale >= STALE_PAGES:
            return
        # a page that is no more than the overlap is the end of the listing
        overlap = min(OVERLAP, page.count // 2) if page.count > overlap else 0
        skip += page.count - overlap
        last = ids[-1] if ids else None
        recent.append(ids)


async def _page(services: Services, skip: int) -> Page:
    """One page.  Within a walk it is asked for again when it cannot be had: over a line that loses one request in ten
    a listing of fifty pages would hardly ever be read to its end.
    """
    for wait in ASK_AGAIN if skip else ():
        await services.slot()
        try:
            return await services.gateway.messages(skip=skip, limit=PAGE)
        except Unreachable as error:
            if error.code == "gateway_throttled":
                raise
            await services.clock.sleep(wait)
    await services.slot()
    return await services.gateway.messages(skip=skip, limit=PAGE)


@dataclass(frozen=True)
class Doubt:
    """One row in doubt, with what decides about it."""

    campaign: CampaignView
    row: DoubtfulRow
    row_key: str
    quiet_until: datetime
    owner_alive: bool
    owner_elsewhere: bool = False

    @property
    def id(self) -> tuple[int, int]:
        """Campaign and row."""
        return self.campaign.id, self.row.row

    @property
    def attempt(self) -> str:
        """The attempt the doubt is about; the row may come to another one."""
        return f"{self.row.token}/{self.row.row}"


@dataclass(frozen=True)
class Match:
    """A doubt a listed message may be about; ``sure`` when it is, else nobody can say."""

    doubt: Doubt
    sure: bool


class Index:
    """Finds the doubts a listed message may be about."""

    def __init__(self, doubts: Sequence[Doubt]) -> None:
        self._by_key = {doubt.row_key: doubt for doubt in doubts}
        self._by_recipient: dict[str, list[Doubt]] = defaultdict(list)
        for doubt in doubts:
            self._by_recipient[ending(doubt.row.recipient)].append(doubt)

    def matches(self, message: Message, skew: timedelta) -> list[Match]:
        """The sure ones first, in the order of the doubts.  ``skew``: how far the gateway's clock is ahead of ours.

        A row key says it alone, whatever the time.  Else recipient and text must be the row's, which counts only
        while every 201 echoed both unchanged, and the message must not be older than the attempt.  The same text a
        little older, another text that is not older, or a number without its country may be the row's or not.
        """
        key = row_key(message)
        if key is not None:
            return [Match(self._by_key[key], sure=True)] if key in self._by_key else []
        found: list[Match] = []
        listed = message.recipient or ""
        for doubt in self._by_recipient.get(ending(listed), []):
            if not may_be_same_number(listed, doubt.row.recipient):
                continue
            same = doubt.campaign.not_echoed == 0 and message.message == doubt.row.text
            age = _older_by(message, doubt, skew)
            if age <= SKEW_TOLERANCE or (same and age <= PLAINLY_OLDER):
                whole = is_same_number(listed, doubt.row.recipient)
                found.append(Match(doubt, sure=same and whole and age <= SKEW_TOLERANCE))
        return sorted(found, key=lambda match: not match.sure)


def row_key(message: Message) -> str | None:
    """The key of a row, this ledger's or another one's; None for a message that carries none."""
    custom = message.callback.custom if message.callback else None
    key = custom.get("row") if isinstance(custom, dict) else None
    return key if isinstance(key, str) and _ROW_KEY.fullmatch(key) else None


def _older_by(message: Message, doubt: Doubt, skew: timedelta) -> timedelta:
    """How long before the attempt the message was created, by the gateway's clock corrected with its Date header."""
    if message.created_at is None:
        return timedelta(0)
    return doubt.row.attempt_started_at - (message.created_at - skew)
