"""Nobody watches a tick: what a terminal would show goes into the log, what it would ask was answered beforehand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from dispatcher.campaign.plan import Planner
from dispatcher.campaign.prices import Bill
from dispatcher.intake.house import Delivering, OtherTexts, Progress, Question
from dispatcher.intake.superseding import Older
from dispatcher.ledger import CampaignView
from dispatcher.sending.canary import Judgement
from dispatcher.sending.preflight import PreflightResult
from dispatcher.sending.reconcile import Outlook

log = logging.getLogger(__name__)


class Unattended:
    """Implements :class:`dispatcher.intake.house.Watcher`.

    ``may_go_on`` is asked where a person would be: whether the tick is still this process's to send.
    """

    def __init__(self, may_go_on: Callable[[], bool]) -> None:
        self._may_go_on = may_go_on

    def confirm(self, question: Question) -> bool:
        """Yes was said when the schedule was added, up to its limit."""
        return self._may_go_on()

    def confirm_preflight(self, campaign: int, result: PreflightResult) -> bool:
        """Dry runs cost time only."""
        return self._may_go_on()

    def planned(self, planner: Planner, bill: Bill) -> None:
        log.info("planned", extra={"rows": planner.summary.rows})

    def warn(self, name: str) -> None:
        log.warning(name)

    def silence(self, gateway: str, seconds: float) -> None:
        log.warning("gateway_silent", extra={"gateway": gateway})

    def listed(self, rows: Mapping[str, int]) -> None:
        log.warning("forbidden_by_list", extra={"rows": sum(rows.values())})

    def going_on(self, campaign: CampaignView) -> None: ...

    def loading(self, rows: int) -> None: ...

    def preflight_starts(self, result: PreflightResult) -> None: ...

    def preflight(self, result: PreflightResult) -> None: ...

    def preflight_ends(self, result: PreflightResult) -> None: ...

    def other_texts(self, found: OtherTexts) -> None: ...

    def older_versions(self, found: Sequence[Older]) -> None:
        for older in found:
            name = "older_version_replaced" if older.replaced else "older_list_goes_on"
            log.warning(name, extra={"campaign": older.campaign, "rows": older.waiting})

    def sending(self, progress: Progress) -> None: ...

    def doubts(self, outlook: Outlook, in_doubt: int) -> None: ...

    def waiting(self, until: datetime, rows: int) -> None: ...

    def pausing(self) -> None: ...

    def delivering(self, seen: Delivering) -> None: ...

    def canary_begins(self, rows: int, wait: timedelta) -> None: ...

    def canary_ends(self, judgement: Judgement) -> None: ...
