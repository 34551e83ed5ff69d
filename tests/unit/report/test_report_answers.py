"""What the report says of a row: the ledger's rows in words, from a real ledger."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from dispatcher.campaign.reasons import Reason
from dispatcher.ledger import DeliveryReport, Ledger, RowState
from dispatcher.ledger.report_pages import PAGE
from dispatcher.report.answers import Answering
from dispatcher.report.rows import COLUMNS, row_by_row
from dispatcher.wording import Wording
from tests.unit.loaded import START, have_accepted, load_campaign, loadable_row

D, R = Decimal, RowState
CHARGES = {2: D("0.05"), 3: D("1.000000"), 4: None}
SENT, LATER = START + timedelta(milliseconds=999), START + timedelta(seconds=61)


def sent(ledger: Ledger, number: int, rows: list[tuple[Any, ...]]) -> int:
    """A campaign with rows 2 to 4 accepted, 2 of them delivered; all rows else as they are loaded."""
    campaign = load_campaign(ledger, number, rows, START)
    have_accepted(ledger, campaign, CHARGES, SENT)
    reports = [DeliveryReport(message_id="m2", seen_at=LATER, state=R.DELIVERED, delivered_at=LATER)]
    ledger.deliveries.record("sandbox", reports, LATER)
    return campaign


def told(
    ledger: Ledger, campaign: int, language: str = "en", zone: str = "Europe/Rome"
) -> dict[int, dict[str, Any]]:
    """By row, the columns that are not empty."""
    pages = Answering(ledger, campaign, Wording(language), ZoneInfo(zone)).pages()
    return {
        number: {name: value for name, value in zip(COLUMNS, values, strict=True) if value not in (None, "")}
        for number, values in row_by_row(pages)
    }


def test_what_was_sent_and_what_it_cost(ledger: Ledger) -> None:
    campaign = sent(ledger, 1, [loadable_row(n, encoding=n - 1 if n < 4 else None) for n in range(2, 6)])
    rows = told(ledger, campaign)
    assert rows[2] == {
        "sms_status": "delivered",
        "sms_recipient": "+393331200002",
        "sms_country": "IT",
        "sms_route": "IT",
        "sms_sender": "ACME",
        "sms_encoding": "GSM-7",
        "sms_parts": 1,
        "sms_estimated_cost": D("0.05"),
        "sms_actual_cost": D("0.05"),
        "sms_message_id": "m2",
        "sms_sent_at": "2026-03-02 10:00:00",
        "sms_delivered_at": "2026-03-02 10:01:01",
    }
    assert (rows[3]["sms_status"], rows[3]["sms_encoding"]) == ("accepted", "UCS-2")
    assert str(rows[3]["sms_actual_cost"]) == "1"
    assert not {"sms_encoding", "sms_actual_cost"} & rows[4].keys()
    assert (rows[5]["sms_status"], "sms_sent_at" in rows[5]) == ("ready", False)
    assert told(ledger, campaign, zone="Asia/Kolkata")[2]["sms_sent_at"] == "2026-03-02 14:30:00"


def test_what_was_not_planned_names_no_route(ledger: Ledger) -> None:
    rows = [
        loadable_row(2, R.INVALID, reason="phone_too_short", recipient=None, guard_key=None),
        loadable_row(3, R.DUPLICATE, reason="duplicate_in_file"),
    ]
    found = told(ledger, load_campaign(ledger, 1, rows, START), language="it")
    assert not {"sms_route", "sms_sender", "sms_encoding", "sms_parts"} & (found[2].keys() | found[3].keys())
    assert found[2]["sms_reason"] == f"phone_too_short: {Wording('it').reason('phone_too_short')}"
    assert found[3]["sms_recipient"] == "+393331200003"


def test_a_refused_text_is_shown_with_its_own_row(ledger: Ledger) -> None:
    campaign = load_campaign(ledger, 1, [loadable_row(n, text=f"bad  word {n}") for n in range(2, 5)], START)
    ledger.rows.exclude(campaign, [2, 4], R.REFUSED, str(Reason.FORBIDDEN_TEXT), START)
    found = told(ledger, campaign)
    assert "bad word 2" in found[2]["sms_reason"]
    assert "bad word 4" in found[4]["sms_reason"]
    assert "sms_reason" not in found[3]


def test_who_was_sent_it_before_is_told_by_which_message(ledger: Ledger) -> None:
    """By the row that a report names, else by the same text to the same person."""
    first = sent(ledger, 1, [loadable_row(n) for n in range(2, 5)])
    again = [
        (*loadable_row(2, R.ALREADY_SENT, reason=str(Reason.SENT_IN_REPORT), guard_key=None), f"{first}.3"),
        (*loadable_row(3, R.ALREADY_SENT, guard_key=(2).to_bytes(16, "big")), None),
        (*loadable_row(4, R.ALREADY_SENT, guard_key=bytes(16)), None),
        (*loadable_row(5, R.ALREADY_SENT, reason=str(Reason.SENT_IN_REPORT), guard_key=None), f"{first}.99"),
    ]
    found = told(ledger, load_campaign(ledger, 2, again, LATER))
    shown = {row: (found[row].get("sms_message_id"), found[row].get("sms_sent_at")) for row in found}
    assert shown == {
        2: ("m3", "2026-03-02 10:00:00"),
        3: ("m2", "2026-03-02 10:00:00"),
        4: (None, None),
        5: (None, None),
    }
    assert found[3]["sms_delivered_at"] == "2026-03-02 10:01:01"


def test_more_rows_than_a_page_has(ledger: Ledger) -> None:
    rows = [loadable_row(n, country="IT" if n % 2 else None) for n in range(2, 2 * PAGE + 9)]
    found = told(ledger, load_campaign(ledger, 1, rows, START))
    assert list(found) == list(range(2, 2 * PAGE + 9))
    assert all(found[n]["sms_recipient"] == f"+3933312{n:05d}" for n in found)
    assert all(("sms_country" in found[n]) == bool(n % 2) for n in found)
