"""When to ask the gateway what became of accepted messages: in the one process of a ledger that leads."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from dispatcher.delivery.ages import FIRST, Timetable
from dispatcher.delivery.polling import Poller
from dispatcher.errors import DispatcherError
from dispatcher.sending.services import Clock
from jobs.doubts import ASK_TO_STOP, Spawn

LOOK_SECONDS = 5.0  # between two looks at whether something is due
AFTER_FAILURE = (30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0)  # seconds; the last one repeats

log = logging.getLogger(__name__)


class Polls:
    """Has :class:`Poller` ask, one round at a time.  ``first``: how often the youngest messages are asked about.

    ``spawn`` starts a coroutine on the event loop of the services.
    """

    def __init__(
        self,
        poller: Poller,
        clock: Clock,
        stopping: Callable[[], bool],
        *,
        spawn: Spawn,
        first: timedelta = FIRST,
    ) -> None:
        self._poller = poller
        self._clock = clock
        self._stopping = stopping
        self._spawn = spawn
        self._timetable = Timetable(first)
        self._lock = threading.Lock()
        self._asking = False
        self._not_before = 0.0
        self._failures = 0

    def look(self) -> None:
        """Begin a round when it is time to and none is under way."""
        with self._lock:
            if self._asking or self._clock.monotonic() < self._not_before:
                return
            self._asking = True
        self._spawn(self._ask())

    async def _ask(self) -> None:
        wait = LOOK_SECONDS
        try:
            await self._round()
            self._failures = 0
        except DispatcherError as error:
            # nothing is lost: the messages stay as they are, and are asked about again
            wait = AFTER_FAILURE[min(self._failures, len(AFTER_FAILURE) - 1)]
            self._failures += 1
            if self._failures == 1:
                log.warning("polling_failed", extra={"error": error.code})
        except Exception:
            # nobody awaits it, and what is sent does not depend on it
            wait = AFTER_FAILURE[-1]
            log.exception("polling_broken")
        finally:
            self._not_before = self._clock.monotonic() + wait
            self._asking = False

    async def _round(self) -> None:
        polling = asyncio.ensure_future(self._poller.round(self._timetable))
        while not polling.done() and not self._stopping():
            await asyncio.wait([polling], timeout=ASK_TO_STOP)
        if not polling.done():
            polling.cancel()  # a long listing must not keep a person waiting
            await asyncio.wait([polling])
            return
        polled = polling.result()
        if polled is not None and polled.awaited:
            facts = {"awaited": polled.awaited, "requests": polled.requests, "changed": polled.changed}
            log.info("deliveries_polled", extra={**facts, "left": polled.left, "foreign": polled.foreign})
