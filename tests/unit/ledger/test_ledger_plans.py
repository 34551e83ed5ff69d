"""How the databases find rows: whatever is asked while a campaign is sent or looked at goes through an index.

Every statement that a verb makes is explained by the database itself, on a ledger where other campaigns have rows
too.  Nothing may read the whole table of rows: at ten million that is seconds, at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from dispatcher.ledger import DeliveryReport, InDoubt, Ledger, RowState
from dispatcher.ledger.awaiting import Asked, Span

# EXPLAIN in SQLite's words and in PostgreSQL's
WHOLE_TABLE = ("SCAN rows", "Seq Scan on rows")
SINCE = timedelta(days=7)


@contextmanager
def explained(ledger: Ledger) -> Iterator[list[str]]:
    """Collects the plan of every statement about rows that is made in the block, inserts left out."""
    plans: list[str] = []

    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *others: Any) -> None:
        if "rows" not in statement or not statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            return
        with_cursor = cursor.connection.cursor()
        if ledger.path is None:
            # a table of few rows is read whole, whatever its indexes; this shows whether there is one to use
            with_cursor.execute("SET LOCAL enable_seqscan = off")
            with_cursor.execute("SET LOCAL enable_bitmapscan = off")
        keyword = "EXPLAIN QUERY PLAN" if ledger.path else "EXPLAIN"
        found = with_cursor.execute(f"{keyword} {statement}", parameters).fetchall()
        plans.append(f"{statement}\n" + "\n".join(str(line[-1]) for line in found))

    engine = ledger._database.engine
    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def whole_table(plan: str) -> bool:
    """Whether a step reads every row of every campaign."""
    steps = plan.splitlines()
    return any(words in step and "USING" not in step for step in steps for words in WHOLE_TABLE)


@pytest.fixture
def sent(desk: Any) -> Any:
    """A desk with campaigns that were sent, one under way among them: the last; and doubtful rows."""
    for _ in range(3):
        desk.campaign(desk.rows(20))
    campaign = desk.campaign(desk.rows(30))
    desk.claim(campaign, "first", 10)
    accepted = [desk.accepted(row, "first", f"m{row}") for row in range(2, 10)]
    desk.settle(campaign, *accepted, InDoubt(token="first", row=10))
    desk.last = campaign
    return desk


def claiming(desk: Any) -> None:
    desk.claim(desk.last, "second", 5)
    desk.settle(desk.last, desk.accepted(12, "second", "m12"), desk.not_sent(13, "second"))


def sweeping(desk: Any) -> None:
    desk.claim(desk.last, "third", 2)
    desk.ledger.rows.doubt_expired(desk.now + timedelta(hours=1))
    desk.ledger.rows.doubt_dead(lambda owner: True, desk.now)
    desk.ledger.queries.next_due(desk.last)
    desk.ledger.queries.first_ready(desk.last)


def looking(desk: Any) -> None:
    queries = desk.ledger.queries
    for view in queries.campaigns():
        queries.counts(view.id)
    queries.progress(desk.last)
    queries.remaining(desk.last)
    queries.problems(desk.last)
    desk.ledger.bills.groups(desk.last)


def reporting(desk: Any) -> None:
    assert len(list(desk.ledger.queries.report_rows(desk.last))) == 30
    assert sum(len(page.row) for page in desk.ledger.report_pages.of(desk.last)) == 30


def reconciling(desk: Any) -> None:
    assert desk.ledger.queries.in_doubt(desk.last)
    desk.ledger.queries.settled_messages("sandbox", ["m2", "m3"])


def guarding(desk: Any) -> None:
    memory, since = desk.ledger.memory, desk.now - SINCE
    memory.guard_hits("sandbox", None, [bytes(16), b"x" * 16], since)
    memory.sent_to(["+393331234567"])
    memory.sent_as(["m2"])
    memory.sent_times("sandbox", ["+393331234567"], since)
    memory.sends_like(desk.last, [2, 3])
    memory.sends_at([(desk.last, 2)])


def delivering(desk: Any) -> None:
    report = DeliveryReport(message_id="m2", seen_at=desk.now, state=RowState.DELIVERED)
    assert desk.ledger.deliveries.record("sandbox", [report], desk.now).changed == 1
    desk.ledger.awaiting.among("sandbox", ["m3"])


def polling(desk: Any) -> None:
    desk.ledger.awaiting.rows(Asked("sandbox", [Span(until=desk.now)]), limit=5)
    desk.ledger.awaiting.give_up("sandbox", desk.now - SINCE, desk.now)


@pytest.mark.parametrize(
    "verb",
    [claiming, sweeping, looking, reporting, reconciling, guarding, delivering, polling],
    ids=lambda verb: verb.__name__,
)
def test_no_statement_reads_the_whole_table(sent: Any, verb: Callable[[Any], None]) -> None:
    with explained(sent.ledger) as plans:
        verb(sent)

    assert verb is looking or plans
    assert [plan for plan in plans if whole_table(plan)] == []


def test_rows_that_are_named_are_looked_up_one_by_one(sent: Any) -> None:
    with explained(sent.ledger) as plans:
        claiming(sent)

    named = [plan for plan in plans if "json_each" in plan or "ANY (" in plan]
    by_number = [plan for plan in named if "row=?" in plan or '("row" = ANY' in plan]
    assert len(named) >= 3  # those to be marked, those to be settled, their message ids
    assert [plan for plan in named if whole_table(plan)] == []
    assert len(by_number) >= 2


@pytest.mark.parametrize(
    ("verb", "index"),
    [
        (claiming, "rows_ready"),
        (sweeping, "rows_unsettled"),
        (guarding, "rows_guard"),
        (guarding, "rows_sent_to"),
        (guarding, "one_row_per_message"),
        (delivering, "one_row_per_message"),
        (polling, "rows_awaiting"),
        (looking, "rows_problem"),
    ],
)
def test_the_indexes_are_used(sent: Any, verb: Callable[[Any], None], index: str) -> None:
    if sent.ledger.path is None and index == "rows_guard":
        pytest.skip("in a table of a page a server finds rows as fast by any other index")
    with explained(sent.ledger) as plans:
        verb(sent)

    assert any(index in plan.partition("\n")[2] for plan in plans)
