"""One lane of a campaign: claim due rows, send them under the pace, settle what came back.

    reserve slots -> one transaction: settle what is known, claim as many rows as there are slots
                  -> one request per row at its slot -> the answer becomes a settlement -> the next transaction

The intent (row in ``sending`` with an attempt token) is on disk before its request starts, and a request
starts only while neither clock is past the claim's deadline.  A lane ends when nothing is due or when it was told
to stop, and whatever was in flight is settled first.  When its time slice is over (so that campaigns take turns) what
is in flight stays in flight: one slow answer must not keep a whole campaign waiting.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from dispatcher.errors import DispatcherError
from dispatcher.gateway.models import Options, Route, SendRequest
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState, Claim, ClaimedRow, ClaimRequest, InDoubt, NotSent
from dispatcher.sending.books import LOOK_EVERY, Books, CampaignFacts
from dispatcher.sending.guards import Brake, Breaker, Halt
from dispatcher.sending.lease import Lease
from dispatcher.sending.precedence import Precedence
from dispatcher.sending.prices import Prices
from dispatcher.sending.services import SETTLE_AGAIN, STARTS_WITHIN, Services
from dispatcher.sending.settlements import settlement_of
from dispatcher.sending.stops import Stop
from dispatcher.sending.telling import tell_of

# seconds before the last slot at which the next ones are reserved; a transaction may take as long
LOOK_AHEAD = 0.3
SETTLE_WITHIN = 0.2  # seconds an answer waits for its transaction at most
MAX_BATCH = 16
MAX_BATCH_UNLIMITED = 256


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


@dataclass
class Lane:
    """Runs one lane; ``stopping`` is asked before every claim and every request."""

    services: Services
    campaign: CampaignFacts
    stopping: Callable[[], bool]
    limits: LaneLimits = field(default_factory=LaneLimits)
    breaker: Breaker = field(default_factory=Breaker)
    brake: Brake = field(default_factory=Brake)
    precedence: Precedence | None = None  # of the campaign, where its lanes share one

    def __post_init__(self) -> None:
        self._precedence = self.precedence or Precedence(self.services, self.campaign.id)
        self._in_flight: set[asyncio.Task[None]] = set()
        self._books = Books(self.services, self.campaign, self.brake)
        self._prices = Prices(self.services, self.campaign.id)
        self._priced = False
        self._failure: BaseException | None = None
        self._found_rows = False
        self._last_claim = 0.0  # seconds it took

    async def run(self) -> LaneEnd:
        """Send until nothing is due, the slice is over, or it is time to stop.

        MORE leaves requests in flight: the next ``run`` goes on with them, or :meth:`finish` settles them.  At any
        other end everything is settled.  Raises what went wrong, with everything settled as far as it can be.
        """
        end = LaneEnd.STOPPED
        try:
            end = await self._slice()
        except Exception as error:  # noqa: BLE001 - finish() raises it, once what is in flight is settled
            self._failure = self._failure or error
        finally:
            if end is not LaneEnd.MORE:
                await self.finish()
        # what was settled last may have stopped it too
        return LaneEnd.STOPPED if self._books.halt else end

    async def finish(self) -> None:
        """Wait for what is in flight and write it down."""
        while self._in_flight:
            await asyncio.wait(set(self._in_flight), timeout=SETTLE_WITHIN)
            await self._try_to_write_down()  # again below, with everything else
        for wait in (*SETTLE_AGAIN, 0.0):
            error = await self._try_to_write_down()
            if error is None:
                break
            await self.services.clock.sleep(wait)
        if failure := self._failure or error:
            self._failure = None  # it is told; who runs a lane again that owes the ledger something goes on
            raise failure

    @property
    def owes(self) -> bool:
        """Whether answers or a stop are not in the ledger, which was busy: running or finishing it writes them."""
        return self._books.owes

    @property
    def owes_account_stop(self) -> bool:
        """Whether nobody but this lane and those that share its brake knows of a stop of the account."""
        return self._books.owes_account_stop

    async def _slice(self) -> LaneEnd:
        clock = self.services.clock
        slice_end = clock.monotonic() + self.limits.slice_seconds
        while clock.monotonic() < slice_end:
            if self._must_stop():
                return LaneEnd.STOPPED
            give_way = await self._precedence.wait()
            if (rest := max(give_way, self.breaker.rest_until - clock.monotonic())) > 0:
                await self._until_next_batch(min(rest, 1.0))
                if self._precedence.crowded:
                    break  # its turn goes to the others
                continue
            most = 1 if self._is_probing() else self.limits.in_flight
            # half of what may be in flight is claimed at once, while the gateway is busy with the other half
            batch, room = min(self._batch_size(), max(1, most // 2)), most - len(self._in_flight)
            if room < batch:
                await self._wait_for_room(batch - room)
                continue
            slots = await self.services.pace.reserve(batch)
            self._precedence.took(slots)
            if not slots.offsets:
                await self._until_next_batch(min(slots.retry_in, 1.0))
                continue
            claimed = await self._claim(slots.offsets)
            if claimed.state is not CampaignState.SENDING:
                return LaneEnd.STOPPED
            if claimed.halted:
                # a stop of the account that the campaign did not hear of, not knowing its account then
                await self._books.stop(Halt(Stop.BLOCKLISTED))
            self._found_rows = bool(claimed.rows or claimed.left_out)
            if self._found_rows:
                await self._until_next_batch(slots.offsets[-1] - LOOK_AHEAD)
            elif self._in_flight or self._books.pending:
                # a row may come back, cost less than was reserved, or be due once these are settled (the last one)
                await self._wait_for_answer()
            elif claimed.capped:
                await self._books.stop(Halt(Stop.COST_CAP))
            else:
                return LaneEnd.DRAINED
        # an answer may have stopped the campaign as the slice ended: then nobody will run on
        return LaneEnd.STOPPED if self._books.halt else LaneEnd.MORE

    def _is_probing(self) -> bool:
        # under a limit the first answer tells the real price before many rows are reckoned with the book's
        return self.breaker.probing or (self.campaign.capped and not self._priced)

    def _must_stop(self) -> bool:
        ended = self._books.halt or self._books.state is not CampaignState.SENDING
        return bool(ended or self._failure or self.brake.pulled or self.stopping())

    def _batch_size(self) -> int:
        if not self._found_rows or self._precedence.crowded:
            return 1  # one slot is enough to learn that nothing is due; others may need the rest
        rate = self.services.pace.rate
        # a tenth of a second of work: at low limits one slot at a time, so that nobody waits behind reserved ones
        return MAX_BATCH_UNLIMITED if rate is None else max(1, min(MAX_BATCH, int(rate * 0.1)))

    async def _claim(self, offsets: Sequence[float]) -> Claim:
        clock, rules = self.services.clock, self.campaign.rules
        # both clocks are read before the transaction, so that its duration counts against the lease
        lease = Lease.begin(clock, offsets, self.services.pace.rate, self._last_claim)
        request = ClaimRequest(
            owner=self.services.owner,
            token=secrets.token_hex(8),
            limit=len(offsets),
            deadline=lease.deadline(self.services.request_timeout),
            now=lease.wall_start,
            guard_since=self.campaign.guard_since,
            keep_witness=True,
            starts_within=timedelta(seconds=offsets[-1] + STARTS_WITHIN),
            windows=rules.windows,
            most_per_person=rules.cap.most if rules.cap else None,
            capped_since=lease.wall_start - rules.cap.within if rules.cap else None,
        )
        claimed = await self._books.settle(request)
        self._last_claim = clock.monotonic() - lease.monotonic_start
        slots = await self._slots_for(claimed.rows, offsets, lease.monotonic_start)
        for row, slot in zip(claimed.rows, slots, strict=False):
            task = asyncio.create_task(self._attempt(row, request.token, lease, slot))
            self._in_flight.add(task)
            task.add_done_callback(self._attempted)
        for row in claimed.rows[len(slots) :]:
            self._books.add(NotSent(token=request.token, row=row.row))
        return claimed

    async def _slots_for(
        self, rows: Sequence[ClaimedRow], offsets: Sequence[float], start: float
    ) -> Sequence[float]:
        """Monotonic times for the rows; new ones when a slow ledger made the first ones pass.

        Without that a disk that takes longer than STARTS_WITHIN for every transaction would never send anything.
        """
        if not rows or self.services.clock.monotonic() <= start + offsets[0] + STARTS_WITHIN:
            return [start + offset for offset in offsets]
        try:
            later = await self.services.pace.reserve(len(rows))
        except DispatcherError as error:
            self._failure = self._failure or error
            return []
        now = self.services.clock.monotonic()
        return [now + offset for offset in later.offsets]

    def _attempted(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failure = self._failure or error

    async def _until_next_batch(self, wait: float) -> None:
        """Wait for the time of the next reservation, settling answers as they come."""
        clock = self.services.clock
        until = clock.monotonic() + wait
        while (left := until - clock.monotonic()) > 0 and not self._must_stop():
            await clock.sleep(min(left, SETTLE_WITHIN))
            # waits that are short, one after the other, must not keep answers either
            if left > SETTLE_WITHIN or self._books.waited() >= SETTLE_WITHIN:
                await self._books.settle()

    async def _wait_for_room(self, missing: int) -> None:
        """Answers that make room are settled with the claim that takes it; slow ones by themselves."""
        if not await self._books.wait_for_answers(missing, SETTLE_WITHIN):
            await self._books.settle()

    async def _wait_for_answer(self) -> None:
        """Until there is something to settle; now and then in any case, but never faster than slots come: each claim in
        vain takes one, and the last row would get one that is far away.
        """
        clock, rate = self.services.clock, self.services.pace.rate
        until = clock.monotonic() + max(1.0, 2 / rate if rate else 0.0)
        while self._in_flight and not self._books.pending and not self._must_stop():
            await self._books.wait_for_answers(len(self._in_flight), SETTLE_WITHIN)
            if clock.monotonic() >= until:
                break
        await self._books.settle()

    async def _try_to_write_down(self) -> Exception | None:
        """What stood against it; a bug is kept, for it must not keep the answers in flight from being waited for."""
        if self._failure and not isinstance(self._failure, DispatcherError):
            self._books.note(Halt(Stop.BUG))
        try:
            await self._books.write_down()
        except DispatcherError as error:
            return error
        except Exception as error:  # noqa: BLE001 - finish() raises it
            self._failure = self._failure or error
            return error
        return None

    async def _attempt(self, row: ClaimedRow, token: str, lease: Lease, slot: float) -> None:
        clock = self.services.clock
        try:
            await self._wait_for(slot)
            began, started = clock.monotonic(), clock.now()
            in_time = lease.may_start(began, started) and self.campaign.rules.may_start(row, started)
            if self._must_stop() or began > slot + STARTS_WITHIN or not in_time:
                self._books.add(NotSent(token=token, row=row.row))
                return
            verdict = await self.services.gateway.send(Route(row.route), self._request(row))
            self._books.add(settlement_of(row, token, verdict, started))
        except BaseException as error:
            # a bug: nobody can say how far the request came
            self._books.add(InDoubt(token=token, row=row.row, detail=type(error).__name__))
            raise
        await self._react(row, verdict, began)

    async def _wait_for(self, slot: float) -> None:
        """At low limits a slot can be minutes away: a pause by another process is seen meanwhile."""
        clock = self.services.clock
        while (left := slot - clock.monotonic()) > 0 and not self._must_stop():
            if left > LOOK_EVERY + 2 * self._last_claim:  # a look may take as long as a claim
                await self._books.look()
            await clock.sleep(min(left, SETTLE_WITHIN))

    def _request(self, row: ClaimedRow) -> SendRequest:
        callbacks = self.services.callbacks
        return SendRequest(
            sender=row.sender,
            recipient=row.recipient,
            message=row.text,
            options=Options(fail_on_multiple_messages=True) if self.campaign.single_part else None,
            callback=callbacks(self.campaign.row_key(row.row)) if callbacks else None,
        )

    async def _react(self, row: ClaimedRow, verdict: Verdict, began: float) -> None:
        # the decision to stop comes before anything is awaited: nothing may start in between
        if verdict.outcome is not Outcome.ACCEPTED:
            tell_of(self.campaign.id, row.row, verdict)
        name = verdict.message.username if verdict.message else None
        halt = self.breaker.see(verdict, self.services.clock.monotonic(), began)
        if halt is None and name is not None and self._books.account not in (None, name):
            halt = Halt(Stop.OTHER_ACCOUNT)
        if halt is not None:
            await self._books.stop(halt, name)
        elif name is not None and self._books.account is None:
            await self._books.learn_account(name)
        if verdict.message is not None:
            await self._prices.learn(row.row, row.route, row.recipient, row.parts, verdict.message)
            self._priced = True
        if verdict.outcome is Outcome.THROTTLED or verdict.retry_after:
            await self.services.pace.slow_down(verdict.retry_after or 1.0)
