"""What the log says of single rows: those that the gateway did not simply accept."""

from __future__ import annotations

import logging

from dispatcher.gateway.outcomes import Outcome, Verdict

log = logging.getLogger(__name__)


def tell_of(campaign: int, row: int, verdict: Verdict) -> None:
    """An answer that is no acceptance; a row in doubt is for whoever operates, the others are in the report."""
    level = logging.INFO if verdict.outcome is Outcome.IN_DOUBT else logging.DEBUG
    if log.isEnabledFor(level):
        facts = {"campaign": campaign, "row": row, "outcome": str(verdict.outcome)}
        facts |= {"code": verdict.code, "http_status": verdict.http_status}
        log.log(level, "row_answered", extra=facts)
