"""A file's plan as it is shown before anything is written: what ``check`` and ``schedule add`` make of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dispatcher.campaign.forbidden import ForbiddenWords, listed_rows
from dispatcher.campaign.history import History
from dispatcher.campaign.plan import Planner
from dispatcher.campaign.prices import Bill, Funds, PriceBook
from dispatcher.intake.planning import PlanRequest, make_planner


@dataclass(frozen=True)
class Planned:
    """``listed``: how many rows hold which word of the operator's list."""

    planner: Planner
    bill: Bill
    listed: Mapping[str, int]


def plan_file(
    request: PlanRequest,
    book: PriceBook,
    funds: Funds,
    history: History,
    now: datetime,
    words: ForbiddenWords | None,
) -> Planned:
    """Plan the file to its end.  Raises FileError or UsageError; nothing is written."""
    planner = make_planner(request, book, funds, history, now)
    listed: Counter[str] = Counter()
    for chunk in planner.chunks():
        if words is not None:
            listed.update(listed_rows(chunk, words))
    return Planned(planner, planner.bill(), listed)
