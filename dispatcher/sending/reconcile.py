"""Reconcile: what became of rows whose answer was lost, proved from the gateway's listing.

Found settles at once.  Absent is proved without comparing clocks: after the quiet period, two complete passes over the
listing must show a message of ours whose attempt began after the doubtful one's deadline (a *witness* that the listing
has got that far), every message that is known to have gone out around the doubtful one, and not the row.
Everything that weakens the proof keeps the row in doubt: an incomplete or inconsistent pass, a message that cannot be
read, one to the same number that may be the row's, another account's listing.

Where no witness exists (the last rows of a campaign), a dry run sent after the deadline serves as one, if the gateway
lists dry runs; else time can be accepted as proof (``absent_after``), or a person decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from dispatcher.errors import UsageError
from dispatcher.gateway.models import Message, Options, Route, SendRequest
from dispatcher.gateway.outcomes import Outcome
from dispatcher.ledger import CLAIM_EXPIRED, Absent, Ledger
from dispatcher.sending.guards import Halt, halt_of
from dispatcher.sending.listing import Doubt
from dispatcher.sending.passes import Lookout, Pass, stop_for
from dispatcher.sending.services import Services
from dispatcher.sending.settlements import found
from dispatcher.sending.stops import Stop

CLEAN_PASSES = 2
DISTURBED_PASSES = 5  # in a row, while nothing new of ours is listed: the listing proves nothing
PATIENCE = timedelta(seconds=30)  # for a dry run to be listed as a witness


class Obstacle(StrEnum):
    """Why a row stays in doubt for now; the wording is ``doubts.<code>``."""

    QUIET = "quiet"  # the quiet period is not over
    OWNER_ALIVE = "owner_alive"  # who holds the claim lives and has not spoken: its request may still leave
    OWNER_AWAY = "owner_away"  # the same on another machine, where it will speak or fall silent
    UNPROVED = "unproved"  # one clean pass so far, or the last one was disturbed
    NO_WITNESS = "no_witness"
    UNCLEAR = "unclear"  # the number got another text, or the same one a little earlier
    UNREADABLE = "unreadable"
    ALTERED = "altered"  # what is listed is not what was sent: nothing of ours would be recognised
    FOREIGN = "foreign"  # the listing is another account's
    INCOMPLETE = "incomplete"  # pass after pass is disturbed, or lacks what the gateway has


@dataclass(frozen=True)
class Outlook:
    """Where the doubts stand after a pass.

    ``until``: when the last quiet period ends, None when none is running.  ``proving``: the next pass may complete a
    proof.  ``stuck`` rows cannot be settled by looking again; they wait for a person, or for time as proof.
    """

    found: int = 0
    absent: int = 0
    open: dict[tuple[int, int], Obstacle] = field(default_factory=dict)
    until: datetime | None = None
    proving: bool = False

    @property
    def stuck(self) -> list[tuple[int, int]]:
        """(campaign, row) of what another pass would not change."""
        hopeless = set(Obstacle) - {Obstacle.QUIET, Obstacle.UNPROVED, Obstacle.OWNER_AWAY}
        return [key for key, obstacle in self.open.items() if obstacle in hopeless]


@dataclass(frozen=True)
class Standing:
    """What is known about the owner of a claim, and how long its silence has to last before absence is proved.

    ``may_live`` is False when it is proved dead, or was silent for long; ``elsewhere`` when nothing can prove it dead.
    """

    may_live: bool
    quiet: timedelta
    elsewhere: bool = False


class Reconciler:
    """Settles doubts of one gateway; keeps what earlier passes of this process showed.

    ``standing`` judges the owner of a claim; ``absent_after`` accepts time as proof where there is no witness.
    """

    def __init__(
        self,
        services: Services,
        gateway: str,
        *,
        standing: Callable[[str], Standing],
        absent_after: timedelta | None = None,
    ) -> None:
        self._services = services
        self._ledger: Ledger = services.ledger.ledger
        self._gateway = gateway
        self._standing = standing
        self._absent_after = absent_after
        self._lookout = Lookout(services, gateway)
        self._clean: dict[str, int] = defaultdict(int)  # attempt -> clean passes in a row
        self._dry_runs: dict[str, datetime] = {}  # message id of our witnesses -> when they started
        self._called: dict[
            str, datetime | None
        ] = {}  # attempt -> when a witness was called, None if none came
        self._token_account: str | None = None  # as a dry run's answer said
        self._ignores_dry_runs = False
        self._disturbed = 0
        self._newest: datetime | None = None

    async def step(self, campaign_ids: Iterable[int]) -> Outlook:
        """One pass over the listing for the doubts of these campaigns.

        Raises Unreachable or Halted; UsageError when one of them belongs to another gateway.
        """
        doubts = await self._doubts(campaign_ids)
        if not doubts:
            return Outlook()
        seen = await self._lookout.look(doubts, self._dry_runs)
        self._count_disturbed(seen)
        left = [doubt for doubt in doubts if doubt.id not in seen.found]
        obstacles: dict[tuple[int, int], Obstacle] = {}
        absent = 0
        for doubt in left:
            obstacle = self._obstacle(doubt, seen)
            if obstacle is None and await self._prove_absent(doubt, seen):
                absent += 1
            else:
                obstacles[doubt.id] = obstacle or Obstacle.UNPROVED
        alone = [doubt for doubt in left if obstacles.get(doubt.id) is Obstacle.NO_WITNESS]
        await self._call_witness(alone, obstacles)
        waiting = [self._waits_until(d) for d in left if obstacles.get(d.id) is Obstacle.QUIET]
        proving = any(self._clean.get(doubt.attempt) for doubt in left if doubt.id in obstacles)
        return Outlook(len(seen.found), absent, obstacles, max(waiting, default=None), proving)

    async def _doubts(self, campaign_ids: Iterable[int]) -> list[Doubt]:
        def read() -> list[Doubt]:
            found: list[Doubt] = []
            owners: dict[str, Standing] = {}
            for campaign_id in campaign_ids:
                campaign = self._ledger.queries.campaign(campaign_id)
                if campaign.gateway != self._gateway:
                    # what one gateway does not list says nothing about another one
                    raise UsageError("campaign_other_gateway", found=campaign.gateway, gateway=self._gateway)
                for row in self._ledger.queries.in_doubt(campaign_id):
                    key = f"{self._ledger.id}.{campaign_id}.{row.row}"
                    if row.claimed_by not in owners:
                        owners[row.claimed_by] = self._standing(row.claimed_by)
                    owner = owners[row.claimed_by]
                    quiet_until = row.in_doubt_at + owner.quiet
                    found.append(Doubt(campaign, row, key, quiet_until, owner.may_live, owner.elsewhere))
            # who was tried first is found first, so that identical rows settle one to one
            return sorted(found, key=lambda doubt: doubt.row.attempt_started_at)

        return await self._services.ledger(read)

    def _count_disturbed(self, seen: Pass) -> None:
        live = seen.witness is not None and (self._newest is None or seen.witness > self._newest)
        # while the campaign is being sent its listing moves; that settles down by itself
        self._disturbed = 0 if seen.calm or live else self._disturbed + 1
        self._newest = max(filter(None, (self._newest, seen.witness)), default=None)

    def _obstacle(self, doubt: Doubt, seen: Pass) -> Obstacle | None:
        """What stands against this pass as a proof of absence; None when it is clean."""
        if seen.started < doubt.quiet_until:
            return Obstacle.QUIET
        obstacle = self._weakness(doubt, seen)
        if obstacle is not None:
            self._clean.pop(doubt.attempt, None)
        return obstacle

    def _weakness(self, doubt: Doubt, seen: Pass) -> Obstacle | None:
        if doubt.owner_alive and doubt.row.error_detail == CLAIM_EXPIRED:
            return Obstacle.OWNER_AWAY if doubt.owner_elsewhere else Obstacle.OWNER_ALIVE
        if self._is_foreign(doubt, seen):
            return Obstacle.FOREIGN
        if seen.unreadable:
            return Obstacle.UNREADABLE
        if seen.altered:
            return Obstacle.ALTERED
        if doubt.id in seen.unclear:
            return Obstacle.UNCLEAR
        if not seen.calm:
            return Obstacle.UNPROVED if self._disturbed < DISTURBED_PASSES else Obstacle.INCOMPLETE
        # while the campaign's account is not known, a witness may be another account's: it proves nothing
        known = doubt.campaign.account is not None
        if known and seen.witness is not None and seen.witness > doubt.row.deadline:
            return None
        return self._time_obstacle(doubt, seen)

    def _is_foreign(self, doubt: Doubt, seen: Pass) -> bool:
        account = doubt.campaign.account
        named = seen.usernames or {self._token_account} - {None}
        return account is not None and bool(named - {account})

    def _time_obstacle(self, doubt: Doubt, seen: Pass) -> Obstacle | None:
        if seen.started < self._waits_until(doubt):
            return Obstacle.QUIET
        if self._absent_after is None:
            return Obstacle.NO_WITNESS
        # nothing listed: whose listing is it?  A dry run's answer says, whether it is listed or not
        nobody = not seen.usernames and doubt.campaign.account is not None
        return Obstacle.NO_WITNESS if nobody and self._token_account is None else None

    def _waits_until(self, doubt: Doubt) -> datetime:
        if self._absent_after is None:
            return max(doubt.quiet_until, doubt.row.deadline)  # no witness starts before the deadline
        return max(doubt.quiet_until, doubt.row.in_doubt_at + self._absent_after)

    async def _prove_absent(self, doubt: Doubt, seen: Pass) -> bool:
        """Count a clean pass; the second one in a row is the proof."""
        self._clean[doubt.attempt] += 1
        if self._clean[doubt.attempt] < CLEAN_PASSES:
            return False
        witnessed = seen.witness is not None and seen.witness > doubt.row.deadline
        evidence = {
            "passes": CLEAN_PASSES,
            "witness": seen.witness.isoformat() if seen.witness and witnessed else None,
            "absent_after": self._absent_after.total_seconds() if self._absent_after is not None else None,
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
        """Send one dry run to stand in the listing after the deadlines; whether it is listed, later passes show."""
        fresh = [doubt for doubt in doubts if doubt.attempt not in self._called]
        if fresh and not self._ignores_dry_runs:
            called = await self._ask_for_witness(fresh[0])
            self._called.update((doubt.attempt, called) for doubt in fresh)
        now = await self._services.now()
        for doubt in doubts:
            called = self._called.get(doubt.attempt)
            if called is not None and now < called + PATIENCE:
                obstacles[doubt.id] = Obstacle.UNPROVED

    async def _ask_for_witness(self, doubt: Doubt) -> datetime | None:
        """When the dry run started, None when it was not accepted."""
        row = doubt.row
        options = Options(dry_run=True)
        request = SendRequest(sender=row.sender, recipient=row.recipient, message=row.text, options=options)
        await self._services.slot()
        started = await self._services.now()
        verdict = await self._services.gateway.send(Route(row.route), request)
        if verdict.outcome is Outcome.HALT and verdict.account_wide:
            await stop_for(self._services, doubt.campaign, halt_of(verdict), self._token_account)
        message = verdict.message
        if message is not None and not message.is_dry_run:
            await self._sent_unasked(doubt, message)
        if verdict.outcome is not Outcome.ACCEPTED or message is None or not message.is_dry_run:
            return None
        self._token_account = message.username or self._token_account
        self._dry_runs[message.id] = started
        # for other processes too: the row's own dry run must never be taken for its message
        await self._services.ledger(self._ledger.dry_runs.remember, self._gateway, message.id, started)
        return started

    async def _sent_unasked(self, doubt: Doubt, message: Message) -> None:
        """The gateway ignores dry runs: the row has been sent now, and nobody asks this gateway for a witness again."""
        self._ignores_dry_runs = True
        ledger, campaign, row = self._services.ledger, doubt.campaign, doubt.row
        now = self._services.clock.now()
        resolution = found(row.route, message, now)
        await ledger(self._ledger.rows.resolve_doubt, campaign.id, row.row, resolution, now, token=row.token)
        add = self._ledger.events.add
        await ledger(
            add, "dry_run_not_echoed", now, campaign_id=campaign.id, row=row.row, message_id=message.id
        )
        await stop_for(self._services, campaign, Halt(Stop.NOT_ECHOED), message.username)
