"""The rules about time that a campaign was planned with, for whoever sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dispatcher.campaign.timing.caps import Cap
from dispatcher.campaign.timing.days_off import holidays_of
from dispatcher.campaign.timing.openings import Openings
from dispatcher.campaign.timing.options import kept_cap, kept_windows
from dispatcher.ledger import ClaimedRow


@dataclass(frozen=True)
class Rules:
    """``windows`` None: always open; ``cap`` None: no limit for one person."""

    windows: Openings | None = None
    cap: Cap | None = None

    def may_start(self, row: ClaimedRow, at: datetime) -> bool:
        """Whether the row is still of use, and its window open, at the moment its request would start."""
        if row.useful_until is not None and at > row.useful_until:
            return False
        return self.windows is None or self.windows.next(row.country, at, at) == at


def rules_of(options: Mapping[str, Any]) -> Rules:
    """From a campaign's options in the ledger."""
    found = kept_windows(options)
    if found is None:
        return Rules(None, kept_cap(options))
    windows = Openings(found[0], ZoneInfo(found[1]), holidays_of(options.get("holidays")))
    return Rules(windows, kept_cap(options))
