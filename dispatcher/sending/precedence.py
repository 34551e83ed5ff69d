"""A campaign leaves the limit to a more urgent one of its gateway, and takes what that one does not use.

How far ahead the next slot lies says whether anybody waits for it: whoever has enough to send reserves a third of a
second ahead.  So a campaign that is outranked asks for a slot just before it could begin, and where that one lies
further ahead it takes no more for a while.  A share is left to it in any case, or a stream of urgent campaigns would
keep it waiting for ever.
"""

from __future__ import annotations

import math
from contextlib import suppress

from dispatcher.errors import DispatcherError
from dispatcher.sending.services import Services, Slots

LOOK_EVERY = 1.0  # seconds after which the ledger is asked again whether there is a more urgent one
ASK_AHEAD = 0.1  # seconds before its time at which a slot is asked for that nobody else wants
FREE_WITHIN = 0.2  # seconds: a slot further ahead is one of those that others wait for
ONE_SLOT_IN = 50  # the share of each outranked campaign in each process ...
SOON = 0.001  # seconds that are not worth waiting for
AT_MOST_EVERY = 1.0  # ... and no more than one slot in so many seconds


class Precedence:
    """What one campaign's lanes in one process know of more urgent ones.  Nothing is asked where there is no limit."""

    def __init__(self, services: Services, campaign_id: int) -> None:
        self._services = services
        self._campaign_id = campaign_id
        self._asked_at = -math.inf
        self._outranked = False
        self._not_before = 0.0
        self.crowded = False
        """Whether a more urgent campaign had use for the slots, when they were last asked for."""

    async def wait(self) -> float:
        """Seconds for which no slot is to be taken; 0 for none."""
        clock, rate = self._services.clock, self._services.pace.rate
        if rate is None:
            return 0.0
        if clock.monotonic() >= self._asked_at + LOOK_EVERY:
            await self._ask()
        left = self._not_before - clock.monotonic() if self._outranked else 0.0
        return left if left > SOON else 0.0

    def took(self, slots: Slots) -> None:
        """Learn from slots that were just asked for."""
        rate = self._services.pace.rate
        if not self._outranked or not rate:
            return
        now = self._services.clock.monotonic()
        self.crowded = not slots.offsets or slots.offsets[0] > FREE_WITHIN
        if self.crowded:
            self._not_before = now + max(AT_MOST_EVERY, ONE_SLOT_IN / rate)
        else:
            self._not_before = now + slots.offsets[-1] + 1 / rate - ASK_AHEAD

    async def _ask(self) -> None:
        ledger, clock = self._services.ledger, self._services.clock
        self._asked_at = clock.monotonic()
        with suppress(DispatcherError):  # a busy ledger says nothing new
            is_outranked = ledger.ledger.queries.is_outranked
            self._outranked = await ledger(is_outranked, self._campaign_id, clock.now())
        self.crowded &= self._outranked
