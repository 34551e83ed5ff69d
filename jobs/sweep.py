"""What keeps campaigns going whatever died: looked after once a second, by one process of a ledger."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from dispatcher.errors import DispatcherError
from dispatcher.ledger import CLAIM_EXPIRED, CampaignState, CampaignView, Ledger, RowState
from dispatcher.ledger.leader import Leader
from dispatcher.ledger.states import OPEN
from dispatcher.sending.freshness import is_screened, let_it_be_screened
from dispatcher.sending.services import Clock

MOST_LANES = 4
ROWS_A_LANE = 500  # a smaller campaign is done before a second lane would help
ALIVE = timedelta(seconds=15)  # a worker that said nothing for so long gets no lane

log = logging.getLogger(__name__)


class Sweep:
    """One gateway's campaigns.  ``gone`` tells of an owner of claims whether it provably ended; ``start_lane``,
    ``look_for_doubts``, ``screen`` (for what is due and was screened too long ago) and ``poll`` (for what became of
    accepted messages) do nothing when it is done or not yet time; ``tell`` hears how many campaigns are being sent, and
    their open rows.  It starts nothing that is paused.
    """

    def __init__(
        self,
        ledger: Ledger,
        gateway: str,
        clock: Clock,
        *,
        leader: Leader,
        gone: Callable[[str], bool],
        start_lane: Callable[[int, int], None],
        look_for_doubts: Callable[[int], object],
        screen: Callable[[CampaignView], None],
        poll: Callable[[], None],
        tell: Callable[[int, dict[str, int]], None],
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._clock = clock
        self._leader = leader
        self._gone = gone
        self._start_lane = start_lane
        self._look_for_doubts = look_for_doubts
        self._screen = screen
        self._poll = poll
        self._tell = tell

    def step(self) -> bool:
        """Start missing lanes, turn lost claims in doubt, have doubts looked for, close what is done.

        False when another process leads.  Errors: Unreachable; the next step goes on.
        """
        if not self._leader.leads():
            return False
        self._poll()
        now = self._ledger.now(self._clock.now())
        self._leave_what_lay_still(now)
        self._wake_what_is_due(now)
        _tell_of_doubts(self._ledger.rows.doubt_dead(self._gone, now), "owner_died")
        _tell_of_doubts(self._ledger.rows.doubt_expired(now), CLAIM_EXPIRED)
        workers = self._workers()
        failure: DispatcherError | None = None
        campaigns, still = self._mine(CampaignState.SENDING), Counter(dict.fromkeys(OPEN, 0))
        for campaign in campaigns:
            try:
                still.update(self._look_after(campaign, workers, now))
            except DispatcherError as error:  # those behind it have their turn all the same
                failure = error
        self._tell(len(campaigns), {state.code: still[state] for state in OPEN})
        if failure is not None:
            raise failure
        return True

    def _leave_what_lay_still(self, now: datetime) -> None:
        """All workers were away for a day: what the gateway forbids may have changed, and only ``resume`` screens."""
        for campaign in self._mine(CampaignState.SENDING):
            let_it_be_screened(self._ledger, campaign, now)

    def _wake_what_is_due(self, now: datetime) -> None:
        """Rows may be due days after their texts were screened: then those are screened again first."""
        for campaign_id in self._ledger.campaigns.due(self._gateway, now):
            campaign = self._ledger.queries.campaign(campaign_id)
            if not is_screened(self._ledger, campaign, now):
                self._screen(campaign)
            elif self._ledger.campaigns.wake(campaign_id, now):
                log.info(
                    "campaign_state", extra={"campaign": campaign_id, "state": CampaignState.SENDING.code}
                )

    def _mine(self, *states: CampaignState) -> list[CampaignView]:
        found = self._ledger.queries.campaigns_in(*states)
        return [campaign for campaign in found if campaign.gateway == self._gateway]

    def _look_after(self, campaign: CampaignView, workers: int, now: datetime) -> dict[RowState, int]:
        """Gives what is still open."""
        counts = self._ledger.queries.counts(campaign.id)
        ready = counts.get(RowState.READY, 0)
        if ready and campaign.canary is not None:
            first = self._ledger.canaries.rows(campaign.id)
            ready = sum(row.state is RowState.READY for row in first)
        if ready:
            for lane in range(min(workers, MOST_LANES, 1 + ready // ROWS_A_LANE)):
                self._start_lane(campaign.id, lane)
        if counts.get(RowState.IN_DOUBT):
            self._look_for_doubts(campaign.id)
        state = self._ledger.campaigns.finish_if_done(campaign.id, now)
        if state is not CampaignState.SENDING:
            log.info("campaign_state", extra={"campaign": campaign.id, "state": state.code})
        return {state: n for state, n in counts.items() if state in OPEN}

    def _workers(self) -> int:
        """How many processes run lanes; this one at least."""
        found = self._ledger.processes.senders(self._gateway, ALIVE, self._clock.now())
        return max(1, len(found))


def _tell_of_doubts(rows: dict[int, int], reason: str) -> None:
    for campaign, n in rows.items():
        log.warning("doubts_found", extra={"campaign": campaign, "rows": n, "reason": reason})
