"""What a report reads by the column is what everybody else reads row by row."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from dispatcher.ledger import DeliveryReport, RowState
from dispatcher.ledger.report_pages import PAGE, ReportPage
from dispatcher.ledger.values import to_instant, to_micros


def stored(value: object) -> object:
    """A value as the database holds it."""
    if isinstance(value, Decimal):
        return to_micros(value)
    return to_instant(value) if hasattr(value, "tzinfo") else value


def test_pages_hold_the_rows(desk: Any) -> None:
    campaign = desk.campaign(
        [*desk.rows(4), desk.row(9, RowState.INVALID, reason="phone_missing", recipient=None)]
    )
    desk.campaign(desk.rows(3))
    desk.claim(campaign, "t", 2)
    desk.settle(campaign, desk.accepted(2, "t"), desk.accepted(3, "t"))
    seen = desk.now + timedelta(seconds=7)
    report = DeliveryReport(
        message_id="m2", seen_at=seen, state=RowState.DELIVERED, delivered_at=seen, error_code="0"
    )
    desk.ledger.deliveries.record("sandbox", [report], seen)
    (page,) = desk.ledger.report_pages.of(campaign)
    rows = list(desk.ledger.queries.report_rows(campaign))
    for name in ReportPage._fields:
        values = getattr(page, name)
        assert list(values) == [stored(getattr(row, name)) for row in rows], name
        assert not [value for value in values if value is not None and type(value) not in (int, str)], name


def test_a_campaign_of_many_pages(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(2 * PAGE + 1), started=False)
    pages = list(desk.ledger.report_pages.of(campaign))
    assert [len(page.row) for page in pages] == [PAGE, PAGE, 1]
    assert [row for page in pages for row in page.row] == list(range(2, 2 * PAGE + 3))
