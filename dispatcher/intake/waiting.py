"""A campaign whose rows are not due yet, while its own run waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from dispatcher.errors import DispatcherError
from dispatcher.intake.house import House, Watcher
from dispatcher.intake.screening import leave_out_listed, screen
from dispatcher.ledger import CampaignState, CampaignView, RowState
from dispatcher.sending.freshness import SCREENED, is_screened
from dispatcher.sending.preflight import PreflightChoice
from dispatcher.sending.stops import Stop

LONGEST_NAP = 1.0  # seconds: a pause by another process is seen after so long


class Waiting:
    """Wakes campaigns when their rows are due; texts that were screened over a day ago are screened again first."""

    def __init__(self, house: House, watcher: Watcher) -> None:
        self._house = house
        self._watcher = watcher
        self._told: dict[int, datetime] = {}

    @property
    def others_send(self) -> bool:
        """Whether workers send and wake, and this process only looks on."""
        return self._house.has_workers is not None

    def nap(self, campaign_id: int) -> float:
        """Wake the campaign if a row of it is due; gives the seconds until it is worth looking again."""
        queries, now = self._house.ledger.queries, self._house.clock.now()
        due = queries.next_due(campaign_id)
        if due is None:
            return LONGEST_NAP
        if due <= now and self.others_send:
            return LONGEST_NAP
        if due > now:
            self._tell(campaign_id, due)
            return max(0.0, min(LONGEST_NAP, (due - now) / timedelta(seconds=1)))
        self._wake(queries.campaign(campaign_id))
        return 0.0

    def wake_others(self, campaign_ids: Sequence[int]) -> list[int]:
        """Those of the campaigns that are being sent by now."""
        if self.others_send:
            return []
        queries, now = self._house.ledger.queries, self._house.clock.now()
        sending = []
        for campaign in map(queries.campaign, campaign_ids):
            due = queries.next_due(campaign.id) if campaign.state is CampaignState.WAITING else None
            if due is not None and due <= now:
                self._wake(campaign)
                campaign = queries.campaign(campaign.id)
            if campaign.state is CampaignState.SENDING:
                sending.append(campaign.id)
        return sending

    def _wake(self, campaign: CampaignView) -> None:
        if campaign.state is not CampaignState.WAITING:
            return
        ledger, now = self._house.ledger, self._house.clock.now()
        if not is_screened(ledger, campaign, now) and not self._screen(campaign):
            return
        ledger.campaigns.wake(campaign.id, self._house.clock.now())

    def _screen(self, campaign: CampaignView) -> bool:
        """False when it must not go on.  Raises Halted or Unreachable; the campaign is paused then."""
        self._watcher.warn("rescreening")
        ledger, clock = self._house.ledger, self._house.clock
        choice = PreflightChoice.of(campaign)
        try:
            leave_out_listed(self._house, self._watcher, campaign)
            screened = screen(self._house, self._watcher, campaign, choice, ask=False)
        except DispatcherError:
            ledger.campaigns.pause(campaign.id, clock.now(), str(Stop.SCREENED_LONG_AGO))
            raise
        if screened.forbidden:
            ledger.campaigns.hold(campaign.id, str(Stop.PREFLIGHT_FORBIDDEN), clock.now())
            return False
        ledger.events.add(SCREENED, clock.now(), campaign_id=campaign.id)
        return True

    def _tell(self, campaign_id: int, due: datetime) -> None:
        if self._told.get(campaign_id) != due:
            self._told[campaign_id] = due
            ready = self._house.ledger.queries.counts(campaign_id).get(RowState.READY, 0)
            self._watcher.waiting(due, ready)
