"""Campaigns of which nothing is left to do but to doubt: after a while a person has to see that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dispatcher.ledger import Ledger, RowState

_MOVES_BY_ITSELF = (RowState.READY, RowState.SENDING)


@dataclass
class Doubtful:
    """Remembers since when only rows in doubt were open; ``patience`` in seconds of ``monotonic``."""

    ledger: Ledger
    monotonic: Callable[[], float]
    patience: float
    _since: dict[int, float] = field(default_factory=dict)

    def is_for_a_person(self, campaign_id: int) -> bool:
        """Whether nothing but doubts has been open for longer than looking for them takes, as far as was seen here."""
        counts = self.ledger.queries.counts(campaign_id)
        if not counts.get(RowState.IN_DOUBT) or any(counts.get(state) for state in _MOVES_BY_ITSELF):
            self._since.pop(campaign_id, None)
            return False
        now = self.monotonic()
        return now - self._since.setdefault(campaign_id, now) >= self.patience
