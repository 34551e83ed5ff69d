"""Reconcile: what became of rows whose answer was lost, proved from the gateway's listing.

Found settles at once.  Absent is proved without comparing clocks: after the quiet period, two complete passes over the
listing must show a message of ours whose attempt began after the doubtful one's deadline (a *witness* that the listing
has got that far), and not the row.  Everything that weakens the proof keeps the row in doubt: an incomplete or
inconsistent pass, a message that cannot be read, one to the same number with another text, another account's listing.

Where no witness exists (the last rows of a campaign), a dry run sent after the deadline serves as one, if the gateway
lists dry runs; else time can be accepted as proof (``absent_after``), or a person decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from dispatcher.gateway.client import Page
from dispatcher.gateway.models import Message, Options, Route, SendRequest
from dispatcher.gateway.outcomes import Outcome
from dispatcher.ledger import CLAIM_EXPIRED, Absent, CampaignView, DoubtfulRow, Found, Ledger
from dispatcher.sending.services import Services

PAGE = 100
OVERLAP = 10  # messages of a page that the next one must show again: a listing that shifts is noticed
MAX_PAGES = 20_000
CLEAN_PASSES = 2
SKEW_TOLERANCE = timedelta(seconds=5)  # the Date header has whole seconds, and the answer took time


class Obstacle(StrEnum):
    """Why a row stays in doubt for now; the wording is ``doubts.<code>``."""

    QUIET = "quiet"  # the quiet period is not over
    OWNER_ALIVE = "owner_alive"  # who holds the claim lives and has not spoken: its request may still leave
    UNPROVED = "unproved"  # one clean pass so far, or the last one was disturbed
    NO_WITNESS = "no_witness"
    UNCLEAR = "unclear"  # the number got another text
    UNREADABLE = "unreadable"
    FOREIGN = "foreign"  # the listing is another account's


@dataclass(frozen=True)
class Doubt:
    """One row in doubt, with what decides about it."""

    campaign: CampaignView
    row: DoubtfulRow
    row_key: str
    quiet_until: datetime
    owner_alive: bool


@dataclass(frozen=True)
class Outlook:
    """Where the doubts stand after a pass.

    ``until``: when the last quiet period ends, None when none is running.  ``stuck`` rows cannot be settled by
    looking again; they wait for a person, or for time as proof.
    """

    found: int = 0
    absent: int = 0
    open: dict[tuple[int, int], Obstacle] = field(default_factory=dict)
    until: datetime | None = None

    @property
    def stuck(self) -> list[tuple[int, int]]:
        """(campaign, row) of what another pass would not change."""
        hopeless = set(Obstacle) - {Obstacle.QUIET, Obstacle.UNPROVED}
        return [key for key, obstacle in self.open.items() if obstacle in hopeless]


@dataclass
class _Pass:
    """What one walk over the listing showed."""

    started: datetime
    complete: bool = False
    consistent: bool = True
    unreadable: bool = False
    foreign: bool = False
    witness: datetime | None = None  # start of the newest listed attempt of ours
    unclear: set[tuple[int, int]] = field(default_factory=set)
    found: set[tuple[int, int]] = field(default_factory=set)


class Reconciler:
    """Settles doubts of one gateway; keeps what earlier passes of this process showed.

    ``alive`` tells whether a claim's owner may still live (False only when it is proved dead), ``quiet`` gives the
    quiet period for either case; ``absent_after`` accepts time as proof where there is no witness.
    """

    def __init__(
        self,
        services: Services,
        gateway: str,
        *,
        alive: Callable[[str], bool],
        quiet: Callable[[bool], timedelta],
        absent_after: timedelta | None = None,
    ) -> None:
        self._services = services
        self._ledger: Ledger = services.ledger.ledger
        self._gateway = gateway
        self._alive = alive
        self._quiet = quiet
        self._absent_after = absent_after
        self._clean: dict[str, int] = defaultdict(int)  # attempt token and row -> clean passes in a row
        self._dry_runs: dict[str, datetime] = {}  # message id of our witnesses -> when they started
        self._asked_for: set[tuple[int, int]] = set()

    async def step(self, campaign_ids: Iterable[int]) -> Outlook:
        """One pass over the listing for the doubts of these campaigns.  Raises Unreachable or Halted."""
        doubts = await self._doubts(campaign_ids)
        if not doubts:
            return Outlook()
        seen = await self._walk(doubts)
        left = [doubt for doubt in doubts if _id(doubt) not in seen.found]
        obstacles: dict[tuple[int, int], Obstacle] = {}
        absent = 0
        for doubt in left:
            obstacle = self._obstacle(doubt, seen)
            if obstacle is None and await self._prove_absent(doubt, seen):
                absent += 1
            else:
                obstacles[_id(doubt)] = obstacle or Obstacle.UNPROVED
        alone = [doubt for doubt in left if obstacles.get(_id(doubt)) is Obstacle.NO_WITNESS]
        await self._call_witness(alone, obstacles)
        waiting = [self._waits_until(d) for d in left if obstacles.get(_id(d)) is Obstacle.QUIET]
        return Outlook(len(seen.found), absent, obstacles, max(waiting, default=None))

    async def _doubts(self, campaign_ids: Iterable[int]) -> list[Doubt]:
        def read() -> list[Doubt]:
            found: list[Doubt] = []
            for campaign_id in campaign_ids:
                campaign = self._ledger.queries.campaign(campaign_id)
                for row in self._ledger.queries.in_doubt(campaign_id):
                    key = f"{self._ledger.id}.{campaign_id}.{row.row}"
                    alive = self._alive(row.claimed_by)
                    found.append(Doubt(campaign, row, key, row.in_doubt_at + self._quiet(alive), alive))
            # who was tried first is found first, so that identical rows settle one to one
            return sorted(found, key=lambda doubt: doubt.row.attempt_started_at)

        return await self._services.ledger(read)

    async def _walk(self, doubts: Sequence[Doubt]) -> _Pass:
        """Page through the listing to its empty page; what is found is settled on the way."""
        seen = _Pass(started=self._services.clock.now())
        index = _Index(doubts)
        skip, before = 0, set[str]()
        overlap = 0
        for _ in range(MAX_PAGES):
            await self._services.slot()
            page = await self._services.gateway.messages(skip=skip, limit=PAGE)
            if not page.count:
                seen.complete = True
                break
            ids = {message.id for message in page.messages}
            if (overlap and before.isdisjoint(ids)) or ids == before:
                seen.consistent = False
                if ids == before:
                    break  # the gateway does not page: there is no end to come to
            await self._look(page, index, seen)
            overlap = min(OVERLAP, page.count // 2)
            skip += page.count - overlap if page.count > OVERLAP else page.count
            overlap = overlap if page.count > OVERLAP else 0
            before = ids
        return seen

    async def _look(self, page: Page, index: _Index, seen: _Pass) -> None:
        seen.unreadable |= page.unreadable > 0
        skew = page.server_date - self._services.clock.now() if page.server_date else timedelta(0)
        ids = [message.id for message in page.messages]
        settled = await self._services.ledger(self._ledger.queries.settled_attempts, self._gateway, ids)
        for message in page.messages:
            witness = settled.get(message.id) or self._dry_runs.get(message.id)
            if witness is not None:
                seen.witness = max(seen.witness or witness, witness)
            if message.id in settled or message.is_dry_run:
                continue
            await self._match(message, skew, index, seen)

    async def _match(self, message: Message, skew: timedelta, index: _Index, seen: _Pass) -> None:
        for doubt in index.candidates(message):
            if _id(doubt) in seen.found or not _young_enough(message, doubt, skew):
                continue
            if message.username != doubt.campaign.account:
                seen.foreign |= message.username is not None and doubt.campaign.account is not None
                continue
            if index.is_row(message, doubt):
                if await self._settle_found(message, doubt):
                    seen.found.add(_id(doubt))
                    return
            else:
                seen.unclear.add(_id(doubt))

    async def _settle_found(self, message: Message, doubt: Doubt) -> bool:
        found = Found(
            message_id=message.id,
            sent_at=message.sent_at or message.created_at or doubt.row.attempt_started_at,
            actual_cost=message.total_price or None,
        )
        return await self._services.ledger(
            self._ledger.rows.resolve_doubt,
            doubt.campaign.id,
            doubt.row.row,
            found,
            self._services.clock.now(),
            token=doubt.row.token,
        )

    def _obstacle(self, doubt: Doubt, seen: _Pass) -> Obstacle | None:
        """What stands against this pass as a proof of absence; None when it is clean."""
        if seen.started < doubt.quiet_until:
            return Obstacle.QUIET
        obstacle = None
        if doubt.owner_alive and doubt.row.error_detail == CLAIM_EXPIRED:
            obstacle = Obstacle.OWNER_ALIVE
        elif seen.foreign:
            obstacle = Obstacle.FOREIGN
        elif seen.unreadable:
            obstacle = Obstacle.UNREADABLE
        elif _id(doubt) in seen.unclear:
            obstacle = Obstacle.UNCLEAR
        elif not (seen.complete and seen.consistent):
            obstacle = Obstacle.UNPROVED
        elif not self._witnessed(doubt, seen):
            obstacle = self._time_obstacle(doubt, seen)
        if obstacle is not None:
            self._clean.pop(_attempt(doubt), None)
        return obstacle

    def _witnessed(self, doubt: Doubt, seen: _Pass) -> bool:
        return seen.witness is not None and seen.witness > doubt.row.deadline

    def _time_obstacle(self, doubt: Doubt, seen: _Pass) -> Obstacle | None:
        if self._absent_after is None:
            return Obstacle.NO_WITNESS
        return None if seen.started >= self._waits_until(doubt) else Obstacle.QUIET

    def _waits_until(self, doubt: Doubt) -> datetime:
        return max(doubt.quiet_until, doubt.row.in_doubt_at + (self._absent_after or timedelta(0)))

    async def _prove_absent(self, doubt: Doubt, seen: _Pass) -> bool:
        """Count a clean pass; the second one in a row is the proof."""
        self._clean[_attempt(doubt)] += 1
        if self._clean[_attempt(doubt)] < CLEAN_PASSES:
            return False
        evidence = {
            "passes": CLEAN_PASSES,
            "witness": seen.witness.isoformat() if seen.witness and self._witnessed(doubt, seen) else None,
            "absent_after": self._absent_after.total_seconds() if self._absent_after else None,
        }
        return await self._services.ledger(
            self._ledger.rows.resolve_doubt,
            doubt.campaign.id,
            doubt.row.row,
            Absent(evidence=evidence),
            self._services.clock.now(),
            token=doubt.row.token,
        )

    async def _call_witness(
        self, doubts: Sequence[Doubt], obstacles: dict[tuple[int, int], Obstacle]
    ) -> None:
        """Send one dry run to stand in the listing after the deadlines; whether it is listed, the next pass shows."""
        fresh = [doubt for doubt in doubts if _id(doubt) not in self._asked_for]
        if not fresh:
            return
        self._asked_for.update(_id(doubt) for doubt in fresh)
        started = self._services.clock.now()
        if started <= max(doubt.row.deadline for doubt in fresh):
            return
        row = fresh[0].row
        await self._services.slot()
        verdict = await self._services.gateway.send(
            Route(row.route),
            SendRequest(
                sender=row.sender, recipient=row.recipient, message=row.text, options=Options(dry_run=True)
            ),
        )
        if verdict.outcome is Outcome.ACCEPTED and verdict.message and verdict.message.is_dry_run:
            self._dry_runs[verdict.message.id] = started
            obstacles.update({_id(doubt): Obstacle.UNPROVED for doubt in fresh})


class _Index:
    """Finds the doubts a listed message may be about."""

    def __init__(self, doubts: Sequence[Doubt]) -> None:
        self._by_key = {doubt.row_key: doubt for doubt in doubts}
        self._by_recipient: dict[str, list[Doubt]] = defaultdict(list)
        for doubt in doubts:
            self._by_recipient[doubt.row.recipient].append(doubt)

    def candidates(self, message: Message) -> list[Doubt]:
        """By row key alone where the message has one of ours; else everybody of that number, exact texts first."""
        key = _row_key(message)
        if key in self._by_key:
            return [self._by_key[key]]
        found = self._by_recipient.get(message.recipient or "", [])
        return sorted(found, key=lambda doubt: not self.is_row(message, doubt))

    def is_row(self, message: Message, doubt: Doubt) -> bool:
        """Whether the message is this row's; texts count only while every 201 echoed recipient and text unchanged."""
        if _row_key(message) == doubt.row_key:
            return True
        echoed = doubt.campaign.not_echoed == 0
        return echoed and message.recipient == doubt.row.recipient and message.message == doubt.row.text


def _row_key(message: Message) -> str | None:
    custom = message.callback.custom if message.callback else None
    key = custom.get("row") if isinstance(custom, dict) else None
    return key if isinstance(key, str) else None


def _young_enough(message: Message, doubt: Doubt, skew: timedelta) -> bool:
    """Not created before the attempt began, by the gateway's clock corrected with its Date header."""
    if message.created_at is None:
        return True
    return message.created_at - skew >= doubt.row.attempt_started_at - SKEW_TOLERANCE


def _id(doubt: Doubt) -> tuple[int, int]:
    return doubt.campaign.id, doubt.row.row


def _attempt(doubt: Doubt) -> str:
    return f"{doubt.row.token}/{doubt.row.row}"
