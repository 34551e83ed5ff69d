"""From a gateway's message to what the ledger is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dispatcher.delivery.reports import FINAL, report_of
from dispatcher.gateway.models import FINAL_STATES, EchoedCallback, EchoedOptions, Message, MessageState
from dispatcher.ledger import DeliveryReport, RowState

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=3)
LEDGER = "0a1b2c3d"


def told(route: str | None = "IT", **of_message: Any) -> DeliveryReport | None:
    message = Message(**{"id": "m1", **of_message})
    return report_of(message, ledger_id=LEDGER, seen_at=NOW, route=route)


def report(route: str | None = "IT", **of_message: Any) -> DeliveryReport:
    found = told(route, **of_message)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, None),
        (MessageState.NEW, None),
        (MessageState.PENDING, None),
        (MessageState.DELIVERED, RowState.DELIVERED),
        (MessageState.UNDELIVERABLE, RowState.UNDELIVERABLE),
        (MessageState.EXPIRED, RowState.EXPIRED),
        (MessageState.REJECTED, RowState.REJECTED),
    ],
)
def test_only_a_final_state_moves_a_row(state: MessageState | None, expected: RowState | None) -> None:
    assert report(state=state).state is expected


def test_every_final_state_of_the_gateway_is_placed() -> None:
    assert set(FINAL) == FINAL_STATES


def test_a_dry_run_says_nothing_about_a_row() -> None:
    echoed = EchoedOptions.model_validate({"dryRun": True})
    assert told(options=echoed, state=MessageState.NEW) is None


@pytest.mark.parametrize(
    ("route", "total", "expected"),
    [
        ("IT", Decimal("0.045"), Decimal("0.045")),
        ("IT", Decimal(0), Decimal(0)),
        ("ES", None, None),
        ("WW", Decimal(0), None),
        ("WW", Decimal("0.07"), Decimal("0.07")),
        (None, Decimal(0), None),
        (None, Decimal("0.07"), Decimal("0.07")),
    ],
)
def test_a_worldwide_zero_is_no_price_and_neither_is_one_of_an_unknown_route(
    route: str | None, total: Decimal | None, expected: Decimal | None
) -> None:
    assert report(route, total_price=total).actual_cost == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"{LEDGER}.12.345", (12, 345)),
        ("ffffffff.12.345", (None, None)),  # of another ledger of the same account
        (f"{LEDGER}.12", (None, None)),
        (f"{LEDGER}.0.3", (None, None)),
        (f"{LEDGER}.12.99999999999999999999", (None, None)),
        (f"{LEDGER}.12.3.4", (None, None)),
        (None, (None, None)),
    ],
)
def test_a_row_is_named_by_a_key_of_this_ledger_only(
    key: str | None, expected: tuple[int | None, int | None]
) -> None:
    found = report(callback=EchoedCallback(custom={"row": key}))
    assert (found.campaign_id, found.row) == expected


@pytest.mark.parametrize(("name", "number"), [("GSM-7", 1), ("UCS-2", 2), ("7bit", None), (None, None)])
def test_parts_and_encoding_are_the_gateways_own(name: str | None, number: int | None) -> None:
    found = report(message_count=3, encoding=name)
    assert (found.parts, found.encoding) == (3, number)


def test_no_part_is_no_count() -> None:
    assert report(message_count=0).parts is None


@pytest.mark.parametrize(
    ("times", "state", "expected"),
    [
        ({"delivered_at": EARLIER, "updated_at": NOW}, MessageState.DELIVERED, EARLIER),
        ({"updated_at": EARLIER}, MessageState.DELIVERED, EARLIER),
        ({}, MessageState.DELIVERED, None),
        ({"updated_at": EARLIER}, MessageState.EXPIRED, None),
    ],
)
def test_when_it_was_delivered(
    times: dict[str, datetime], state: MessageState, expected: datetime | None
) -> None:
    assert report(state=state, **times).delivered_at == expected


def test_when_it_was_sent() -> None:
    assert report(created_at=EARLIER).sent_at == EARLIER
    assert report(sent_at=NOW, created_at=EARLIER).sent_at == NOW
    assert report().sent_at is None


def test_why_a_message_was_blocked_is_kept() -> None:
    assert (
        report(blocklisted=True, blocklisted_reason="forbidden content").error_detail == "forbidden content"
    )
    assert report(blocklisted=False, blocklisted_reason="").error_detail is None
