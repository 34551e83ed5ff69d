"""THE path from a file to a started campaign, and from an interrupted campaign to its end.

    plan -> write down -> preflight -> ask -> send and follow -> report

Every way in (the command line, the watched folder, a schedule) goes through here.  Each step leaves a state
in the ledger from which the next call goes on, so an interruption anywhere costs nothing but time.
"""

from __future__ import annotations

import getpass
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from dispatcher.campaign.sheet.filetype import file_kind
from dispatcher.errors import DispatcherError, UsageError
from dispatcher.intake.bringing import bring_in
from dispatcher.intake.canary import (
    Canary,
    Went,
    prepare_canary,
    through_canary,
)
from dispatcher.intake.consent import Consent
from dispatcher.intake.delivered import wait_for_delivery
from dispatcher.intake.follow import follow
from dispatcher.intake.house import Approval, House, Watcher
from dispatcher.intake.loading import FileIdentity, identify, nobody
from dispatcher.intake.one_clock import agree_on_clock
from dispatcher.intake.own_token import arm, disarmed, required_desk
from dispatcher.intake.requests import Landing, LaunchRequest, ResumeRequest
from dispatcher.intake.screening import leave_out_forbidden, leave_out_listed, screen, screen_all
from dispatcher.intake.tidying import discard_dead_plans, tidy
from dispatcher.ledger import CampaignState, CampaignView, RowState
from dispatcher.ledger.states import UNDER_WAY
from dispatcher.report.files import check_folder
from dispatcher.sending.freshness import let_it_be_screened
from dispatcher.sending.preflight import PreflightChoice
from dispatcher.sending.stops import CANARY_STOPS

C = CampaignState


