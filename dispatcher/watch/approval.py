"""Approval of a campaign before its first message: what was asked, what was answered, and whether that still fits.

All of it stands in the journal of the ledger, so that any process can ask and any can answer.  An approval is worth
what was shown: fewer messages for less money go on, anything else is asked again.
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from dispatcher.errors import UsageError
from dispatcher.intake.house import OtherTexts, Question
from dispatcher.intake.question import is_above_cap
from dispatcher.ledger import CampaignState, Ledger
from dispatcher.sending.stops import Stop

ASKED, APPROVED, REJECTED, GO_ON = "approval_asked", "approved", "rejected", "told_to_go_on"
STOPPED = frozenset({CampaignState.PAUSED, CampaignState.HELD, CampaignState.HALTED})
"""Approving the file of such a campaign means that it is to go on."""


class Why(StrEnum):
    """Why somebody has to approve."""

    ALWAYS = "always"  # the folder is set up so
    COST = "cost"  # it costs more than its limit
    OTHER_TEXTS = "other_texts"  # most of its people just got another text
    CHANGED = "changed"  # it is no longer what was approved


@dataclass(frozen=True)
class Terms:
    """What is approved: so many messages, and the most they may come to."""

    messages: int
    at_most: Decimal


@dataclass(frozen=True)
class Change:
    """How a plan differs from the approved one: messages it did not have, and what both come to at most."""

    new_messages: int
    approved_at_most: Decimal
    at_most: Decimal


@dataclass(frozen=True)
class Asked:
    """The last question about a campaign that nobody has answered differently since."""

    terms: Terms
    why: Why
    change: Change | None


class Approvals:
    """Questions and answers in the journal of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def ask(self, campaign_id: int, asked: Asked, now: datetime) -> None:
        """Write down that somebody has to say yes to these terms; an earlier answer counts no more."""
        self._ledger.events.add(ASKED, now, campaign_id=campaign_id, **_plain(asdict(asked)))

    def asked(self, campaign_id: int) -> Asked | None:
        """The last question; None when nothing was asked."""
        found = [event.detail for event in self._ledger.events.of(campaign_id, ASKED)]
        return _asked(found[-1]) if found else None

    def approved(self, campaign_id: int) -> Terms | None:
        """What was approved, unless something was asked again, or it was rejected, since."""
        terms: Terms | None = None
        for event in self._ledger.events.of(campaign_id):
            if event.kind == APPROVED:
                terms = _terms(event.detail)
            elif event.kind in (ASKED, REJECTED):
                terms = None
        return terms

    def is_rejected(self, campaign_id: int) -> bool:
        """Whether somebody said no."""
        return next(iter(self._ledger.events.of(campaign_id, REJECTED)), None) is not None

    def approve(self, campaign_id: int, now: datetime, how: str) -> Terms:
        """Say yes to what was asked last; UsageError when the campaign waits for no approval."""
        asked = self._must_wait(campaign_id, "approve")
        self._ledger.events.add(
            APPROVED,
            now,
            campaign_id=campaign_id,
            by=getpass.getuser(),
            how=how,
            **_plain(asdict(asked.terms)),
        )
        return asked.terms

    def go_on(self, campaign_id: int, now: datetime, how: str) -> None:
        """Say that a stopped campaign is to go on; one that came to its limit, up to the sum that was shown."""
        campaign, asked = self._ledger.queries.campaign(campaign_id), self.asked(campaign_id)
        by = getpass.getuser()
        if campaign.state_reason == Stop.COST_CAP and asked is not None:
            self._ledger.campaigns.set_max_cost(campaign_id, asked.terms.at_most, by, now)
        self._ledger.events.add(GO_ON, now, campaign_id=campaign_id, by=by, how=how)

    def is_to_go_on(self, campaign_id: int) -> bool:
        """Whether somebody said so since it was stopped last."""
        told = False
        for event in self._ledger.events.of(campaign_id):
            if event.kind == GO_ON:
                told = True
            elif event.kind == "state" and event.detail.get("new") in {state.code for state in STOPPED}:
                told = False
        return told

    def reject(self, campaign_id: int, now: datetime, how: str) -> None:
        """Say no, which cancels the campaign; UsageError when it waits for no approval."""
        self._must_wait(campaign_id, "reject")
        self._ledger.events.add(REJECTED, now, campaign_id=campaign_id, by=getpass.getuser(), how=how)
        self._ledger.campaigns.cancel(campaign_id, now)

    def _must_wait(self, campaign_id: int, verb: str) -> Asked:
        campaign, asked = self._ledger.queries.campaign(campaign_id), self.asked(campaign_id)
        if campaign.state is not CampaignState.WAITING_APPROVAL or asked is None:
            raise UsageError(f"campaign_cannot_{verb}", found=campaign.state.code, campaign=campaign_id)
        return asked


class Gate:
    """Implements :class:`dispatcher.intake.house.Approval` for one launch.

    ``always``: every campaign needs approval; without it only one that costs more than its limit, or whose people
    just got another text.  ``predecessor`` is the campaign that the same file was when somebody approved it.
    """

    def __init__(
        self, ledger: Ledger, *, always: bool, now: datetime, by: str, predecessor: int | None = None
    ) -> None:
        self._ledger = ledger
        self._approvals = Approvals(ledger)
        self._always = always
        self._now = now
        self._by = by
        self._predecessor = predecessor

    def is_given(self, question: Question, other_texts: OtherTexts | None) -> bool:
        campaign = question.campaign
        terms = Terms(question.messages, self._ledger.watched.at_most(campaign))
        approved, change = self._approved(campaign, terms)
        if approved is not None:
            if change is None:
                self._ledger.campaigns.set_max_cost(campaign, approved.at_most, self._by, self._now)
                return True
            self._approvals.ask(campaign, Asked(terms, Why.CHANGED, change), self._now)
            return False
        why = self._why(question, other_texts)
        if self._approvals.asked(campaign) is not None:
            return False
        if why is None:
            return True
        self._approvals.ask(campaign, Asked(terms, why, None), self._now)
        return False

    def _approved(self, campaign: int, terms: Terms) -> tuple[Terms | None, Change | None]:
        """What was approved, of this plan or of the one before it, and what has changed since for the worse."""
        new = 0
        approved = self._approvals.approved(campaign)
        if approved is None and self._predecessor is not None:
            approved = self._approvals.approved(self._predecessor)
            new = self._ledger.watched.not_among(campaign, self._predecessor)
        if approved is None:
            return None, None
        if new or terms.messages > approved.messages or terms.at_most > approved.at_most:
            return approved, Change(new, approved.at_most, terms.at_most)
        return approved, None

    def _why(self, question: Question, other_texts: OtherTexts | None) -> Why | None:
        if is_above_cap(question):
            return Why.COST
        if other_texts is not None:
            return Why.OTHER_TEXTS
        return Why.ALWAYS if self._always else None


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it: money as text."""
    return {
        key: _plain(value) if isinstance(value, dict) else str(value) if isinstance(value, Decimal) else value
        for key, value in values.items()
    }


def _terms(detail: Mapping[str, Any]) -> Terms:
    return Terms(int(detail["messages"]), Decimal(detail["at_most"]))


def _asked(detail: Mapping[str, Any]) -> Asked:
    change = detail["change"]
    return Asked(
        terms=_terms(detail["terms"]),
        why=Why(detail["why"]),
        change=None
        if change is None
        else Change(
            int(change["new_messages"]), Decimal(change["approved_at_most"]), Decimal(change["at_most"])
        ),
    )
