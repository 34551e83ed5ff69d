"""When to rest and when to stop: the breaker that looks at every answer of a campaign's real sends.

One forbidden text blocklists the account and costs money, a wrong token refuses everything: the first such
answer, and a run of refusals, stops the campaign with nothing sent beyond what is in flight.  A gateway that
cannot be reached, or whose answers are lost, first makes the campaign rest, longer each time, and then holds it.
Stopped rows stay ready.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from dispatcher.gateway.models import ErrorCode
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import Ledger
from dispatcher.sending.stops import HELD_STOPS, Stop

log = logging.getLogger(__name__)

REFUSALS_IN_A_ROW = 20
REFUSALS_OF_LAST = (20, 200)  # more than 20 (10 %) of the last 200
DOUBTS_BEFORE_REST = 3
STRANGERS_IN_A_ROW = 3  # answers that are not the gateway's at all: the next one will be the same
SHUT_OUT_AFTER = 90.0  # seconds of nothing but 429, where a token's own limit may be what it means
RESTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # seconds; after the last one the campaign is held


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

    @property
    def severity(self) -> int:
        """0 held, 1 halted, 2 the whole account: a later answer may make a stop worse, never better."""
        return 2 if self.account_wide else int(self.stop not in HELD_STOPS)


_HALTS = {401: Stop.UNAUTHORIZED, 402: Stop.PAYMENT, 403: Stop.FORBIDDEN}
_OWN_TOKEN_HALTS = {
    Stop.UNAUTHORIZED: Stop.TOKEN_GONE,
    Stop.PAYMENT: Stop.TOKEN_CAP,
    Stop.FORBIDDEN: Stop.TOKEN_CAP,
}


@dataclass
class Breaker:
    """Watches the answers of one campaign in one process.

    :meth:`see` says when it is time to stop; :attr:`rest_until` (monotonic seconds) when the next row may be claimed.
    """

    rest_until: float = 0.0
    own_token: bool = False
    """The campaign sends with a token of its own, whose limits answer like an empty wallet, or like a busy gateway."""
    _throttled_since: float | None = None
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=REFUSALS_OF_LAST[1]))
    # of the recent ones: to count them at every answer would cost more than the answer
    _refused_lately: int = 0
    _refused: int = 0
    _doubts: int = 0
    _strangers: int = 0
    _rests: int = 0

    @property
    def probing(self) -> bool:
        """Nothing has got through since a rest began: one request at a time tries the gateway out."""
        return self._rests > 0

    def see(self, verdict: Verdict, now: float, started: float | None = None) -> Halt | None:
        """The halt that this answer calls for, or None.

        ``now`` and ``started`` (when the request began; None is now) are monotonic.
        """
        if verdict.outcome is Outcome.HALT:
            halt = halt_of(verdict)
            return self._trip(replace(halt, stop=self._own(halt.stop)))
        self._count(verdict)
        if self._is_shut_out(verdict, now):
            return self._trip(Halt(Stop.TOKEN_CAP))
        if self._refused >= REFUSALS_IN_A_ROW or self._over_share():
            return self._trip(Halt(Stop.REFUSALS))
        if self._strangers >= STRANGERS_IN_A_ROW:
            return self._trip(Halt(Stop.DOUBTS))
        lost = verdict.outcome is Outcome.IN_DOUBT and self._doubts >= DOUBTS_BEFORE_REST
        if lost or verdict.outcome is Outcome.NOT_SENT:
            return self._rest(
                Stop.DOUBTS if lost else Stop.UNREACHABLE, now, now if started is None else started
            )
        return None

    def _count(self, verdict: Verdict) -> None:
        refused, accepted = verdict.outcome is Outcome.REFUSED, verdict.outcome is Outcome.ACCEPTED
        if refused or accepted:
            self._note(refused)
            self._doubts = self._rests = 0
        # only an acceptance ends a run of refusals: a throttled or lost request says nothing about them
        self._refused = 0 if accepted else self._refused + refused
        self._doubts += verdict.outcome is Outcome.IN_DOUBT
        self._strangers = self._strangers + 1 if verdict.stranger else 0

    def _note(self, refused: bool) -> None:
        if len(self._recent) == self._recent.maxlen:
            self._refused_lately -= self._recent[0]
        self._recent.append(refused)
        self._refused_lately += refused

    def _own(self, stop: Stop) -> Stop:
        return _OWN_TOKEN_HALTS.get(stop, stop) if self.own_token else stop

    def _is_shut_out(self, verdict: Verdict, now: float) -> bool:
        """Whether the token's limit, not the gateway's, is what throttles: nothing else has come back for so long."""
        if verdict.outcome is not Outcome.THROTTLED:
            if verdict.outcome is not Outcome.NOT_SENT:
                self._throttled_since = None
            return False
        if self._throttled_since is None:
            self._throttled_since = now
        return self.own_token and now - self._throttled_since >= SHUT_OUT_AFTER

    def _rest(self, stop: Stop, now: float, started: float) -> Halt | None:
        """Rest longer each time; what was in flight when a rest began does not begin another one."""
        if started < self.rest_until:
            return None
        if self._rests >= len(RESTS):
            return self._trip(Halt(stop))
        self.rest_until = now + RESTS[self._rests]
        self._rests += 1
        return None

    def _over_share(self) -> bool:
        limit, window = REFUSALS_OF_LAST
        return len(self._recent) == window and self._refused_lately > limit

    def _trip(self, halt: Halt) -> Halt:
        # who resumes the campaign has looked at it: what stopped it must not stop it again at its next answer
        self._recent.clear()
        self._refused_lately = self._refused = self._doubts = self._strangers = self._rests = 0
        self._throttled_since = None
        return halt


@dataclass
class Brake:
    """Shared by the lanes of one account in one process: none of them starts a request once it is pulled."""

    pulled: bool = False


def halt_of(verdict: Verdict) -> Halt:
    """The halt that an answer of outcome HALT stands for."""
    blocklisted = verdict.code == ErrorCode.BLOCKLISTED or (verdict.message and verdict.message.blocklisted)
    if blocklisted or verdict.account_wide:
        return Halt(Stop.BLOCKLISTED, account_wide=True)
    if verdict.forbidden:
        return Halt(Stop.FORBIDDEN_TEXT)
    return Halt(_HALTS.get(verdict.http_status or 0, Stop.FORBIDDEN))


def stop_campaign(ledger: Ledger, campaign: StoppedCampaign, halt: Halt, now: datetime) -> None:
    """Write the stop down, so that no process claims another row of the campaign, or of the account."""
    if halt.account_wide:
        stopped = ledger.halts.stop(campaign.gateway, campaign.account, str(halt.stop), now)
        facts = {"campaign": campaign.id, "gateway": campaign.gateway, "reason": str(halt.stop)}
        log.warning("account_halted", extra={**facts, "stopped": stopped})
    if halt.stop in HELD_STOPS:
        ledger.campaigns.hold(campaign.id, str(halt.stop), now)
    else:
        ledger.campaigns.halt(campaign.id, str(halt.stop), now)
    state = "held" if halt.stop in HELD_STOPS else "halted"
    log.warning("campaign_stopped", extra={"campaign": campaign.id, "state": state, "reason": str(halt.stop)})
