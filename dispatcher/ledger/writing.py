"""Decided moves of rows become writes, with everything that counts them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from dispatcher.ledger.bulk import move_ready_rows
from dispatcher.ledger.counting import Tally
from dispatcher.ledger.each import move_each
from dispatcher.ledger.learnt import charge_of
from dispatcher.ledger.schema import rows
from dispatcher.ledger.states import SENT, CampaignState, RowState
from dispatcher.ledger.sums import Counted

R = RowState
_KEY = ("row", "attempt_token")
_FORGET = SENT | {R.READY}
"""What went wrong before means nothing in these."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write: nothing, or ``values`` (with a move to ``new`` unless None), and perhaps an event."""

    new: RowState | None = None
    values: dict[str, Any] = field(default_factory=dict)
    event: str | None = None
    through_sending: bool = False  # a released row is taken back first: ready -> accepted is no move

    @property
    def applies(self) -> bool:
        """Whether the row changes."""
        return self.new is not None or bool(self.values)


def write_decisions(
    connection: Connection, campaign: Row[Any], writes: Sequence[tuple[Row[Any], Decision]], tally: Tally
) -> None:
    """Write decided moves, each guarded by the state and token it was decided on."""
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    kinds: list[_Kind] = []
    back: list[int] = []
    for row, decision in writes:
        new = decision.new or row.state
        if decision.through_sending:
            groups[(0, R.READY, R.SENDING, _KEY)].append((row.row, row.attempt_token))
        old = R.SENDING if decision.through_sending else row.state
        values = _written(decision, old, new)
        groups[(1, old, new, (*_KEY, *values))].append((row.row, row.attempt_token, *values.values()))
        kinds.append(_kind(row, new, values))
        if new is R.READY:
            back.append(row.row)
    for kind, n in Counter(kinds).items():  # rows that count alike are reckoned with once
        _count(tally, campaign.gateway, kind, n)
    for group in sorted(groups):  # what is taken back first comes first
        _, old, new, names = group
        moves = groups[group]
        if move_each(connection, campaign.id, old, new, names, moves) != len(moves):
            raise RuntimeError(f"campaign {campaign.id}: rows moved while it was locked")
    if back and campaign.state is CampaignState.CANCELLED:
        move_ready_rows(connection, campaign.id, R.CANCELLED, "cancelled", tally, rows.c.row.in_(back))


def _written(decision: Decision, old: RowState, new: RowState) -> Mapping[str, Any]:
    """All values of a move, the emptied ones too."""
    emptied: tuple[str, ...] = ()
    if old not in SENT and new in _FORGET:
        emptied = ("reason", "error_code", "error_detail")
    values = {**dict.fromkeys(emptied), **decision.values}
    if old is R.IN_DOUBT and new is not old:
        values["in_doubt_at"] = None
    return values


class _Kind(NamedTuple):
    """What the counters see of a row and its move; ``parts`` are those that were charged."""

    before: Counted
    new: RowState
    actual: Decimal | None
    parts: int | None
    recounted: bool


def _kind(row: Row[Any], new: RowState, values: Mapping[str, Any]) -> _Kind:
    before = Counted(
        row.state,
        row.parts,
        row.reserve_cost,
        row.actual_cost,
        row.route,
        row.country,
        row.estimated_cost,
        row.actual_parts is not None or row.actual_encoding is not None,
    )
    parts = values.get("actual_parts", row.actual_parts) or row.parts
    recounted = before.recounted or "actual_parts" in values or "actual_encoding" in values
    return _Kind(before, new, values.get("actual_cost", row.actual_cost), parts, recounted)


def _count(tally: Tally, gateway: str, kind: _Kind, n: int) -> None:
    before, actual = kind.before, kind.actual
    if actual is not None and actual != before.actual:
        tally.charge(charge_of(gateway, before, actual, kind.parts), n)
    tally.change(before, before._replace(state=kind.new, actual=actual, recounted=kind.recounted), n)
