"""The lanes that run in this process, one job after the other.

A job runs one time slice of a lane.  Between two slices the lane may go on in another process, while what this one
has in flight stays here and is settled here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from dispatcher.errors import DispatcherError
from dispatcher.ledger import CampaignView
from dispatcher.ledger.own_tokens import OwnToken
from dispatcher.sending.books import CampaignFacts
from dispatcher.sending.dispatch import Lane, LaneEnd, LaneLimits
from dispatcher.sending.guards import Brake, Breaker
from dispatcher.sending.precedence import Precedence
from dispatcher.sending.services import Services
from dispatcher.sending.stops import Stop
from dispatcher.sending.windows import rules_of

Place = tuple[int, int]  # campaign, lane

log = logging.getLogger(__name__)


class Lanes:
    """Everything here runs on the worker's event loop.  ``stopping`` is asked before every claim and request.

    ``failed`` hears what went wrong while nobody waited for it, with the campaign's id.
    """

    def __init__(
        self,
        services: Services,
        stopping: Callable[[], bool],
        failed: Callable[[int, BaseException], None],
        *,
        gateway: str,
        guard: timedelta,
        limits: LaneLimits,
    ) -> None:
        self._services = services
        self._stopping = stopping
        self._failed = failed
        self._gateway = gateway
        self._guard = guard
        self._limits = limits
        self._lanes: dict[Place, Lane] = {}
        self._tails: dict[Place, asyncio.Task[None]] = {}
        self._running: set[Place] = set()
        self._breakers: dict[int, Breaker] = {}
        self._precedences: dict[int, Precedence] = {}
        self._brake = Brake()

    async def run(self, campaign_id: int, lane: int) -> LaneEnd:
        """One time slice.  Raises what the lane failed with, once what it had in flight is settled."""
        place = campaign_id, lane
        if place in self._running:  # a double, started because nothing was heard of this one
            return LaneEnd.STOPPED
        self._running.add(place)
        try:
            return await self._run(place)
        finally:
            self._running.discard(place)

    async def _run(self, place: Place) -> LaneEnd:
        await self._take_back(place)
        if place not in self._lanes:
            new = await self._new_lane(place[0])
            if new is None:
                return LaneEnd.STOPPED
            self._lanes[place] = new
        end = LaneEnd.STOPPED
        try:
            end = await self._lanes[place].run()
        finally:
            if end is LaneEnd.MORE:
                self._tails[place] = asyncio.create_task(self._settle_tail(place))
            else:
                self._let_go(place)
        return end

    async def finish(self) -> None:
        """Settle what is in flight, of every lane; what goes wrong with one is told to ``failed``."""
        for place in list(self._lanes):
            await self._take_back(place)
            if place in self._lanes:  # a tail may have ended while another was waited for
                await self._settle_tail(place)

    async def _settle_tail(self, place: Place) -> None:
        """Between two slices.  Cancelling it is safe: what was being written is written again."""
        try:
            await self._lanes[place].finish()
        except Exception as error:  # noqa: BLE001 - nobody awaits it, and other lanes are to be settled too
            named = error.code if isinstance(error, DispatcherError) else type(error).__name__
            log.warning("answers_not_written", extra={"campaign": place[0], "lane": place[1], "error": named})
            self._failed(place[0], error)
        self._let_go(place)

    async def _take_back(self, place: Place) -> None:
        """The lane goes on here: it settles for itself again."""
        if tail := self._tails.pop(place, None):
            tail.cancel()
            await asyncio.wait([tail])

    def _let_go(self, place: Place) -> None:
        self._tails.pop(place, None)
        if not self._lanes[place].owes:
            # one that could not write everything down does so when it is run again, or at the end
            del self._lanes[place]

    async def _new_lane(self, campaign_id: int) -> Lane | None:
        """None for a campaign of another gateway: what is meant for a sandbox must never be sent for real."""
        campaign = await self._services.ledger(self._services.ledger.ledger.queries.campaign, campaign_id)
        if campaign.gateway != self._gateway:
            return None
        own = await self._services.ledger(self._services.ledger.ledger.own_tokens.of, campaign_id)
        services = await self._with_own_token(own)
        if services is None:
            return None
        # one breaker a campaign for the life of the process: a run of refusals does not begin anew with a lane
        breaker = self._breakers.setdefault(campaign_id, Breaker(own_token=own is not None))
        if self._brake.pulled and not any(lane.owes_account_stop for lane in self._lanes.values()):
            # the stop is in the ledger, which gives no rows until a person has looked at it
            self._brake = Brake()
        facts = self._facts(campaign)
        precedence = self._precedences.setdefault(campaign_id, Precedence(self._services, campaign_id))
        return Lane(services, facts, self._stopping, self._limits, breaker, self._brake, precedence)

    async def _with_own_token(self, own: OwnToken | None) -> Services | None:
        """None where the campaign may send with a token of its own only, and has none."""
        if own is None:
            return self._services
        if own.token is None:
            ledger, now = self._services.ledger, self._services.clock.now()
            await ledger(ledger.ledger.campaigns.hold, own.campaign_id, str(Stop.TOKEN_GONE), now)
            return None
        return replace(self._services, gateway=self._services.gateway.with_token(own.token))

    def _facts(self, campaign: CampaignView) -> CampaignFacts:
        ledger_id = self._services.ledger.ledger.id
        again = bool(campaign.options.get("again"))
        return CampaignFacts(
            id=campaign.id,
            gateway=campaign.gateway,
            account=campaign.account,
            single_part=bool(campaign.options.get("single_part")),
            guard_since=None if again else self._services.clock.now() - self._guard,
            row_key=lambda row: f"{ledger_id}.{campaign.id}.{row}",
            capped=campaign.max_cost is not None,
            rules=rules_of(campaign.options),
        )
