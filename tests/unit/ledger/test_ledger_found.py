"""Statements over many values at once: what is bound as a list is compared as it is, and rows have their names."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import not_, or_, select

from dispatcher.ledger import Ledger, RowState
from dispatcher.ledger.found import OneOf, all_named
from dispatcher.ledger.schema import opt_outs, rows

TEXTS = [
    "plain",
    "",
    'a "quoted" one',
    "it's",
    "back\\slash",
    "è €",
    "😀",
    "[1,2]",
    "null",
    "1",
    "+393123456789",
]


@pytest.fixture
def listed(ledger: Ledger, desk: Any) -> Ledger:
    with ledger._database.write() as connection:
        values = [{"recipient": text, "added_at": desk.now, "source": "test"} for text in TEXTS]
        connection.execute(opt_outs.insert(), values)
    return ledger


@pytest.mark.parametrize(
    "wanted", [[], ["absent"], *([text] for text in TEXTS), [*TEXTS, "absent"], TEXTS[::2] * 2], ids=str
)
def test_texts_are_found_as_they_are(listed: Ledger, wanted: list[str]) -> None:
    query = select(opt_outs.c.recipient).where(OneOf(opt_outs.c.recipient, "wanted"))

    with listed._database.read() as connection:
        found = connection.execute(query, {"wanted": wanted}).scalars().all()

    assert sorted(found) == sorted(set(wanted) & set(TEXTS))


def test_numbers_are_found_also_beside_other_conditions(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(6))
    mine, some = rows.c.campaign_id == campaign, OneOf(rows.c.row, "some")
    queries = {
        select(rows.c.row).where(mine, some): [3, 5],
        select(rows.c.row).where(mine, or_(some, rows.c.row == 2)): [2, 3, 5],
        select(rows.c.row).where(mine, not_(some)): [2, 4, 6, 7],
    }

    with desk.ledger._database.read() as connection:
        for query, numbers in queries.items():
            found = connection.execute(query.order_by(rows.c.row), {"some": [5, 3, 99]}).scalars().all()
            assert found == numbers


def test_named_rows_have_the_statements_names_and_types(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(2))
    query = select(rows.c.row, rows.c.state, rows.c.due_at).where(rows.c.campaign_id == campaign)

    with desk.ledger._database.read() as connection:
        found = all_named(connection.execute(query.order_by(rows.c.row)))

    assert [(row.row, row.state) for row in found] == [(2, RowState.READY), (3, RowState.READY)]
    assert found[0]._fields == ("row", "state", "due_at")
    assert found[0].due_at.tzinfo is not None
