"""A launch that nobody watches: what would be shown becomes events, and what would be asked is decided beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dispatcher.campaign.plan import Planner
from dispatcher.campaign.prices import Bill
from dispatcher.intake.house import Delivering, OtherTexts, Progress, Question
from dispatcher.intake.superseding import Older
from dispatcher.ledger import CampaignView
from dispatcher.sending.canary import Judgement
from dispatcher.sending.preflight import PreflightResult
from dispatcher.sending.reconcile import Outlook

Tell = Callable[..., None]
"""``tell(event, **facts)``: facts are names of files, numbers and codes; never a phone number or a text."""


class Quiet:
    """Implements :class:`dispatcher.intake.house.Watcher`.  Approval, where it is needed, is the gate's business."""

    def __init__(self, tell: Tell, file: str) -> None:
        self._tell = tell
        self._file = file

    def going_on(self, campaign: CampaignView) -> None:
        self._tell("going_on", file=self._file, campaign=campaign.id)

    def planned(self, planner: Planner, bill: Bill) -> None:
        self._tell("planned", file=self._file, rows=planner.summary.rows)

    def loading(self, rows: int) -> None: ...

    def preflight_starts(self, result: PreflightResult) -> None: ...

    def confirm_preflight(self, campaign: int, result: PreflightResult) -> bool:
        return True

    def silence(self, gateway: str, seconds: float) -> None:
        self._tell("silence", file=self._file, gateway=gateway)

    def preflight(self, result: PreflightResult) -> None: ...

    def preflight_ends(self, result: PreflightResult) -> None: ...

    def warn(self, name: str) -> None: ...

    def listed(self, rows: Mapping[str, int]) -> None: ...

    def other_texts(self, found: OtherTexts) -> None: ...

    def older_versions(self, found: Sequence[Older]) -> None:
        for older in found:
            facts = {"campaign": older.campaign, "rows": older.waiting, "other": older.file}
            self._tell("replaces" if older.replaced else "does_not_replace", file=self._file, **facts)

    def confirm(self, question: Question) -> bool:
        return True

    def sending(self, progress: Progress) -> None: ...

    def doubts(self, outlook: Outlook, in_doubt: int) -> None: ...

    def waiting(self, until: datetime, rows: int) -> None: ...

    def pausing(self) -> None: ...

    def delivering(self, seen: Delivering) -> None: ...

    def canary_begins(self, rows: int, wait: timedelta) -> None: ...

    def canary_ends(self, judgement: Judgement) -> None: ...


def nothing(*_: Any, **__: Any) -> None:
    """Tells nobody."""
