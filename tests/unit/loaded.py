"""Campaigns as a launch leaves them in a ledger: what tests of the ledger and of sending begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dispatcher.ledger import (
    ROW_COLUMNS,
    Accepted,
    ClaimRequest,
    Ledger,
    NewCampaign,
    RowState,
    Totals,
    to_instant,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RESERVE = 50_000  # micro-units a row


def loadable_row(number: int, state: RowState = RowState.READY, **other: Any) -> tuple[Any, ...]:
    """One row for ``load_rows``; ``other`` by the names of its columns, ``due_at`` as a datetime too."""
    values: dict[str, Any] = {
        "row": number,
        "state": int(state),
        "reason": None,
        "recipient": f"+3933312{number:05d}",
        "country": "IT",
        "route": "IT",
        "sender": "ACME",
        "text": f"Hello {number}",
        "encoding": 1,
        "parts": 1,
        "estimated_cost": RESERVE,
        "reserve_cost": RESERVE,
        "guard_key": number.to_bytes(16, "big"),
        "repairs": 0,
        "phone": None,
        "due_at": None,
    }
    values |= other
    if isinstance(values["due_at"], datetime):
        values["due_at"] = to_instant(values["due_at"])
    return tuple(values[name] for name in ROW_COLUMNS)


def load_campaign(
    ledger: Ledger, number: int, rows: Sequence[tuple[Any, ...]], now: datetime, **other: Any
) -> int:
    """A planned campaign of ``rows``, the ledger's ``number``-th; ``other`` by the names of its facts."""
    facts: dict[str, Any] = {
        "name": f"c{number}",
        "file_name": "people.xlsx",
        "file_sha256": f"{number:064x}",
        "gateway": "sandbox",
        "fingerprint": "f",
        "owner": "tester",
    }
    campaign = ledger.loading.create_campaign(NewCampaign(**{**facts, **other}), now)
    ledger.loading.load_rows(campaign, rows)
    parts = sum(row[9] or 0 for row in rows if row[1] == RowState.READY)
    cost = Decimal(RESERVE * len(rows)) / 1_000_000
    ledger.loading.finish_loading(campaign, Totals(rows=len(rows), parts=parts, estimated_cost=cost), now)
    return campaign


def have_accepted(
    ledger: Ledger, campaign: int, charges: Mapping[int, Decimal | None], sent_at: datetime = START
) -> None:
    """Send a planned campaign's first rows, those that ``charges`` name: row 2 is accepted as message m2."""
    assert ledger.campaigns.begin_preflight(campaign, START)
    assert ledger.campaigns.start_sending(campaign, START)
    deadline = START + timedelta(seconds=30)
    request = ClaimRequest(owner="me", token="t", limit=len(charges), deadline=deadline, now=START)
    ledger.rows.settle_and_claim(campaign, [], request, START)
    accepted = [
        Accepted(token="t", row=row, message_id=f"m{row}", sent_at=sent_at, actual_cost=charge)
        for row, charge in charges.items()
    ]
    ledger.rows.settle_and_claim(campaign, accepted, None, START)
