"""What a lane knows and the ledger does not yet: answers to its requests, whose account it is, and a decision to stop.

Nothing of it is forgotten because the ledger was busy: the next transaction takes it along.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from dispatcher.errors import DispatcherError
from dispatcher.ledger import CampaignState, Claim, ClaimRequest, Settlement
from dispatcher.sending.guards import Brake, Halt, stop_campaign
from dispatcher.sending.services import Services
from dispatcher.sending.stops import Stop
from dispatcher.sending.windows import Rules

LOOK_EVERY = 1.0  # seconds after which the ledger is asked whether the campaign is still being sent


@dataclass(frozen=True)
class CampaignFacts:
    """What every request of a campaign needs, read once per lane."""

    id: int
    gateway: str
    account: str | None
    single_part: bool
    guard_since: datetime | None
    row_key: Callable[[int], str]
    capped: bool = False  # a limit on its cost was approved
    rules: Rules = field(default_factory=Rules)


class Books:
    """The books of one lane.  ``halt`` is why it has to stop, None while it need not; ``state`` is the campaign's, as
    the ledger said it last: another process may have paused or cancelled it.
    """

    def __init__(self, services: Services, campaign: CampaignFacts, brake: Brake) -> None:
        self._services = services
        self._campaign = campaign
        self._brake = brake
        self._settlements: list[Settlement] = []
        self._oldest_at = 0.0
        self._enough = 1
        self._is_enough = asyncio.Event()
        self._unheard: list[str] = []  # claims whose transaction may have been made, without an answer
        self._unwritten: Halt | None = None
        self._writing = asyncio.Lock()
        self._looked_at = services.clock.monotonic()
        self.halt: Halt | None = None
        self.state = CampaignState.SENDING
        self.account = campaign.account

    @property
    def pending(self) -> bool:
        """Whether answers wait for their transaction, or rows that were claimed unheard to be given back."""
        return bool(self._settlements or self._unheard)

    @property
    def owes(self) -> bool:
        """Whether the ledger has not been told everything yet."""
        return self.pending or self._unwritten is not None

    @property
    def owes_account_stop(self) -> bool:
        """Whether a stop of the whole account is not in the ledger yet."""
        return self._unwritten is not None and self._unwritten.account_wide

    def add(self, settlement: Settlement) -> None:
        """An answer to be settled with the next transaction."""
        if not self._settlements:
            self._oldest_at = self._services.clock.monotonic()
        self._settlements.append(settlement)
        if len(self._settlements) >= self._enough:
            self._is_enough.set()

    def waited(self) -> float:
        """Seconds that the oldest answer has waited for its transaction."""
        return self._services.clock.monotonic() - self._oldest_at if self._settlements else 0.0

    async def wait_for_answers(self, more: int, seconds: float) -> bool:
        """Until ``more`` answers came than are here, but no longer than ``seconds``; whether they came."""
        self._enough = len(self._settlements) + more
        self._is_enough.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_enough.wait(), seconds)
        return self._is_enough.is_set()

    async def settle(self, request: ClaimRequest | None = None) -> Claim:
        """One transaction: settle what is known, then claim.  Nothing to do is no transaction."""
        await self._give_back()
        settlements, self._settlements = self._settlements, []
        if not settlements and request is None:
            return Claim(state=self.state)
        ledger, now = self._services.ledger, self._services.clock.now()
        settle_and_claim = ledger.ledger.rows.settle_and_claim
        try:
            settled = await ledger(settle_and_claim, self._campaign.id, settlements, request, now)
        except BaseException:
            self._settlements[:0] = settlements
            if request is not None:
                self._unheard.append(request.token)
            raise
        self.state, self._looked_at = settled.state, self._services.clock.monotonic()
        return settled.claim or Claim(state=settled.state)

    async def _give_back(self) -> None:
        """A server may have made a claim and died before it said so: nothing of it was sent, and nobody knows of it."""
        if not self._unheard:
            return
        ledger, tokens = self._services.ledger, list(self._unheard)
        await ledger(ledger.ledger.rows.release, self._campaign.id, tokens, self._services.clock.now())
        self._unheard = [token for token in self._unheard if token not in tokens]

    async def look(self) -> None:
        """Ask how the campaign is doing, unless the ledger has said so lately; a busy one says nothing."""
        now, ledger = self._services.clock.monotonic(), self._services.ledger
        if now < self._looked_at + LOOK_EVERY:
            return
        self._looked_at = now
        with suppress(DispatcherError):
            self.state = (await ledger(ledger.ledger.queries.campaign, self._campaign.id)).state

    async def learn_account(self, name: str) -> None:
        """A campaign belongs to one account: the username of its first answer."""
        ledger, now = self._services.ledger, self._services.clock.now()
        if await ledger(ledger.ledger.campaigns.set_account, self._campaign.id, name, now):
            self.account = name
        else:
            await self.stop(Halt(Stop.OTHER_ACCOUNT))

    async def stop(self, halt: Halt, account: str | None = None) -> None:
        """Nothing more starts here, and the ledger tells everybody else; ``account`` where the campaign knows none."""
        self.note(halt, account)
        with suppress(DispatcherError):  # write_down() tries again
            await self._write_stop()

    def note(self, halt: Halt, account: str | None = None) -> None:
        """Decide to stop, and write it down later.  A worse decision replaces an earlier one."""
        if self.halt is not None and halt.severity <= self.halt.severity:
            return
        self.halt = self._unwritten = halt
        self.account = self.account or account
        self._brake.pulled |= halt.account_wide

    async def write_down(self) -> None:
        """The stop first, so that nobody claims what comes back, then the answers."""
        await self._write_stop()
        await self.settle()

    async def _write_stop(self) -> None:
        async with self._writing:
            halt = self._unwritten
            if halt is None:
                return
            ledger = self._services.ledger
            campaign = replace(self._campaign, account=self.account)
            await ledger(stop_campaign, ledger.ledger, campaign, halt, self._services.clock.now())
            if self._unwritten is halt:  # else it became worse meanwhile
                self._unwritten = None