class Launch:
    """Launches and resumes campaigns in one house, watched by one watcher.

    ``detached`` leaves the sending to the workers of the ledger: it lands once a campaign is under way, without a
    report.  ``begun`` hears the number of a new campaign before its first row is written.  What ``approval`` does not
    give waits for it, also what costs more than its limit.  ``wait_delivery``: stay so long after the sending, or until
    all messages are final.
    """

    def __init__(
        self,
        house: House,
        watcher: Watcher,
        *,
        wait_for_doubts: bool = True,
        wait_delivery: timedelta | None = None,
        canary: Canary | None = None,
        detached: bool = False,
        begun: Callable[[int], None] = nobody,
        approval: Approval | None = None,
    ) -> None:
        self._house = house
        self._watcher = watcher
        self._ledger = house.ledger
        self._wait_for_doubts = wait_for_doubts
        self._wait_delivery = wait_delivery
        self._canary = canary or Canary()
        self._detached = detached
        self._begun = begun
        self._consent = Consent(house, watcher, approval)
        self._started = time.monotonic()

    def run(self, request: LaunchRequest) -> Landing:
        """From a file to its report.

        Goes on with a campaign of the same file that was interrupted.  Raises FileError, UsageError, Halted (the answer
        was no) or Unreachable; what was reached until then is in the ledger.
        """
        if request.capped_token:
            required_desk(self._house)
        file_kind(request.plan.file)  # what is no spreadsheet is told apart before its bytes are
        identity = identify(request.plan)
        if request.dry_run:
            discard_dead_plans(self._ledger, self._house.owners, self._house.clock.now())
            return self._dry_run(request, identity, self._open_campaign(identity))
        self._tidy(self._open_campaign(identity))
        campaign = self._open_campaign(identity)
        if campaign is None:
            agree_on_clock(self._ledger, request.plan.options.timing, chosen=self._house.zone_is_chosen)
            check_folder(request.report_dir or request.plan.file.resolve().parent)
            campaign = bring_in(self._house, self._watcher, request, identity, self._begun)
        else:
            campaign = self._pick_up(campaign, request)
        if request.capped_token:
            self._ledger.own_tokens.want(campaign.id, self._house.clock.now())
        return self._go_on(campaign, request.preflight, request.report_dir, without_refused=False)

    def follow_to_the_end(self, campaign_id: int, report_dir: Path | None, beside: Sequence[int]) -> Landing:
        """A campaign that was set going by a detached launch, with those ``beside`` it that are sent meanwhile."""
        return self._land(campaign_id, report_dir, self._follow(campaign_id, beside), ())

    def resume(self, request: ResumeRequest) -> Landing:
        """Go on with a campaign that is planned, paused, held or halted, or whose process died."""
        self._tidy(self._ledger.queries.campaign(request.campaign_id))
        campaign = self._ledger.queries.campaign(request.campaign_id)
        if campaign.gateway != self._house.gateway:
            raise UsageError("campaign_other_gateway", found=campaign.gateway, gateway=self._house.gateway)
        if campaign.state in (C.FINISHED, C.CANCELLED, C.LOADING):
            raise UsageError("campaign_not_resumable", found=campaign.state.code, campaign=campaign.id)
        choice = PreflightChoice.of(campaign)
        campaign = self._pick_up(campaign, request)
        return self._go_on(campaign, choice, request.report_dir, without_refused=request.without_refused)

    def _open_campaign(self, identity: FileIdentity) -> CampaignView | None:
        find = self._ledger.queries.open_campaign_for
        return find(identity.sha256, identity.fingerprint, self._house.gateway)

    def _tidy(self, campaign: CampaignView | None) -> None:
        """One that lay still for a day does not go on where it was: what the gateway forbids may have changed."""
        now = self._house.clock.now()
        if campaign is not None and campaign.gateway == self._house.gateway:
            let_it_be_screened(self._ledger, campaign, now)
        tidy(self._ledger, self._house.owners, now)

    def _pick_up(self, campaign: CampaignView, request: LaunchRequest | ResumeRequest) -> CampaignView:
        """A campaign that is there already, under the limit and with the priority named now; it keeps what is not."""
        check_folder(request.report_dir or Path(str(campaign.source["path"])).parent)
        self._watcher.going_on(campaign)
        max_cost, priority, now = request.max_cost, request.priority, self._house.clock.now()
        if max_cost not in (None, campaign.max_cost):
            self._ledger.campaigns.set_max_cost(campaign.id, max_cost, getpass.getuser(), now)
        if priority not in (None, campaign.priority):
            self._ledger.campaigns.set_priority(campaign.id, priority, getpass.getuser(), now)
        return self._ledger.queries.campaign(campaign.id)

    def _dry_run(
        self, request: LaunchRequest, identity: FileIdentity, interrupted: CampaignView | None
    ) -> Landing:
        """Plan and screen.  A plan made for this goes again, the screenings stay; an interrupted campaign of the same
        file stays where it is.
        """
        campaign = interrupted or bring_in(self._house, self._watcher, request, identity)
        discarded = False
        try:
            if interrupted:
                self._watcher.going_on(interrupted)
            else:
                self._ledger.campaigns.begin_preflight(campaign.id, self._house.clock.now())
                leave_out_listed(self._house, self._watcher, campaign)
            screened = screen(self._house, self._watcher, campaign, request.preflight, ask=False)
            self._consent.tell_other_texts(campaign)
            counts = self._ledger.queries.counts(campaign.id)
            ended = self._ledger.queries.campaign(campaign.id)
        finally:
            if not interrupted:
                discarded = self._discard(campaign)
        return Landing(
            campaign=ended,
            counts=counts,
            report=None,
            seconds=self._seconds(),
            dry_run=True,
            discarded=discarded,
            forbidden=screened.forbidden,
            other_texts=self._consent.other_texts,
        )

    def _discard(self, campaign: CampaignView) -> bool:
        """Forget it, unless some message was sent after all, by a gateway that ignores dry runs: it would go twice."""
        discarded = self._ledger.loading.discard_campaign(campaign.id, self._house.clock.now())
        if not discarded:
            self._step_back(campaign)
        return discarded

    def _go_on(
        self,
        campaign: CampaignView,
        choice: PreflightChoice,
        report_dir: Path | None,
        *,
        without_refused: bool,
    ) -> Landing:
        interrupted = False
        forbidden: tuple[int, ...] = ()
        try:
            if campaign.state in UNDER_WAY:
                # a process may have died between any two of these
                leave_out_listed(self._house, self._watcher, campaign)  # the list may be new
                arm(self._house, campaign.id)
                self._consent.supersede(campaign)
                interrupted = self._follow(campaign.id)
            elif not self._ledger.queries.counts(campaign.id).get(RowState.READY):
                interrupted = self._finish(campaign)
            else:
                self._ledger.campaigns.begin_preflight(campaign.id, self._house.clock.now())
                forbidden = self._preflight(campaign, choice, without_refused=without_refused)
                interrupted = self._send_or_hold(campaign, forbidden)
        except KeyboardInterrupt:
            self._ledger.campaigns.pause(campaign.id, self._house.clock.now())
            interrupted = True
        except DispatcherError:
            self._step_back(campaign)
            raise
        return self._land(campaign.id, report_dir, interrupted, forbidden)

    def _step_back(self, campaign: CampaignView) -> None:
        """Nobody is at work on a preflight that ended in an error: the campaign waits to be picked up again."""
        with suppress(DispatcherError):  # the first error is the one to tell
            if self._ledger.queries.campaign(campaign.id).state is not C.PREFLIGHT:
                return
            now = self._house.clock.now()
            if campaign.started_at is None:
                self._ledger.campaigns.planned_again(campaign.id, now)
            elif campaign.state_reason in CANARY_STOPS:
                self._ledger.campaigns.hold(campaign.id, str(campaign.state_reason), now)
            else:
                self._ledger.campaigns.pause(campaign.id, now)

    def _preflight(
        self, campaign: CampaignView, choice: PreflightChoice, *, without_refused: bool
    ) -> tuple[int, ...]:
        """Gives the rows whose text is forbidden, unless they are left out."""
        leave_out_listed(self._house, self._watcher, campaign)
        screened = screen(self._house, self._watcher, campaign, choice, ask=True)
        if not (screened.forbidden and without_refused):
            return screened.forbidden
        if screened.partial:
            # what is forbidden in these texts may stand in others that nobody looked at
            screened = screen_all(self._house, self._watcher, campaign)
        leave_out_forbidden(self._house, campaign.id, screened.forbidden)
        return ()

    def _send_or_hold(self, campaign: CampaignView, forbidden: tuple[int, ...]) -> bool:
        """Send and follow to the end what may be sent; True when a person interrupted."""
        if not self._consent.is_given(campaign, forbidden):
            return False
        prepare_canary(self._house, campaign, self._canary)
        arm(self._house, campaign.id)
        self._ledger.campaigns.start_sending(campaign.id, self._house.clock.now())
        self._consent.supersede(campaign)
        return self._follow(campaign.id)  # also where another process has started or stopped it meanwhile

    def _finish(self, campaign: CampaignView) -> bool:
        """Nothing is ready: what is in doubt is looked for, and the campaign ends; True when interrupted."""
        now, campaign_id = self._house.clock.now(), campaign.id
        if campaign.started_at is None:
            self._consent.supersede(campaign)
        if self._ledger.queries.counts(campaign_id).get(RowState.IN_DOUBT):
            self._ledger.campaigns.resume(campaign_id, now)
            return self._follow(campaign_id)
        self._ledger.campaigns.begin_preflight(campaign_id, now)
        self._ledger.campaigns.finish_if_done(campaign_id, now)
        return False

    def _follow(self, campaign_id: int, beside: Sequence[int] = ()) -> bool:
        if self._detached:
            # what is due later waits from now on: whoever sends must see it so
            self._ledger.campaigns.finish_if_done(campaign_id, self._house.clock.now())
            return False
        went = through_canary(
            self._house,
            self._watcher,
            campaign_id,
            self._canary,
            wait_for_doubts=self._wait_for_doubts,
        )
        if went is not Went.WELL:
            return went is Went.INTERRUPTED
        return follow(
            self._house,
            self._watcher,
            campaign_id,
            threading.Event(),
            wait_for_doubts=self._wait_for_doubts,
            beside=beside,
        )

    def _land(
        self, campaign_id: int, report_dir: Path | None, interrupted: bool, forbidden: tuple[int, ...]
    ) -> Landing:
        campaign = self._ledger.queries.campaign(campaign_id)
        if not disarmed(self._house):
            self._watcher.warn("token_not_deleted")
        left = self._detached and campaign.state in UNDER_WAY
        if self._wait_delivery is not None and campaign.state is C.FINISHED and not interrupted:
            wait_for_delivery(self._house, self._watcher, campaign_id, self._wait_delivery)
            campaign = self._ledger.queries.campaign(campaign_id)
        report, error = None, None
        if self._detached and not left:
            report = self._house.write_report(campaign, report_dir)  # who launches again tries again
        elif not left:
            report, error = self._house.report_if_possible(campaign, report_dir)
        return Landing(
            campaign=self._ledger.queries.campaign(campaign_id),
            counts=self._ledger.queries.counts(campaign_id),
            report=report,
            seconds=self._seconds(),
            interrupted=interrupted,
            forbidden=forbidden,
            other_texts=self._consent.other_texts,
            older=self._consent.older,
            shortfall=self._consent.shortfall,
            report_error=error,
        )

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)
