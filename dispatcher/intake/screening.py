"""What stands between a plan and the question: the operator's own list of words, and the preflight."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.campaign.reasons import Reason
from dispatcher.errors import Halted
from dispatcher.gateway.models import ErrorCode
from dispatcher.intake.house import House, Watcher
from dispatcher.ledger import CampaignView, RowState
from dispatcher.sending.listed import refuse_listed
from dispatcher.sending.preflight import Mode, Preflight, PreflightChoice, PreflightResult
from dispatcher.sending.services import Services
from dispatcher.sending.stops import Stop

SILENCE_SECONDS = 4.0
ASK_ABOVE_SHARE = 0.2  # of the ready rows, in dry runs of a covering set

ALARMS = frozenset({str(Stop.FORBIDDEN_TEXT), str(Stop.BLOCKLISTED)})
"""Stops after which a campaign's texts are all suspects."""


@dataclass(frozen=True)
class Screened:
    """What a preflight found: the rows whose text is forbidden, and whether every text was looked at."""

    forbidden: tuple[int, ...] = ()
    partial: bool = False


def screen(
    house: House, watcher: Watcher, campaign: CampaignView, choice: PreflightChoice, *, ask: bool
) -> Screened:
    """Screen what is not screened, as ``choice`` says.

    A covering set that needs many dry runs is asked about first when ``ask`` is true: Halted ``preflight_declined``
    when the answer is no.  Every text of a campaign is screened in which one was found to be forbidden, whatever
    ``choice`` says: the words that made it so may stand in texts that nobody looked at.
    """
    if choice.mode is Mode.NONE:
        watcher.warn("preflight_none")
        return Screened()
    if choice.mode is not Mode.ALL and _had_forbidden(house, campaign):
        watcher.warn("preflight_full")
        choice = PreflightChoice(Mode.ALL)
    if choice.mode is Mode.SAMPLE:
        watcher.warn("preflight_sample")
    return asyncio.run(_screen(house, watcher, campaign, choice, ask))


def screen_all(house: House, watcher: Watcher, campaign: CampaignView) -> Screened:
    """Screen every text of the campaign, after a forbidden one was found among some of them."""
    watcher.warn("preflight_full")
    return asyncio.run(_screen(house, watcher, campaign, PreflightChoice(Mode.ALL), ask=False))


async def _screen(
    house: House, watcher: Watcher, campaign: CampaignView, choice: PreflightChoice, ask: bool
) -> Screened:
    def starts(result: PreflightResult) -> None:
        watcher.preflight_starts(result)
        requests = result.to_screen - result.done
        costly = result.covering and requests > ASK_ABOVE_SHARE * result.rows
        if ask and costly and not watcher.confirm_preflight(campaign.id, result):
            raise Halted("preflight_declined", campaign=campaign.id)

    async with house.services() as services:
        preflight = Preflight(services, campaign, choice, progress=watcher.preflight, rng=house.rng)
        listening = asyncio.create_task(tell_silence(services, watcher, house.gateway, preflight.result))
        try:
            result = await preflight.run(starts)
        except Halted as error:
            stop = error.params.get("stop")
            if stop is not None:
                house.ledger.campaigns.halt(campaign.id, str(stop), house.clock.now())
            if stop is Stop.UNAUTHORIZED:
                raise Halted("preflight_token_refused", found=campaign.gateway) from error
            raise
        finally:
            listening.cancel()
    watcher.preflight_ends(result)
    return Screened(tuple(result.forbidden), result.partial)


async def tell_silence(services: Services, watcher: Watcher, gateway: str, result: PreflightResult) -> None:
    """Say it when no dry run has come back for longer than the pace explains, and again after twice as long."""
    clock, rate = services.clock, services.pace.rate
    patience = SILENCE_SECONDS + (2 / rate if rate else 0)
    done, since, told_at = result.done, clock.monotonic(), patience
    while True:
        await clock.sleep(1)
        silent = clock.monotonic() - since
        if result.done != done:
            done, since, told_at = result.done, clock.monotonic(), patience
        elif silent >= told_at:
            watcher.silence(gateway, silent)
            told_at *= 2


def _had_forbidden(house: House, campaign: CampaignView) -> bool:
    if campaign.state_reason in ALARMS:
        return True
    refused = house.ledger.queries.counts(campaign.id).get(RowState.REFUSED)
    return bool(refused) and house.ledger.screenings.has_refused(campaign.id, str(Reason.FORBIDDEN_TEXT))


def leave_out_forbidden(house: House, campaign_id: int, rows: Sequence[int]) -> None:
    """Rows whose text a dry run found to be forbidden are refused; the others can go."""
    reason, code = str(Reason.FORBIDDEN_TEXT), str(int(ErrorCode.FORBIDDEN_DRY_RUN))
    house.ledger.rows.exclude(campaign_id, rows, RowState.REFUSED, reason, house.clock.now(), code)


def leave_out_listed(house: House, watcher: Watcher, campaign: CampaignView) -> None:
    """Rows whose text or sender holds a word of the operator's list are refused, and nothing is asked about them."""
    if house.forbidden is None:
        return
    found = refuse_listed(house.ledger, house.forbidden, campaign.id, house.clock.now())
    if found:
        watcher.listed(found)
