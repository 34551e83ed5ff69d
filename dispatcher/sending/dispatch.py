"""One lane of a campaign: claim due rows, send them under the pace, settle what came back.

    reserve slots -> one transaction: settle what is known, claim as many rows as there are slots
                  -> one request per row at its slot -> the answer becomes a settlement -> the next transaction

The intent (row in ``sending`` with an attempt token) is on disk before its request starts, and a request
starts only while neither clock is past the claim's deadline.  A lane ends when nothing is due, when its
time slice is over (so that campaigns take turns), or when it was told to stop; whatever was in flight is
settled first.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from dispatcher.errors import DispatcherError
from dispatcher.gateway.models import Callback, Options, Route, SendRequest
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState, Claim, ClaimedRow, ClaimRequest, NotSent, Settlement
from dispatcher.sending.guards import Breaker, Halt, Stop, stop_campaign
from dispatcher.sending.services import Services
from dispatcher.sending.settlements import settlement_of

LATENESS = 0.25  # seconds after its slot at which a request may still start; the pace allows 0.6 in all
LOOK_AHEAD = 0.1  # seconds before the last slot at which the next ones are reserved
SETTLE_WITHIN = 0.2  # seconds an answer waits for its transaction at most
START_MARGIN = timedelta(seconds=5)  # a claim is worth this much longer than its last slot
CLOCK_GAP = 2.0  # seconds by which the two clocks may drift apart: more means that the machine slept
SETTLE_AGAIN = (
    0.5,
    2.0,
    5.0,
)  # seconds between tries to write the last answers down; then the rows are in doubt
MAX_BATCH = 16
MAX_BATCH_UNLIMITED = 64


class LaneEnd(StrEnum):
    """Why a lane ended."""

    MORE = "more"  # the time slice is over and rows may remain
    DRAINED = "drained"  # nothing is due now
    STOPPED = "stopped"  # told to stop, or the campaign is no longer sending


@dataclass(frozen=True)
class LaneLimits:
    """How long a lane may run and how much it may have in flight."""

    slice_seconds: float = 5.0
    in_flight: int = 400


@dataclass(frozen=True)
class CampaignFacts:
    """What every request of a campaign needs, read once per lane."""

    id: int
    gateway: str
    account: str | None
    single_part: bool
    guard_since: datetime | None
    row_key: Callable[[int], str]


@dataclass(frozen=True)
class _Lease:
    """Until when the rows of one claim may start, on both clocks; ``length`` counts from the start."""

    monotonic_start: float
    wall_start: datetime
    length: timedelta

    def may_start(self, monotonic: float, wall: datetime) -> bool:
        by_monotonic = monotonic - self.monotonic_start
        by_wall = (wall - self.wall_start).total_seconds()
        return (
            max(by_monotonic, by_wall) < self.length.total_seconds()
            and abs(by_wall - by_monotonic) < CLOCK_GAP
        )


@dataclass
class Lane:
    """Runs one lane; ``stopping`` is asked before every claim and every request."""

    services: Services
    campaign: CampaignFacts
    stopping: Callable[[], bool]
    limits: LaneLimits = field(default_factory=LaneLimits)
    breaker: Breaker = field(default_factory=Breaker)

    def __post_init__(self) -> None:
        self._in_flight: set[asyncio.Task[None]] = set()
        self._settlements: list[Settlement] = []
        self._halt: Halt | None = None
        self._failure: BaseException | None = None
        self._account = self.campaign.account

    async def run(self) -> LaneEnd:
        """Send until nothing is due, the slice is over, or it is time to stop."""
        clock = self.services.clock
        slice_end = clock.monotonic() + self.limits.slice_seconds
        end = LaneEnd.MORE
        try:
            while clock.monotonic() < slice_end:
                if self._must_stop():
                    end = LaneEnd.STOPPED
                    break
                if (rest := self.breaker.rest_until - clock.monotonic()) > 0:
                    await self._until_next_batch(min(rest, 1.0))
                    continue
                room = self.limits.in_flight - len(self._in_flight)
                if room <= 0:
                    await self._wait(SETTLE_WITHIN)
                    await self._settle()
                    continue
                slots = await self.services.pace.reserve(min(self._batch_size(), room))
                if not slots.offsets:
                    await self._until_next_batch(min(slots.retry_in, 1.0))
                    continue
                claimed = await self._claim(slots.offsets)
                if claimed.capped:
                    await self._stop(Halt(Stop.COST_CAP))
                if not claimed.rows and not claimed.left_out:
                    end = LaneEnd.DRAINED if claimed.state is CampaignState.SENDING else LaneEnd.STOPPED
                    break
                await self._until_next_batch(slots.offsets[-1] - LOOK_AHEAD)
        finally:
            await self._finish()
        if self._failure:
            raise self._failure
        return LaneEnd.STOPPED if self._halt else end

    def _must_stop(self) -> bool:
        return self._halt is not None or self.stopping()

    def _batch_size(self) -> int:
        rate = self.services.pace.rate
        # a tenth of a second of work: at low limits one slot at a time, so that nobody waits behind reserved ones
        return MAX_BATCH_UNLIMITED if rate is None else max(1, min(MAX_BATCH, int(rate * 0.1)))

    async def _claim(self, slots: Sequence[float]) -> Claim:
        clock = self.services.clock
        # both clocks are read before the transaction, so that its duration counts against the lease
        length = timedelta(seconds=slots[-1]) + START_MARGIN
        lease = _Lease(clock.monotonic(), clock.now(), length)
        request = ClaimRequest(
            owner=self.services.owner,
            token=secrets.token_hex(8),
            limit=len(slots),
            deadline=lease.wall_start
            + length
            + timedelta(seconds=self.services.request_timeout)
            + START_MARGIN,
            now=lease.wall_start,
            guard_since=self.campaign.guard_since,
            keep_witness=True,
        )
        claimed = await self._settle(request)
        for row, slot in zip(claimed.rows, slots, strict=False):
            task = asyncio.create_task(self._attempt(row, request.token, lease, lease.monotonic_start + slot))
            self._in_flight.add(task)
            task.add_done_callback(self._attempted)
        return claimed

    def _attempted(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # the row keeps its token and becomes in doubt; nothing more starts, and run() raises what happened
            self._failure = self._failure or error
            self._halt = self._halt or Halt(Stop.BUG)

    async def _settle(self, request: ClaimRequest | None = None) -> Claim:
        settlements, self._settlements = self._settlements, []
        if not settlements and request is None:
            return Claim(state=CampaignState.SENDING)
        ledger = self.services.ledger
        settle_and_claim = ledger.ledger.rows.settle_and_claim
        try:
            settled = await ledger(
                settle_and_claim, self.campaign.id, settlements, request, self.services.clock.now()
            )
        except DispatcherError:
            # what the gateway answered is not forgotten because the ledger was busy: the next transaction
            # takes it along
            self._settlements[:0] = settlements
            raise
        return settled.claim or Claim(state=CampaignState.SENDING)

    async def _until_next_batch(self, wait: float) -> None:
        """Wait for the time of the next reservation, settling answers as they come."""
        clock = self.services.clock
        until = clock.monotonic() + wait
        while (left := until - clock.monotonic()) > 0 and not self._must_stop():
            await self._wait(min(left, SETTLE_WITHIN))
            if left > SETTLE_WITHIN:
                await self._settle()

    async def _wait(self, seconds: float) -> None:
        await self.services.clock.sleep(seconds)

    async def _finish(self) -> None:
        """Settle everything that is in flight; called on every way out."""
        while self._in_flight:
            await asyncio.wait(set(self._in_flight), timeout=SETTLE_WITHIN)
            with suppress(DispatcherError):  # tried again below, with everything else
                await self._settle()
        for wait in SETTLE_AGAIN:
            try:
                await self._settle()
                return
            except DispatcherError:
                await self.services.clock.sleep(wait)
        await self._settle()

    async def _attempt(self, row: ClaimedRow, token: str, lease: _Lease, slot: float) -> None:
        clock = self.services.clock
        await clock.sleep(slot - clock.monotonic())
        now = clock.monotonic()
        if self._must_stop() or now > slot + LATENESS or not lease.may_start(now, clock.now()):
            self._settlements.append(NotSent(token=token, row=row.row))
            return
        started = clock.now()
        verdict = await self.services.gateway.send(Route(row.route), self._request(row))
        self._settlements.append(settlement_of(row, token, verdict, started))
        await self._react(verdict)

    def _request(self, row: ClaimedRow) -> SendRequest:
        url = self.services.callback_url
        return SendRequest(
            sender=row.sender,
            recipient=row.recipient,
            message=row.text,
            options=Options(fail_on_multiple_messages=True) if self.campaign.single_part else None,
            callback=Callback(url=url, custom={"row": self.campaign.row_key(row.row)}) if url else None,
        )

    async def _react(self, verdict: Verdict) -> None:
        if verdict.outcome is Outcome.THROTTLED or verdict.retry_after:
            await self._slow_down(verdict.retry_after or 1.0)
        halt = self.breaker.see(verdict, self.services.clock.monotonic()) or await self._check_account(
            verdict
        )
        if halt:
            await self._stop(halt)

    async def _stop(self, halt: Halt) -> None:
        """Nothing more starts here, and the ledger tells everybody else."""
        if self._halt is not None:
            return
        self._halt = halt
        await self.services.ledger(
            stop_campaign, self.services.ledger.ledger, self.campaign, halt, self.services.clock.now()
        )

    async def _slow_down(self, seconds: float) -> None:
        try:
            await self.services.pace.slow_down(seconds)
        except DispatcherError:
            self._halt = self._halt or Halt(Stop.UNREACHABLE)

    async def _check_account(self, verdict: Verdict) -> Halt | None:
        """A campaign belongs to one account: the username of its first answer."""
        name = verdict.message.username if verdict.message else None
        if name is None or name == self._account:
            return None
        ledger = self.services.ledger
        same = await ledger(
            ledger.ledger.campaigns.set_account, self.campaign.id, name, self.services.clock.now()
        )
        if not same:
            return Halt(Stop.OTHER_ACCOUNT)
        self._account = name
        return None
