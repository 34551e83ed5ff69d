"""What became of rows, in the few words that a chart has room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from dispatcher.ledger.bills import BillGroup
from dispatcher.ledger.states import SENT, RowState
from dispatcher.report.bill import known_sum

R = RowState


class Fate(StrEnum):
    """Where a row is, as far as somebody who looks at a picture wants to know."""

    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    FAILED = "failed"
    DOUBTFUL = "doubtful"
    WAITING = "waiting"
    REFUSED = "refused"
    LEFT_OUT = "left_out"


FATES: Mapping[Fate, frozenset[RowState]] = {
    Fate.DELIVERED: frozenset({R.DELIVERED}),
    Fate.ACCEPTED: frozenset({R.ACCEPTED}),
    Fate.FAILED: frozenset({R.UNDELIVERABLE, R.EXPIRED, R.REJECTED}),
    Fate.DOUBTFUL: frozenset({R.SENDING, R.IN_DOUBT}),
    Fate.WAITING: frozenset({R.READY}),
    Fate.REFUSED: frozenset({R.REFUSED, R.INVALID}),
    Fate.LEFT_OUT: frozenset(
        {R.HIDDEN, R.DUPLICATE, R.OPTED_OUT, R.ALREADY_SENT, R.TOO_LATE, R.CAPPED, R.CANCELLED}
    ),
}
"""Every state has one fate."""

COLOURS: Mapping[Fate, str] = {
    Fate.DELIVERED: "2E7D32",
    Fate.ACCEPTED: "1E88E5",
    Fate.FAILED: "C62828",
    Fate.DOUBTFUL: "EF6C00",
    Fate.WAITING: "90A4AE",
    Fate.REFUSED: "8E24AA",
    Fate.LEFT_OUT: "BDBDBD",
}
ESTIMATED_COLOUR, CHARGED_COLOUR = "90A4AE", "1565C0"

_FATE_OF = {state: fate for fate, states in FATES.items() for state in states}


@dataclass
class CountryFates:
    """The rows of one country: how many there are of each fate, and what those that were sent cost.

    ``country`` is None for rows whose country nobody knows.
    """

    country: str | None
    rows: int = 0
    fates: dict[Fate, int] = field(default_factory=dict)
    sent: int = 0
    unpriced: int = 0
    unestimated: int = 0
    _estimated: Decimal = Decimal(0)
    _charged: Decimal = Decimal(0)

    def add(self, group: BillGroup) -> None:
        """Count in rows of this country."""
        fate = _FATE_OF[group.state]
        self.rows += group.rows
        self.fates[fate] = self.fates.get(fate, 0) + group.rows
        if group.state in SENT:
            self.sent += group.rows
            self.unpriced += group.unpriced
            self.unestimated += group.unestimated
            self._estimated += group.estimated
            self._charged += group.charged

    @property
    def estimated(self) -> Decimal | None:
        """The estimate of what was sent; None when nothing was, or no price is known."""
        return known_sum(self._estimated, self.unestimated, self.sent) if self.sent else None

    @property
    def charged(self) -> Decimal | None:
        """What the gateway says it costs; None when nothing was sent, or no price is known."""
        return known_sum(self._charged, self.unpriced, self.sent) if self.sent else None


def by_country(groups: Iterable[BillGroup]) -> list[CountryFates]:
    """The countries, those with most rows first."""
    found: dict[str | None, CountryFates] = {}
    for group in groups:
        found.setdefault(group.country, CountryFates(group.country)).add(group)
    return sorted(found.values(), key=lambda each: (-each.rows, each.country or "~"))


def by_state(groups: Iterable[BillGroup]) -> dict[RowState, int]:
    """Rows per state, of states that have rows."""
    found: dict[RowState, int] = {}
    for group in groups:
        found[group.state] = found.get(group.state, 0) + group.rows
    return dict(sorted(found.items()))


def fates_seen(countries: Sequence[CountryFates]) -> list[Fate]:
    """The fates that some row has, in their order."""
    return [fate for fate in Fate if any(country.fates.get(fate) for country in countries)]
