"""When to stop: the breaker that looks at every answer of a campaign's real sends.

One forbidden text blocklists the account and costs money, a wrong token refuses everything, and a gateway that answers
nothing readable turns every row into a doubt.  So the first answer of the first kinds, and a run of the
others, stops the campaign with nothing sent beyond what is in flight.  Stopped rows stay ready.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from dispatcher.gateway.models import ErrorCode
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import Ledger

REFUSALS_IN_A_ROW = 20
REFUSALS_OF_LAST = (20, 200)  # more than 20 (10 %) of the last 200
DOUBTS_IN_A_ROW = 20
STRANGERS_IN_A_ROW = 3  # answers that are not the gateway's at all: the next one will be the same
NOT_SENT_IN_A_ROW = 40


class Stop(StrEnum):
    """Why sending stopped; the wording is ``stops.<code>``."""

    UNAUTHORIZED = "token_refused"
    PAYMENT = "payment_required"
    FORBIDDEN = "forbidden"
    BLOCKLISTED = "account_blocklisted"
    FORBIDDEN_TEXT = "forbidden_text"
    REFUSALS = "too_many_refusals"
    DOUBTS = "too_many_doubts"
    UNREACHABLE = "gateway_unreachable"
    OTHER_ACCOUNT = "other_account"
    COST_CAP = "cost_cap"
    NOT_ECHOED = "preflight_not_echoed"
    PREFLIGHT_FORBIDDEN = "preflight_forbidden"
    BUG = "bug"


HELD_STOPS = frozenset({Stop.COST_CAP})
"""Stops that endanger nothing: the campaign is held, not halted."""


class StoppedCampaign(Protocol):
    """What a stop must know about its campaign."""

    @property
    def id(self) -> int: ...

    @property
    def gateway(self) -> str: ...

    @property
    def account(self) -> str | None: ...


@dataclass(frozen=True)
class Halt:
    """A decision to stop: this campaign, or with ``account_wide`` every campaign of the account."""

    stop: Stop
    account_wide: bool = False


_HALTS = {401: Stop.UNAUTHORIZED, 402: Stop.PAYMENT, 403: Stop.FORBIDDEN}


@dataclass
class Breaker:
    """Watches the answers of one campaign in one process; :meth:`see` says when it is time to stop."""

    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=REFUSALS_OF_LAST[1]))
    _refused: int = 0
    _doubts: int = 0
    _not_sent: int = 0
    _strangers: int = 0

    def see(self, verdict: Verdict) -> Halt | None:
        """The halt that this answer calls for, or None."""
        if verdict.outcome is Outcome.HALT:
            return halt_of(verdict)
        refused = verdict.outcome is Outcome.REFUSED
        answered = refused or verdict.outcome is Outcome.ACCEPTED
        if answered:
            self._recent.append(refused)
        # only what answers the question ends a run: a throttled request says nothing about refusals or doubts
        self._refused = (
            self._refused + 1 if refused else 0 if verdict.outcome is Outcome.ACCEPTED else self._refused
        )
        self._doubts = (
            self._doubts + 1 if verdict.outcome is Outcome.IN_DOUBT else 0 if answered else self._doubts
        )
        self._not_sent = self._not_sent + 1 if verdict.outcome is Outcome.NOT_SENT else 0
        self._strangers = self._strangers + 1 if verdict.stranger else 0
        if self._refused >= REFUSALS_IN_A_ROW or self._over_share():
            return Halt(Stop.REFUSALS)
        if self._doubts >= DOUBTS_IN_A_ROW or self._strangers >= STRANGERS_IN_A_ROW:
            return Halt(Stop.DOUBTS)
        if self._not_sent >= NOT_SENT_IN_A_ROW:
            return Halt(Stop.UNREACHABLE)
        return None

    def _over_share(self) -> bool:
        limit, window = REFUSALS_OF_LAST
        return len(self._recent) == window and sum(self._recent) > limit


def halt_of(verdict: Verdict) -> Halt:
    """The halt that an answer of outcome HALT stands for."""
    if verdict.code == ErrorCode.BLOCKLISTED or (verdict.message and verdict.message.blocklisted):
        return Halt(Stop.BLOCKLISTED, account_wide=True)
    if verdict.forbidden:
        return Halt(Stop.FORBIDDEN_TEXT, account_wide=verdict.account_wide)
    return Halt(_HALTS.get(verdict.http_status or 0, Stop.FORBIDDEN), account_wide=verdict.account_wide)


def stop_campaign(ledger: Ledger, campaign: StoppedCampaign, halt: Halt, now: datetime) -> None:
    """Write the stop down, so that no process claims another row of the campaign, or of the account."""
    if halt.account_wide:
        ledger.halts.stop(campaign.gateway, campaign.account, str(halt.stop), now)
    if halt.stop in HELD_STOPS:
        ledger.campaigns.hold(campaign.id, str(halt.stop), now)
    else:
        ledger.campaigns.halt(campaign.id, str(halt.stop), now)
