"""Counters and sums of a campaign, changed in the same transaction as the rows they count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, bindparam, update

from dispatcher.ledger.learnt import Charge, learn
from dispatcher.ledger.schema import campaign_counts, campaigns, rows
from dispatcher.ledger.states import SENT, RowState
from dispatcher.ledger.sums import Counted, add_up

_ZERO = Decimal(0)

COUNTED = tuple(rows.c[name] for name in ("parts", "reserve_cost", "route", "country", "estimated_cost"))
"""What of a row that was not sent the counters look at."""

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


def ready_row(row: Row[Any]) -> Counted:
    """A row that is ready, as the counters see it."""
    return Counted(
        RowState.READY, row.parts, row.reserve_cost, None, row.route, row.country, row.estimated_cost
    )


def _committed(row: Counted) -> Decimal:
    """What the row takes of the cap: its price once known, its reserve while it is or may be sent."""
    if row.state in SENT:
        return row.actual if row.actual is not None else row.reserve or _ZERO
    return row.reserve or _ZERO if row.state in (RowState.SENDING, RowState.IN_DOUBT) else _ZERO


class Tally:
    """Changes of one transaction, written once at its end.

    ``charges`` are shared by the tallies of one transaction that changes several campaigns.
    """

    def __init__(self, charges: Counter[Charge] | None = None) -> None:
        self.charges: Counter[Charge] = Counter() if charges is None else charges
        self.not_echoed = 0
        # rows that count alike are reckoned with once, however many they are
        self._changes: Counter[Counted] = Counter()

    @property
    def committed(self) -> Decimal:
        """What the changes so far take of the cap."""
        return sum((n * _committed(row) for row, n in self._changes.items()), _ZERO)

    def change(self, before: Counted, after: Counted, n: int = 1) -> None:
        """So many rows went from ``before`` to ``after``."""
        self._changes[before] -= n
        self._changes[after] += n

    def charge(self, charge: Charge | None, n: int = 1) -> None:
        """So many messages were charged."""
        if charge is not None:
            self.charges[charge] += n

    def write(self, connection: Connection, campaign_id: int, now: datetime) -> None:
        """Apply the changes; nothing to apply is no statement."""
        changes = {row: n for row, n in self._changes.items() if n}
        counts = [{"of_campaign": campaign_id, **each} for each in _counts(changes)]
        if counts:
            connection.execute(_COUNT, counts)
        if changes:
            add_up(connection, campaign_id, changes)
        sums = {**_sums(changes), "d_not_echoed": self.not_echoed}
        if counts or any(sums.values()):
            connection.execute(_SUM, {"of_campaign": campaign_id, "at": now, **sums})
        self._changes.clear()
        learn(connection, self.charges, now)
        self.charges.clear()


def _counts(changes: Mapping[Counted, int]) -> list[dict[str, int]]:
    """How rows and parts change by state, where they do."""
    number: Counter[RowState] = Counter()
    parts: Counter[RowState] = Counter()
    for row, n in changes.items():
        number[row.state] += n
        parts[row.state] += n * (row.parts or 0)
    return [
        {"of_state": state, "dn": number[state], "dparts": parts[state]}
        for state in sorted(number)
        if number[state] or parts[state]
    ]


def _sums(changes: Mapping[Counted, int]) -> dict[str, Decimal | int]:
    """How the campaign's own sums change."""
    sent = [(row, n) for row, n in changes.items() if row.state in SENT]
    return {
        "d_committed": sum((n * _committed(row) for row, n in changes.items()), _ZERO),
        "d_actual": sum((n * (row.actual or _ZERO) for row, n in sent), _ZERO),
        "d_unpriced": sum(n for row, n in sent if row.actual is None),
    }
