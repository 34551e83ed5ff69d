"""What a launch is asked for, and where it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from dispatcher.campaign.timing.options import kept
from dispatcher.errors import DispatcherError
from dispatcher.intake.credit import Shortfall
from dispatcher.intake.house import OtherTexts
from dispatcher.intake.planning import PlanRequest
from dispatcher.intake.superseding import Older
from dispatcher.ledger import CampaignView, Priority, RowState
from dispatcher.report.write import ReportWritten
from dispatcher.sending.preflight import PreflightChoice


@dataclass(frozen=True)
class LaunchRequest:
    """A file to be sent, and how far to go."""

    plan: PlanRequest
    preflight: PreflightChoice = field(default_factory=PreflightChoice)
    dry_run: bool = False
    max_cost: Decimal | None = None
    report_dir: Path | None = None
    priority: Priority | None = None  # None: normal, or what the campaign has already
    capped_token: bool = False  # it sends with a token of its own, which the provider limits
    watched: str | None = None  # the watched folder it came from, by its id
    called: str | None = None  # by what its list is known again where the path of the file does not say it

    @property
    def decisions(self) -> dict[str, Any]:
        """What a later process must know to go on with the campaign."""
        options = self.plan.options
        return {
            "preflight": str(self.preflight),
            "message": options.message,
            "single_part": options.single_part,
            "again": options.again,
            "locale": str(self.plan.locale),
            **kept(options.timing),
            **({} if self.watched is None else {"watched": self.watched}),
        }


@dataclass(frozen=True)
class ResumeRequest:
    """A campaign to go on with."""

    campaign_id: int
    without_refused: bool = False
    max_cost: Decimal | None = None
    report_dir: Path | None = None
    priority: Priority | None = None  # None: what it has already


@dataclass(frozen=True)
class Landing:
    """Where a launch ended."""

    campaign: CampaignView
    counts: dict[RowState, int]
    report: ReportWritten | None
    seconds: float
    interrupted: bool = False
    dry_run: bool = False
    discarded: bool = False  # the plan was made for a dry run and is gone
    forbidden: tuple[int, ...] = ()
    other_texts: OtherTexts | None = None
    older: tuple[Older, ...] = ()
    shortfall: Shortfall | None = None  # what the account lacks, where that was found out before sending
    report_error: DispatcherError | None = None  # why there is no report; the campaign ended all the same
