"""Campaigns whose rows are due, and whose texts were screened more than a day before: screened again, then woken."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from pathlib import Path

from dispatcher.errors import DispatcherError, Halted
from dispatcher.ledger import CampaignView
from dispatcher.sending.freshness import SCREENED
from dispatcher.sending.listed import lists_of, refuse_listed
from dispatcher.sending.preflight import Mode, Preflight, PreflightChoice
from dispatcher.sending.services import Services
from dispatcher.sending.stops import Stop
from jobs.doubts import Spawn

AGAIN = 30.0  # seconds after a preflight that a server did not let through

log = logging.getLogger(__name__)


class Rescreening:
    """Screens in this process, one preflight a campaign at a time.  The campaign stays WAITING meanwhile, so whoever
    finds it screened wakes it.  A campaign with a forbidden text is held, as it would be before it was sent first; rows
    with a word of the operator's list (``forbid_file``, and the campaign's own) are refused first.
    """

    def __init__(
        self,
        services: Services,
        spawn: Spawn,
        failed: Callable[[int, BaseException], None],
        rng: random.Random,
        forbid_file: Path | None = None,
    ) -> None:
        self._services = services
        self._spawn = spawn
        self._failed = failed
        self._rng = rng
        self._forbid_file = forbid_file
        self._lock = threading.Lock()
        self._not_before: dict[int, float] = {}

    def screen(self, campaign: CampaignView) -> None:
        """Begin, unless it is under way or failed a moment ago."""
        with self._lock:
            if self._services.clock.monotonic() < self._not_before.get(campaign.id, 0.0):
                return
            self._not_before[campaign.id] = float("inf")
        self._spawn(self._screen(campaign))

    async def _screen(self, campaign: CampaignView) -> None:
        try:
            await self._preflight(campaign)
        except Halted as error:
            stop = str(error.params.get("stop", Stop.FORBIDDEN))
            await self._write(self._services.ledger.ledger.campaigns.halt, campaign.id, stop)
        except DispatcherError as error:
            log.warning("screening_failed", extra={"campaign": campaign.id, "error": error.code})
        except Exception as error:  # noqa: BLE001 - nobody awaits it; who hears of it tells a person
            self._failed(campaign.id, error)
        finally:
            self._not_before[campaign.id] = self._services.clock.monotonic() + AGAIN

    async def _preflight(self, campaign: CampaignView) -> None:
        services, ledger = self._services, self._services.ledger.ledger
        choice = PreflightChoice.of(campaign)
        for words in await services.ledger(lists_of, campaign, self._forbid_file):
            found = await services.ledger(refuse_listed, ledger, words, campaign.id, services.clock.now())
            if found:
                log.warning("forbidden_by_list", extra={"campaign": campaign.id, "rows": found.total()})
        if choice.mode is not Mode.NONE:
            preflight = Preflight(services, campaign, choice, progress=lambda _: None, rng=self._rng)
            result = await preflight.run(lambda _: None)
            if result.forbidden:
                await self._write(ledger.campaigns.hold, campaign.id, str(Stop.PREFLIGHT_FORBIDDEN))
                return
        await services.ledger(ledger.events.add, SCREENED, services.clock.now(), campaign_id=campaign.id)
        await services.ledger(
            ledger.campaigns.finish_if_done, campaign.id, services.clock.now()
        )  # nothing left

    async def _write(self, verb: Callable[..., bool], campaign_id: int, reason: str) -> None:
        try:
            await self._services.ledger(verb, campaign_id, reason, self._services.clock.now())
        except DispatcherError as error:
            log.error("campaign_not_held", extra={"campaign": campaign_id, "error": error.code})
