"""What has to be right, said and agreed to before anything of a campaign is sent."""

from __future__ import annotations

from dispatcher.errors import Halted
from dispatcher.intake.canary import dismiss_canary, is_for_a_person
from dispatcher.intake.credit import Shortfall, hold_if_short
from dispatcher.intake.house import Approval, House, OtherTexts, Question, Watcher
from dispatcher.intake.question import is_above_cap, next_question
from dispatcher.intake.repeats import other_texts
from dispatcher.intake.superseding import Older, older_versions, supersede_older
from dispatcher.ledger import CampaignState, CampaignView, RowState
from dispatcher.sending.stops import Stop


class Consent:
    """Asks for one launch, and remembers what was found: people who got another text, older versions of the list, too
    little credit.
    """

    def __init__(self, house: House, watcher: Watcher, approval: Approval | None) -> None:
        self._house = house
        self._watcher = watcher
        self._approval = approval
        self._ledger = house.ledger
        self.other_texts: OtherTexts | None = None
        self.older: tuple[Older, ...] = ()
        self.shortfall: Shortfall | None = None

    def is_given(self, campaign: CampaignView, forbidden: tuple[int, ...]) -> bool:
        """Whether the screened campaign may be sent; else it is held, waits for its approval, or has nothing to send.

        Raises Halted when the answer was no.
        """
        question = next_question(self._house, campaign.id)
        if forbidden:
            self._hold(campaign, Stop.PREFLIGHT_FORBIDDEN)
            return False
        if question is None:
            self.supersede(campaign)
            self._ledger.campaigns.finish_if_done(campaign.id, self._house.clock.now())
            return False
        if campaign.started_at is None and self._approval is not None:
            self.tell_other_texts(campaign)
            if not self._approval.is_given(question, self.other_texts):
                self._ledger.campaigns.await_approval(campaign.id, self._house.clock.now())
                return False
            question = next_question(self._house, campaign.id) or question  # its limit may be another one now
        # what is in doubt takes its part of the limit, and may turn out not to have been sent: that is looked at first
        doubts = self._ledger.queries.counts(campaign.id).get(RowState.IN_DOUBT)
        if is_above_cap(question) and not doubts:
            self._hold(campaign, Stop.COST_CAP)
            return False
        self.shortfall = hold_if_short(self._house, campaign.id)
        if self.shortfall is not None:
            return False
        self._ask(campaign, question)
        return True

    def tell_other_texts(self, campaign: CampaignView) -> None:
        """Who got another text of such a file lately."""
        self.other_texts = other_texts(self._house, campaign.id)
        if self.other_texts is not None:
            self._watcher.other_texts(self.other_texts)

    def supersede(self, campaign: CampaignView) -> None:
        """What waits of older versions of its list is withdrawn, also where nothing is left to be sent of this one.

        Not where somebody has cancelled this one meanwhile: then nobody would be told anything.
        """
        if self._ledger.queries.campaign(campaign.id).state is CampaignState.CANCELLED:
            return
        if not self.older:
            self._tell_older(campaign)
        supersede_older(self._ledger, campaign, self._house.clock.now())

    def _ask(self, campaign: CampaignView, question: Question) -> None:
        after_canary = is_for_a_person(self._house, campaign)
        if campaign.started_at is None:
            if self._approval is None:
                self.tell_other_texts(campaign)
            self._tell_older(campaign)
        asks = campaign.started_at is None or after_canary
        if asks and not self._watcher.confirm(question):
            raise Halted("usage_confirm_no", campaign=campaign.id)
        if after_canary:
            dismiss_canary(self._house, campaign.id)

    def _tell_older(self, campaign: CampaignView) -> None:
        self.older = tuple(older_versions(self._ledger, campaign))
        if self.older:
            self._watcher.older_versions(self.older)

    def _hold(self, campaign: CampaignView, stop: Stop) -> None:
        self._ledger.campaigns.hold(campaign.id, str(stop), self._house.clock.now())
