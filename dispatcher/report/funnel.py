"""What became of what was sent, by country and route: from accepted to delivered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dispatcher.ledger.bills import BillGroup
from dispatcher.ledger.states import SENT, RowState

ENDS = tuple(sorted(SENT - {RowState.ACCEPTED}))
"""The final states of a message, in the order they are shown."""


@dataclass(frozen=True, slots=True)
class FunnelLine:
    """Messages of one country and route, or all (both are then None).

    ``accepted``: how many the gateway took; each is in one of :data:`ENDS`, or on its way.
    """

    country: str | None
    route: str | None
    states: Mapping[RowState, int] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """How many the gateway took."""
        return sum(self.states.values())

    @property
    def on_the_way(self) -> int:
        """How many have not reached an end."""
        return self.states.get(RowState.ACCEPTED, 0)


@dataclass(frozen=True, slots=True)
class Funnel:
    """``total`` and its lines, by country and route."""

    total: FunnelLine
    lines: Sequence[FunnelLine]


def funnel_of(groups: Iterable[BillGroup]) -> Funnel:
    """Only what was sent; a country that got nothing has no line."""
    lines: dict[tuple[str | None, str | None], dict[RowState, int]] = {}
    total: dict[RowState, int] = {}
    for group in groups:
        if group.state in SENT:
            of_line = lines.setdefault((group.country, group.route), {})
            for states in (of_line, total):
                states[group.state] = states.get(group.state, 0) + group.rows
    ordered = sorted(lines, key=lambda place: (place[0] or "", place[1] or ""))
    return Funnel(FunnelLine(None, None, total), [FunnelLine(*place, lines[place]) for place in ordered])
