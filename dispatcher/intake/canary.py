"""A few rows go first; the rest goes when what became of them is as it should be, or when a person says so.

Which rows those are stands in the ledger with the campaign, so whoever goes on with it, after whatever, goes on here:
the rest is not claimed by anybody until :func:`through_canary` has let it go.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from dispatcher.intake.delivered import Sweeps
from dispatcher.intake.follow import follow
from dispatcher.intake.house import Delivering, House, Watcher
from dispatcher.ledger import CampaignView, RowState
from dispatcher.ledger.canaries import CanaryRow
from dispatcher.ledger.states import SENT, UNDER_WAY
from dispatcher.sending.canary import choose, is_settled, judge, were_tried
from dispatcher.sending.services import Services

LOOKS = 1.0  # seconds between two looks into the ledger


@dataclass(frozen=True)
class Canary:
    """How many rows go first, none by default, and how long to wait for what becomes of them."""

    rows: int = 0
    wait: timedelta = timedelta(minutes=10)


class Went(Enum):
    """How the canary went."""

    WELL = "well"  # or there was none: everything else may go
    BADLY = "badly"  # the campaign is held, or something else stopped it
    INTERRUPTED = "interrupted"  # by a person; the campaign is paused


def prepare_canary(house: House, campaign: CampaignView, canary: Canary) -> None:
    """Before the first send: choose the rows that go first, unless that was done, or all would be among them."""
    if not canary.rows or campaign.started_at is not None or campaign.canary is not None:
        return
    if house.ledger.queries.counts(campaign.id).get(RowState.READY, 0) > canary.rows:
        _choose(house, campaign.id, canary.rows)


def is_for_a_person(house: House, campaign: CampaignView) -> bool:
    """Whether somebody has to say that the rest goes all the same; a question nobody answered is asked again."""
    return campaign.canary is not None and house.ledger.canaries.has_failed(campaign.id)


def dismiss_canary(house: House, campaign_id: int) -> None:
    """A person has seen what became of it, and lets the rest go."""
    house.ledger.canaries.let_the_rest_go(campaign_id, "canary_dismissed", house.clock.now())


def through_canary(
    house: House, watcher: Watcher, campaign_id: int, canary: Canary, *, wait_for_doubts: bool
) -> Went:
    """Send the rows that go first, wait for what becomes of them, and let the rest go or hold the campaign."""
    while True:
        rows = house.ledger.canaries.rows(campaign_id)
        if not rows:
            return Went.WELL
        watcher.canary_begins(len(rows), canary.wait)
        if follow(
            house,
            watcher,
            campaign_id,
            threading.Event(),
            wait_for_doubts=wait_for_doubts,
            only=lambda: _counts(house, campaign_id),
        ):
            return Went.INTERRUPTED
        if not _is_under_way(house, campaign_id):
            return Went.BADLY
        rows = house.ledger.canaries.rows(campaign_id)
        if were_tried(rows):
            break
        _choose(house, campaign_id, len(rows))  # every one of them was left out by a rule
    if not _wait(house, watcher, campaign_id, canary.wait):
        house.ledger.campaigns.pause(campaign_id, house.clock.now())
        watcher.pausing()
        return Went.INTERRUPTED
    return _end(house, watcher, campaign_id)


def _choose(house: House, campaign_id: int, wanted: int) -> None:
    """None where nothing is ready any more."""
    now = house.clock.now()
    chosen = choose(house.ledger.canaries.candidates(campaign_id, now), wanted)
    if chosen:
        house.ledger.canaries.send_first(campaign_id, chosen, now)
    else:
        house.ledger.canaries.let_the_rest_go(campaign_id, "canary_empty", now)


def _counts(house: House, campaign_id: int) -> dict[RowState, int]:
    return dict(Counter(row.state for row in house.ledger.canaries.rows(campaign_id)))


def _is_under_way(house: House, campaign_id: int) -> bool:
    return house.ledger.queries.campaign(campaign_id).state in UNDER_WAY


def _end(house: House, watcher: Watcher, campaign_id: int) -> Went:
    if not _is_under_way(house, campaign_id):
        return Went.BADLY  # somebody paused or cancelled it meanwhile
    ledger, now = house.ledger, house.clock.now()
    judgement = judge(ledger.canaries.rows(campaign_id), ledger.forecasts.bundles(campaign_id))
    watcher.canary_ends(judgement)
    if not judgement.stops:
        house.ledger.canaries.let_the_rest_go(campaign_id, "canary_passed", now, judgement.detail)
        return Went.WELL
    house.ledger.canaries.note_failure(campaign_id, now, judgement.detail)
    house.ledger.campaigns.hold(campaign_id, str(judgement.stops[0]), now)
    return Went.BADLY


def _wait(house: House, watcher: Watcher, campaign_id: int, at_most: timedelta) -> bool:
    """Until it is known what became of them, or the time is over; False when a person interrupted."""

    async def wait() -> None:
        async with house.services() as services:
            await _Wait(house, watcher, services, campaign_id).through(at_most)

    try:
        asyncio.run(wait())
    except KeyboardInterrupt:
        return False
    return True


@dataclass
class _Wait:
    house: House
    watcher: Watcher
    services: Services
    campaign_id: int

    async def through(self, at_most: timedelta) -> None:
        clock = self.services.clock
        until = _until(await self._rows(), clock.now(), at_most)
        end = clock.monotonic() + (until - clock.now()).total_seconds()
        sweeps = Sweeps(self.house, self.services, self.campaign_id)
        while await self._goes_on(until):
            left = end - clock.monotonic()
            if left <= 0:
                await self._sweep(sweeps, now=True)  # callbacks may have been lost, and this decides
                return
            await clock.sleep(min(LOOKS, left))
            await self._sweep(sweeps)

    async def _rows(self) -> list[CanaryRow]:
        return await self.services.ledger(self.house.ledger.canaries.rows, self.campaign_id)

    async def _goes_on(self, until: datetime) -> bool:
        rows = await self._rows()
        states = Counter(row.state for row in rows)
        failed = sum(states[state] for state in SENT) - states[RowState.ACCEPTED] - states[RowState.DELIVERED]
        self.watcher.delivering(
            Delivering(states[RowState.DELIVERED], failed, states[RowState.ACCEPTED], until)
        )
        stands = not await self.services.ledger(_is_under_way, self.house, self.campaign_id)
        return not (is_settled(rows) or stands)

    async def _sweep(self, sweeps: Sweeps, *, now: bool = False) -> None:
        if (trouble := await sweeps.sweep_if_due(now=now)) is not None:
            self.watcher.warn(trouble)


def _until(rows: list[CanaryRow], now: datetime, at_most: timedelta) -> datetime:
    """Counted from the last send, also by a process that takes over."""
    sent = [row.sent_at for row in rows if row.sent_at is not None]
    return min(now + at_most, max(sent, default=now) + at_most)
