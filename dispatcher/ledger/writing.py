"""Decided moves of rows become writes, with everything that counts them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row

from dispatcher.ledger.bulk import move_ready_rows
from dispatcher.ledger.counting import Tally
from dispatcher.ledger.each import move_each
from dispatcher.ledger.learnt import charge_of
from dispatcher.ledger.schema import rows
from dispatcher.ledger.states import SENT, CampaignState, RowState
from dispatcher.ledger.sums import Counted

R = RowState


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
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    back: list[int] = []
    for row, decision in writes:
        new = decision.new or row.state
        if decision.through_sending:
            groups[(0, R.READY, R.SENDING, ())].append(_key(row))
        old = R.SENDING if decision.through_sending else row.state
        values = {
            **decision.values,
            **({"in_doubt_at": None} if old is R.IN_DOUBT and new is not old else {}),
        }
        if old not in SENT and new in SENT | {R.READY}:
            values = {"reason": None, "error_code": None, "error_detail": None, **values}
        groups[(1, old, new, tuple(sorted(values)))].append({**_key(row), **values})
        actual = values.get("actual_cost", row.actual_cost)
        if actual is not None and actual != row.actual_cost:
            parts = values.get("actual_parts", row.actual_parts) or row.parts
            tally.charge(charge_of(campaign.gateway, row, actual, parts))
        before = _counted(row)
        recounted = before.recounted or "actual_parts" in values or "actual_encoding" in values
        tally.change(before, before._replace(state=new, actual=actual, recounted=recounted))
        if new is R.READY:
            back.append(row.row)
    for group in sorted(groups):  # what is taken back first comes first
        _, old, new, _ = group
        moves = groups[group]
        if move_each(connection, campaign.id, old, new, moves) != len(moves):
            raise RuntimeError(f"campaign {campaign.id}: rows moved while it was locked")
    if back and campaign.state is CampaignState.CANCELLED:
        move_ready_rows(connection, campaign.id, R.CANCELLED, "cancelled", tally, rows.c.row.in_(back))


def _counted(row: Row[Any]) -> Counted:
    return Counted(
        row.state,
        row.parts,
        row.reserve_cost,
        row.actual_cost,
        row.route,
        row.country,
        row.estimated_cost,
        row.actual_parts is not None or row.actual_encoding is not None,
    )


def _key(row: Row[Any]) -> dict[str, Any]:
    return {"row": row.row, "attempt_token": row.attempt_token}
