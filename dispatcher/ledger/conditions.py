"""Which rows and campaigns a query means, in the words of the partial indexes.

A planner sees that an index has all rows that a query wants only where both say it alike: a bound value would hide it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from sqlalchemy import TextClause, text

from dispatcher.ledger.states import FINAL_CAMPAIGNS, MAYBE_SENT, SENT, RowState


def in_states(states: Iterable[IntEnum]) -> str:
    """One of a family of neighbours.  A range on purpose: IN lists in CHECKs halved the speed of loading."""
    numbers = sorted(int(state) for state in states)
    if numbers != list(range(numbers[0], numbers[-1] + 1)):
        raise ValueError(f"states {numbers} are no neighbours")
    return f"state BETWEEN {numbers[0]} AND {numbers[-1]}"


ATTEMPTED = in_states({RowState.SENDING, RowState.IN_DOUBT})
READY = f"state = {int(RowState.READY)}"
MAYBE = in_states(MAYBE_SENT)


def is_open() -> TextClause:
    """Campaigns that have not ended, a few of all that there were; the partial index's own words."""
    return text(f"NOT (campaigns.{in_states(FINAL_CAMPAIGNS)})")


def is_ready() -> TextClause:
    """Rows that are ready, written so that the planner sees the partial index: a bound value would hide it."""
    return text(f"rows.{READY}")


def is_unsettled() -> TextClause:
    """Rows in flight or in doubt; the partial index's own words."""
    return text(f"rows.{ATTEMPTED}")


def is_awaiting() -> TextClause:
    """Rows whose message is not final, and was not given up; the partial index's own words."""
    not_given_up = "(rows.reason IS NULL OR rows.reason <> 'no_final_word')"
    return text(f"rows.state = {int(RowState.ACCEPTED)} AND {not_given_up}")


def is_unpriced() -> TextClause:
    """Rows whose message is final and has no price yet; the partial index's own words."""
    return text(f"rows.actual_cost IS NULL AND rows.{in_states(SENT - {RowState.ACCEPTED})}")


def is_maybe_sent(name: str = "rows") -> TextClause:
    """Rows the gateway has or may have; the partial index's own words.  ``name``: what the query calls the table."""
    return text(f"{name}.{MAYBE}")
