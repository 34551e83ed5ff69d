"""Answers a gateway gives in these tests, and times as the file has them."""

from __future__ import annotations

from datetime import UTC, datetime

from dispatcher.gateway.outcomes import Outcome, Verdict

TIMEOUT = Verdict(Outcome.IN_DOUBT, detail="answer_late")
REFUSED = Verdict(Outcome.REFUSED, http_status=422, code=2011)
NOT_SENT = Verdict(Outcome.NOT_SENT, detail="connection_refused")
UNAUTHORIZED = Verdict(Outcome.HALT, http_status=401)
BLOCKED = Verdict(Outcome.HALT, http_status=403, code=2020, account_wide=True)


def instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
