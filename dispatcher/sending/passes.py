"""One pass over the gateway's listing: what is found is settled on the way, the rest is noted for the proof."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dispatcher.gateway.client import Page
from dispatcher.gateway.models import Message
from dispatcher.gateway.recipients import is_same_number
from dispatcher.ledger import CampaignView, DoubtfulRow, Ledger
from dispatcher.ledger.queries import SettledMessage
from dispatcher.sending.guards import Halt, stop_campaign
from dispatcher.sending.listing import Doubt, Index, Paging, row_key, walk
from dispatcher.sending.services import Services
from dispatcher.sending.settlements import found
from dispatcher.sending.stops import Stop

AROUND = timedelta(
    hours=1
)  # before a doubtful attempt; what went out from then to its deadline has to be listed too


# an attempt may wait for its slot and its answer; a message dated later than this is dated by another clock
ANOTHER_CLOCK = timedelta(minutes=1)


@dataclass(frozen=True)
class Known:
    """What a campaign sent around its doubtful rows: ``rows`` many attempts from ``since`` to ``until``."""

    since: datetime
    until: datetime
    rows: int


@dataclass
class Pass:
    """What one walk over the listing showed."""

    started: datetime
    witnesses: Mapping[str, datetime]  # our dry runs by message id, and when they started
    paging: Paging = field(default_factory=Paging)
    unreadable: bool = False
    altered: bool = False  # a message of ours is listed with another number than it was sent to
    lead: timedelta | None = None  # by which the listing's times are ahead of our attempts', at the least
    usernames: set[str] = field(default_factory=set)
    witness: datetime | None = None  # start of the newest attempt of ours that is certainly listed
    unclear: set[tuple[int, int]] = field(default_factory=set)
    found: set[tuple[int, int]] = field(default_factory=set)
    known: dict[int, Known] = field(default_factory=dict)
    listed: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))  # rows of the known ones

    @property
    def calm(self) -> bool:
        """It went to the end, nothing can have been missed, and nothing we know of is missing."""
        whole = all(len(self.listed[campaign]) >= known.rows for campaign, known in self.known.items())
        return self.paging.complete and self.paging.consistent and whole


class Lookout:
    """Looks through the listing of one gateway for rows in doubt."""

    def __init__(self, services: Services, gateway: str) -> None:
        self._services = services
        self._ledger: Ledger = services.ledger.ledger
        self._gateway = gateway

    async def look(self, doubts: Sequence[Doubt], witnesses: Mapping[str, datetime]) -> Pass:
        """Page through the listing to its end.  ``witnesses``: our dry runs by message id, and when they started."""
        seen = Pass(await self._services.now(), witnesses)
        seen.known = await self._known_around(doubts, seen.started)
        index = Index(doubts)
        async for page in walk(self._services, seen.paging):
            await self._look(page, index, seen)
        return seen

    async def _known_around(self, doubts: Sequence[Doubt], now: datetime) -> dict[int, Known]:
        """Per campaign: what must be listed before a row's absence means anything."""
        ready: dict[int, list[DoubtfulRow]] = defaultdict(list)
        for doubt in doubts:
            if now >= doubt.quiet_until:
                ready[doubt.campaign.id].append(doubt.row)

        def read() -> dict[int, Known]:
            found: dict[int, Known] = {}
            for campaign_id, doubtful in ready.items():
                since = min(row.attempt_started_at for row in doubtful) - AROUND
                until = max(row.deadline for row in doubtful)
                rows = self._ledger.queries.sent_between(campaign_id, since, until)
                found[campaign_id] = Known(since, until, rows)
            return found

        return await self._services.ledger(read)

    async def _look(self, page: Page, index: Index, seen: Pass) -> None:
        seen.unreadable |= page.unreadable > 0
        seen.usernames.update(message.username for message in page.messages if message.username is not None)
        ids = [message.id for message in page.messages]
        settled = await self._services.ledger(self._ledger.queries.settled_messages, self._gateway, ids)
        dry = await self._services.ledger(self._ledger.dry_runs.among, self._gateway, ids)
        skew = self._skew(page, await self._services.now(), settled, seen)
        for message in page.messages:
            ours = settled.get(message.id)
            witness = _sent_after(ours) if ours else seen.witnesses.get(message.id)
            if witness is not None:
                seen.witness = max(seen.witness or witness, witness)
            if ours is not None:
                # one that carries the row's key is recognised by it
                told = row_key(message) is not None or is_same_number(message.recipient or "", ours.recipient)
                seen.altered |= not told
                known = seen.known.get(ours.campaign_id)
                if known is not None and known.since <= ours.attempt_started_at <= known.until:
                    seen.listed[ours.campaign_id].add(ours.row)
            elif not message.is_dry_run and message.id not in dry:
                await self._match(message, skew, index, seen)

    @staticmethod
    def _skew(page: Page, now: datetime, settled: Mapping[str, SettledMessage], seen: Pass) -> timedelta:
        """How far the clock that dates messages is ahead of ours.

        The Date header tells, but it may be another clock's: then our own messages tell, which are never dated before
        their attempts.
        """
        by_date = page.server_date - now if page.server_date else timedelta(0)
        leads = [
            message.created_at - ours.attempt_started_at
            for message in page.messages
            if (ours := settled.get(message.id))
            and ours.is_of_last_attempt
            and message.created_at is not None
        ]
        seen.lead = min(leads if seen.lead is None else (seen.lead, *leads), default=None)
        if seen.lead is None or by_date <= seen.lead <= by_date + ANOTHER_CLOCK:
            return by_date
        return seen.lead

    async def _match(self, message: Message, skew: timedelta, index: Index, seen: Pass) -> None:
        for match in index.matches(message, skew):
            doubt = match.doubt
            if doubt.id in seen.found or _is_other_account(message.username, doubt.campaign.account):
                continue
            if not match.sure:
                seen.unclear.add(doubt.id)
            elif await self._settle_found(message, doubt):
                seen.found.add(doubt.id)
                return

    async def _settle_found(self, message: Message, doubt: Doubt) -> bool:
        ledger, campaign, now = self._services.ledger, doubt.campaign, self._services.clock.now()
        resolution = found(doubt.row.route, message, doubt.row.attempt_started_at)
        resolve = self._ledger.rows.resolve_doubt
        settled = await ledger(resolve, campaign.id, doubt.row.row, resolution, now, token=doubt.row.token)
        if settled and campaign.account is None and message.username is not None:
            await ledger(self._ledger.campaigns.set_account, campaign.id, message.username, now)
        if settled and message.blocklisted:
            # the answer that was lost would have said so
            halt = Halt(Stop.BLOCKLISTED, account_wide=True)
            await stop_for(self._services, campaign, halt, message.username)
        return settled


async def stop_for(services: Services, campaign: CampaignView, halt: Halt, account: str | None) -> None:
    """Write a stop down; ``account`` is whose it is when the campaign does not know."""
    named = replace(campaign, account=campaign.account or account)
    await services.ledger(stop_campaign, services.ledger.ledger, named, halt, services.clock.now())


def _sent_after(ours: SettledMessage) -> datetime | None:
    """Not of a row that had several attempts: the listed message may be an early one's, and proves nothing newer."""
    return ours.attempt_started_at if ours.is_of_last_attempt else None


def _is_other_account(username: str | None, account: str | None) -> bool:
    return username is not None and account is not None and username != account
