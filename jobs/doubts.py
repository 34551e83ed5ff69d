"""When to look for the rows in doubt of each campaign, and what the last look showed."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from dispatcher.errors import DispatcherError
from dispatcher.sending.reconcile import Outlook, Reconciler
from dispatcher.sending.services import Clock

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], None]

FIRST_PASS = 1.0  # seconds after a doubt appears
PASSES = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0)  # seconds between passes; the last one repeats
PROOF_PASS = 1.0  # seconds before the pass that may complete a proof
ASK_TO_STOP = 0.2  # seconds between two looks at whether to stop, while the listing is read
FAILURES_IN_A_ROW = 5  # passes without an answer after which waiting for doubts is given up


@dataclass
class _Doubts:
    """The reconciling of one campaign in this process."""

    next_pass: float
    outlook: Outlook | None = None
    passes: int = 0
    failures: int = 0
    looking: bool = False
    last_error: DispatcherError | None = None


class Doubts:
    """Has :class:`Reconciler` look, campaign by campaign, in this process alone: two passes make a proof, and no other
    process knows of the first one.

    ``spawn`` starts a coroutine on the event loop of the services; ``failed`` hears what is no error of dispatcher's.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        clock: Clock,
        stopping: Callable[[], bool],
        *,
        spawn: Spawn,
        failed: Callable[[int, BaseException], None],
    ) -> None:
        self._reconciler = reconciler
        self._clock = clock
        self._stopping = stopping
        self._spawn = spawn
        self._failed = failed
        self._lock = threading.Lock()
        self._doubts: dict[int, _Doubts] = {}

    def look(self, campaign_id: int) -> Outlook | None:
        """Look for the campaign's rows in doubt when it is time to; gives what the last look showed.

        None before the first look.  An outlook whose every row is stuck will not change by itself.
        """
        now = self._clock.monotonic()
        with self._lock:
            doubts = self._doubts.setdefault(campaign_id, _Doubts(next_pass=now + FIRST_PASS))
            if doubts.looking or now < doubts.next_pass:
                return doubts.outlook
            doubts.looking = True
        self._spawn(self._look(campaign_id, doubts))
        return doubts.outlook

    def is_looking(self, campaign_id: int) -> bool:
        """Whether a pass is under way."""
        doubts = self._doubts.get(campaign_id)
        return doubts is not None and doubts.looking

    def gave_up(self, campaign_id: int) -> DispatcherError | None:
        """Why looking for rows in doubt is of no use for now: the listing cannot be had."""
        doubts = self._doubts.get(campaign_id)
        return doubts.last_error if doubts and doubts.failures >= FAILURES_IN_A_ROW else None

    async def _look(self, campaign_id: int, doubts: _Doubts) -> None:
        try:
            await self._pass(campaign_id, doubts)
        except Exception as error:  # noqa: BLE001 - nobody awaits it; who hears of it tells a person
            self._failed(campaign_id, error)
        finally:
            doubts.looking = False

    async def _pass(self, campaign_id: int, doubts: _Doubts) -> None:
        step = asyncio.ensure_future(self._reconciler.step([campaign_id]))
        while not step.done() and not self._stopping():
            await asyncio.wait([step], timeout=ASK_TO_STOP)
        if not step.done():
            # a long listing, or a pace that was slowed down for minutes, must not keep a person waiting
            step.cancel()
            await asyncio.wait([step])
            return
        try:
            before, doubts.outlook = doubts.outlook, step.result()
            doubts.failures = 0
            _tell(campaign_id, before, doubts.outlook)
        except DispatcherError as error:
            # the listing cannot be had now: nothing is proved, and nothing is lost by looking again
            doubts.failures += 1
            doubts.last_error = error
            if doubts.failures == 1:
                log.warning("listing_failed", extra={"campaign": campaign_id, "error": error.code})
        finally:
            doubts.next_pass = self._clock.monotonic() + self._until_next_pass(doubts)
            doubts.passes += 1

    def _until_next_pass(self, doubts: _Doubts) -> float:
        outlook = doubts.outlook
        wait = PASSES[min(doubts.passes, len(PASSES) - 1)]
        if outlook is None or doubts.failures:
            return wait
        if outlook.proving:
            return PROOF_PASS
        if outlook.until is not None:
            left = (outlook.until - self._clock.now()).total_seconds()
            return max(PROOF_PASS, min(wait, left + 0.1))
        return wait


def _tell(campaign_id: int, before: Outlook | None, after: Outlook) -> None:
    """A pass that changed something, or showed something new."""
    if after.found or after.absent or before is None or before.open != after.open:
        facts = {
            "found": after.found,
            "absent": after.absent,
            "open": len(after.open),
            "stuck": len(after.stuck),
        }
        log.info("doubts_looked_for", extra={"campaign": campaign_id, **facts})
