"""Staying until it is known what became of a campaign's messages, or for as long as somebody wants to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.delivery.polling import Polled, Poller
from dispatcher.errors import DispatcherError, UsageError
from dispatcher.intake.house import Delivering, House, Watcher
from dispatcher.ledger import CampaignView, RowState
from dispatcher.ledger.awaiting import Asked
from dispatcher.ledger.states import SENT
from dispatcher.sending.services import Services

LOOKS = 1.0  # seconds between two looks into the ledger: callbacks and other processes bring news too
SWEEPS = (2.0, 3.0, 5.0, 10.0, 20.0, 30.0)  # seconds before each sweep; the last one repeats
SWEEPS_BESIDE_CALLBACKS = (20.0, 60.0, 120.0)


def wait_for_delivery(house: House, watcher: Watcher, campaign_id: int, at_most: timedelta) -> None:
    """Until every message of the campaign is final, the time is over, or Ctrl-C.

    A gateway that cannot be asked is told of once; callbacks may bring the news all the same.
    """

    async def wait() -> None:
        async with house.services() as services:
            await _Wait(house, watcher, services, campaign_id, at_most).through()

    try:
        asyncio.run(wait())
    except KeyboardInterrupt:
        watcher.warn("delivery_interrupted")


def refresh(house: House, campaign: CampaignView) -> Polled:
    """Ask once about all messages of a campaign that are not final, however old.  Raises Unreachable or Halted;
    UsageError when it is another gateway's.
    """
    if campaign.gateway != house.gateway:
        raise UsageError("campaign_other_gateway", found=campaign.gateway, gateway=house.gateway)

    async def sweep() -> Polled:
        async with house.services() as services:
            asked = Asked(house.gateway, campaign_id=campaign.id, given_up=True)
            return await Poller(services, house.gateway).sweep(asked)

    return asyncio.run(sweep())


class Sweeps:
    """Asks about one campaign's messages at growing distances.  ``trouble``: the warning to give, once for each."""

    def __init__(self, house: House, services: Services, campaign_id: int) -> None:
        self._poller = Poller(services, house.gateway)
        self._asked = Asked(house.gateway, campaign_id=campaign_id)
        self._clock = services.clock
        self._waits: Sequence[float] = SWEEPS if services.callbacks is None else SWEEPS_BESIDE_CALLBACKS
        self._done = 0
        self._next = self._clock.monotonic() + self._waits[0]
        self._told: set[str] = set()

    async def sweep_if_due(self, *, now: bool = False) -> str | None:
        """A sweep when it is time to, or ``now``; gives the name of a warning that was not given before."""
        if self._clock.monotonic() < self._next and not now:
            return None
        trouble: str | None = None
        try:
            polled = await self._poller.sweep(self._asked)
            trouble = "delivery_foreign" if polled.foreign else None
        except DispatcherError:
            trouble = "delivery_unreachable"
        self._done += 1
        self._next = self._clock.monotonic() + self._waits[min(self._done, len(self._waits) - 1)]
        if trouble is None or trouble in self._told:
            return None
        self._told.add(trouble)
        return trouble


@dataclass
class _Wait:
    house: House
    watcher: Watcher
    services: Services
    campaign_id: int
    at_most: timedelta

    async def through(self) -> None:
        clock = self.services.clock
        until = clock.now() + self.at_most
        end = clock.monotonic() + self.at_most.total_seconds()
        sweeps = Sweeps(self.house, self.services, self.campaign_id)
        while await self._look(until):
            left = end - clock.monotonic()
            if left <= 0:
                return
            await clock.sleep(min(LOOKS, left))
            sweep = asyncio.ensure_future(sweeps.sweep_if_due())
            # a long listing, or a pace that is slowed down, keeps nobody longer than they wanted to wait
            await asyncio.wait([sweep], timeout=max(0.0, end - clock.monotonic()))
            if not sweep.done():
                sweep.cancel()
                await asyncio.wait([sweep])
            elif (trouble := sweep.result()) is not None:
                self.watcher.warn(trouble)

    async def _look(self, until: datetime) -> bool:
        """Show how far it is; False when every message is final."""
        counts = await self.services.ledger(self.house.ledger.queries.counts, self.campaign_id)
        sent = {state: counts.get(state, 0) for state in SENT}
        awaiting, delivered = sent[RowState.ACCEPTED], sent[RowState.DELIVERED]
        failed = sum(sent.values()) - awaiting - delivered
        self.watcher.delivering(Delivering(delivered, failed, awaiting, until))
        return bool(awaiting)
