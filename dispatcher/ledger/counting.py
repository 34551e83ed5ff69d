"""Counters and sums of a campaign, changed in the same transaction as the rows they count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, bindparam, update

from dispatcher.ledger.learnt import Charge, learn
from dispatcher.ledger.schema import campaign_counts, campaigns
from dispatcher.ledger.states import SENT, RowState

_ZERO = Decimal(0)

_COUNT = (
    update(campaign_counts)
    .where(
        campaign_counts.c.campaign_id == bindparam("of_campaign"),
        campaign_counts.c.state == bindparam("of_state"),
    )
    .values(n=campaign_counts.c.n + bindparam("dn"), parts=campaign_counts.c.parts + bindparam("dparts"))
)
_SUM = (
    update(campaigns)
    .where(campaigns.c.id == bindparam("of_campaign"))
    .values(
        committed_cost=campaigns.c.committed_cost + bindparam("d_committed"),
        actual_cost=campaigns.c.actual_cost + bindparam("d_actual"),
        accepted_unpriced=campaigns.c.accepted_unpriced + bindparam("d_unpriced"),
        not_echoed=campaigns.c.not_echoed + bindparam("d_not_echoed"),
        updated_at=bindparam("at"),
    )
)


@dataclass(frozen=True, slots=True)
class Counted:
    """What of a row the counters see."""

    state: RowState
    parts: int | None
    reserve: Decimal | None
    actual: Decimal | None = None

    @property
    def committed(self) -> Decimal:
        """What the row takes of the cap: its price once known, its reserve while it is or may be sent."""
        if self.state in SENT:
            return self.actual if self.actual is not None else self.reserve or _ZERO
        return self.reserve or _ZERO if self.state in (RowState.SENDING, RowState.IN_DOUBT) else _ZERO


class Tally:
    """Changes of one transaction, written once at its end.

    ``charges`` are shared by the tallies of one transaction that changes several campaigns.
    """

    def __init__(self, charges: Counter[Charge] | None = None) -> None:
        self.charges: Counter[Charge] = Counter() if charges is None else charges
        self.n: Counter[RowState] = Counter()
        self.parts: Counter[RowState] = Counter()
        self.committed = self.actual = _ZERO
        self.unpriced = self.not_echoed = 0

    def change(self, before: Counted, after: Counted) -> None:
        """One row went from ``before`` to ``after``."""
        for sign, row in ((-1, before), (1, after)):
            self.n[row.state] += sign
            self.parts[row.state] += sign * (row.parts or 0)
            self.committed += sign * row.committed
            if row.state in SENT:
                self.actual += sign * (row.actual or _ZERO)
                self.unpriced += sign * (row.actual is None)

    def move_unsent(self, old: RowState, new: RowState, n: int, parts: int) -> None:
        """``n`` rows with ``parts`` in all went between two states that take nothing of the cap."""
        self.n[old] -= n
        self.n[new] += n
        self.parts[old] -= parts
        self.parts[new] += parts

    def charge(self, charge: Charge | None) -> None:
        """One message was charged."""
        if charge is not None:
            self.charges[charge] += 1

    def write(self, connection: Connection, campaign_id: int, now: datetime) -> None:
        """Apply the changes; nothing to apply is no statement."""
        changes = [
            {"of_campaign": campaign_id, "of_state": state, "dn": self.n[state], "dparts": self.parts[state]}
            for state in sorted({*self.n, *self.parts})
            if self.n[state] or self.parts[state]
        ]
        if changes:
            connection.execute(_COUNT, changes)
        sums = (self.committed, self.actual, self.unpriced, self.not_echoed)
        if changes or any(sums):
            names = ("d_committed", "d_actual", "d_unpriced", "d_not_echoed")
            connection.execute(
                _SUM, {"of_campaign": campaign_id, "at": now, **dict(zip(names, sums, strict=True))}
            )
        learn(connection, self.charges, now)
        self.charges.clear()
