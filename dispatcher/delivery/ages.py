"""How often a message is asked about: the older it is, the seldomer.

Messages are told apart by their age alone, in tiers, each twice as old as the one before and asked about half as
often.  So every message is asked about once or twice in each tier it passes through, and nothing is kept about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.ledger.awaiting import Span

FIRST = timedelta(seconds=30)
FIRST_BESIDE_CALLBACKS = timedelta(minutes=10)  # they bring nearly everything sooner; some are lost
SELDOMEST = timedelta(hours=1)
END = timedelta(hours=54)  # a message expires after 48 hours; the news of it may take a while
HARD_END = 2 * END  # also for what could not be asked about: the token is another account's, say


@dataclass(frozen=True)
class Tier:
    """Messages older than ``after`` and not older than ``until``, asked about once in ``every``."""

    after: timedelta | None
    until: timedelta | None
    every: timedelta

    def span(self, now: datetime) -> Span:
        """When such messages were sent."""
        return Span(
            after=None if self.until is None else now - self.until,
            until=None if self.after is None else now - self.after,
        )


def tiers(first: timedelta) -> Sequence[Tier]:
    """The youngest first; the first has no lower end, since a gateway's clock may be ahead, the last no upper one."""
    found: list[Tier] = []
    after, every = None, min(first, SELDOMEST)
    while every < SELDOMEST:
        found.append(Tier(after, 2 * every, every))
        after, every = 2 * every, min(2 * every, SELDOMEST)
    return (*found, Tier(after, None, every))


class Timetable:
    """Which tiers are due, as far as this process has asked: one that never did asks about everything at once."""

    def __init__(self, first: timedelta = FIRST) -> None:
        self._tiers = tiers(first)
        self._asked: dict[Tier, datetime] = {}

    def due(self, now: datetime) -> list[Tier]:
        """The tiers it is time to ask about."""
        return [
            tier for tier in self._tiers if tier not in self._asked or now >= self._asked[tier] + tier.every
        ]

    def ends_with(self, tiers: Sequence[Tier]) -> bool:
        """Whether the oldest messages of all are among them."""
        return self._tiers[-1] in tiers

    def asked(self, tiers: Sequence[Tier], at: datetime) -> None:
        """They were asked about; ``at`` is when that began."""
        self._asked.update(dict.fromkeys(tiers, at))


def spans(tiers: Sequence[Tier], now: datetime) -> list[Span]:
    """When the messages of neighbouring tiers were sent, neighbours joined."""
    found: list[Span] = []
    for tier in tiers:
        span = tier.span(now)
        if found and found[-1].after == span.until:
            found[-1] = Span(span.after, found[-1].until)
        else:
            found.append(span)
    return found
