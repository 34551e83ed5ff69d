"""What a lane knows and the ledger does not yet: answers to its requests, whose account it is, and a decision to stop.

Nothing of it is forgotten because the ledger was busy: the next transaction takes it along.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from dispatcher.errors import DispatcherError
from dispatcher.ledger import CampaignState, Claim, ClaimRequest, Settlement
from dispatcher.sending.guards import Brake, Halt, Stop, stop_campaign
from dispatcher.sending.services import Services


@dataclass(frozen=True)
class CampaignFacts:
    """What every request of a campaign needs, read once per lane."""

    id: int
    gateway: str
    account: str | None
    single_part: bool
    guard_since: datetime | None
    row_key: Callable[[int], str]


class Books:
    """The books of one lane.  ``halt`` is why it has to stop, None while it need not."""

    def __init__(self, services: Services, campaign: CampaignFacts, brake: Brake) -> None:
        self._services = services
        self._campaign = campaign
        self._brake = brake
        self._settlements: list[Settlement] = []
        self._unwritten: Halt | None = None
        self.halt: Halt | None = None
        self.account = campaign.account

    @property
    def pending(self) -> bool:
        """Whether answers wait for their transaction."""
        return bool(self._settlements)

    def add(self, settlement: Settlement) -> None:
        """An answer to be settled with the next transaction."""
        self._settlements.append(settlement)

    async def settle(self, request: ClaimRequest | None = None) -> Claim:
        """One transaction: settle what is known, then claim.  Nothing to do is no transaction."""
        settlements, self._settlements = self._settlements, []
        if not settlements and request is None:
            return Claim(state=CampaignState.SENDING)
        ledger, now = self._services.ledger, self._services.clock.now()
        settle_and_claim = ledger.ledger.rows.settle_and_claim
        try:
            settled = await ledger(settle_and_claim, self._campaign.id, settlements, request, now)
        except BaseException:
            self._settlements[:0] = settlements
            raise
        return settled.claim or Claim(state=CampaignState.SENDING)

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
        halt, self._unwritten = self._unwritten, None
        if halt is None:
            return
        ledger = self._services.ledger
        campaign = replace(self._campaign, account=self.account)
        try:
            await ledger(stop_campaign, ledger.ledger, campaign, halt, self._services.clock.now())
        except BaseException:
            self._unwritten = self._unwritten or halt
            raise
