"""How many messages one person may get within some time, over all campaigns: ``1 per 24h``."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from dispatcher.campaign.timing.spans import parse_span
from dispatcher.errors import UsageError

_CAP = re.compile(r"(?P<most>[1-9]\d{0,2})\s*(?:per|/|a|al|por|ogni|every)\s*(?P<span>\S+)", re.IGNORECASE)


@dataclass(frozen=True)
class Cap:
    """At most ``most`` messages to one recipient in any ``within``."""

    most: int
    within: dt.timedelta

    def __str__(self) -> str:
        return f"{self.most} per {self.within.total_seconds() / 60:.0f}m"


def parse_cap(text: str) -> Cap:
    """Raises UsageError ``timing_cap``."""
    found = _CAP.fullmatch(text.strip())
    if found is None:
        raise UsageError("timing_cap", found=text)
    return Cap(int(found["most"]), parse_span(found["span"], "--cap").length)
