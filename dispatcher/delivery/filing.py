"""Callbacks of one ledger's messages, written down: first a stop of the account, then what became of the rows."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dispatcher.delivery.callbacks import Callback, is_plain
from dispatcher.delivery.polling import BLOCKLISTED
from dispatcher.delivery.reports import report_of
from dispatcher.ledger import CampaignView, DeliveryReport, Ledger
from dispatcher.sending.guards import Halt, stop_campaign
from dispatcher.sending.stops import Stop

MOST_NOTED = 100  # blocklisted messages of a campaign
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """A callback whose signature was right.  ``report`` None: it was a dry run, which reached nobody."""

    campaign_id: int
    row: int
    message_id: str
    report: DeliveryReport | None
    account: str | None
    blocklisted: bool


@dataclass(frozen=True)
class Filed:
    """What a batch came to, in reports."""

    changed: int = 0
    waiting: int = 0
    strange: int = 0


def told_of(callback: Callback, place: tuple[int, int], ledger_id: str, seen_at: datetime) -> Told:
    """What a callback says about the row at ``place``, campaign and row."""
    name = callback.message.username
    return Told(
        *place,
        callback.message.id,
        report_of(callback.message, ledger_id=ledger_id, seen_at=seen_at),
        name if name is not None and is_plain(name) else None,
        callback.blocklisted,
    )


class Filing:
    """Writes to a ledger, on its thread.  ``gateway``: where callbacks of campaigns it does not know belong."""

    def __init__(self, ledger: Ledger, gateway: str) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._gateways: dict[int, str] = {}  # of campaigns, which keep theirs

    def __call__(self, told: Sequence[Told], now: datetime) -> Filed:
        """File a batch.  Raises Unreachable with nothing, or only some of it, written: telling twice does no harm."""
        self._learn_gateways({each.campaign_id for each in told})
        for each in told:
            if each.blocklisted:
                self._stop(each, now)
        reports: dict[str, list[DeliveryReport]] = defaultdict(list)
        for each in told:
            if each.report is not None:
                reports[self._gateway_of(each)].append(each.report)
        changed = waiting = strange = 0
        for gateway, of_gateway in reports.items():
            recorded = self._ledger.deliveries.record(gateway, of_gateway, now, keep=True)
            changed += recorded.changed
            waiting += len(recorded.unknown)
            strange += recorded.strange
        return Filed(changed, waiting, strange)

    def tidy(self, now: datetime) -> int:
        """Match what waits once more, forget what has waited for too long; returns how many reports wait."""
        inbox = self._ledger.inbox
        if not inbox.size():
            return 0
        self._ledger.deliveries.match_inbox(now)
        inbox.prune(now)
        return inbox.size()

    def _gateway_of(self, told: Told) -> str:
        return self._gateways.get(told.campaign_id, self._gateway)

    def _learn_gateways(self, campaign_ids: set[int]) -> None:
        unknown = campaign_ids - set(self._gateways)
        if unknown:
            self._gateways |= self._ledger.deliveries.gateways_of(unknown)

    def _stop(self, told: Told, now: datetime) -> None:
        """As an answer would: every campaign of the account.  Once for each message: who lifts a stop has seen it."""
        events = self._ledger.events
        known = [event.detail.get("message_id") for event in events.of(told.campaign_id, BLOCKLISTED)]
        if told.message_id in known:
            return
        gateway, campaign = self._gateway_of(told), self._campaign(told)
        account = (campaign.account if campaign else None) or told.account
        if not any(stop.account in (None, account) for stop in self._ledger.halts.in_force(gateway)):
            self._stop_account(told, gateway, campaign, account, now)
        if len(known) < MOST_NOTED:
            place = {"campaign_id": told.campaign_id, "row": told.row}
            events.add(BLOCKLISTED, now, **place, message_id=told.message_id)

    def _stop_account(
        self, told: Told, gateway: str, campaign: CampaignView | None, account: str | None, now: datetime
    ) -> None:
        log.warning("blocklisted_by_callback", extra={"campaign": told.campaign_id, "row": told.row})
        if campaign is None:
            self._ledger.halts.stop(gateway, account, str(Stop.BLOCKLISTED), now)
        else:
            halt = Halt(Stop.BLOCKLISTED, account_wide=True)
            stop_campaign(self._ledger, _Stopped(campaign.id, gateway, account), halt, now)

    def _campaign(self, told: Told) -> CampaignView | None:
        known = told.campaign_id in self._gateways
        return self._ledger.queries.campaign(told.campaign_id) if known else None


@dataclass(frozen=True)
class _Stopped:
    """A campaign to be stopped, with the account that its callback named."""

    id: int
    gateway: str
    account: str | None
