"""What became of accepted messages.  A report for a row in flight or in doubt proves that it was accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from dispatcher.ledger.campaigns import locked
from dispatcher.ledger.counting import Counted, Tally
from dispatcher.ledger.database import Database
from dispatcher.ledger.journal import note
from dispatcher.ledger.records import Accepted, DeliveryReport
from dispatcher.ledger.schema import gateways, rows
from dispatcher.ledger.settling import readable_price, settle_rows, short_detail
from dispatcher.ledger.states import may_move


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """``changed``: rows that moved or learned their price; ``unknown``: message ids of no row of ours."""

    changed: int
    unknown: Sequence[str]


class Deliveries:
    """Records delivery reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, gateway: str, reports: Sequence[DeliveryReport], now: datetime) -> Recorded:
        """Apply reports from ``gateway``; a final state never changes again, telling twice does no harm."""
        changed, unknown = 0, []
        for report in reports:
            done = self._record(gateway, report, now)
            changed += bool(done)
            if done is None:
                unknown.append(report.message_id)
        return Recorded(changed=changed, unknown=unknown)

    def _record(self, gateway: str, report: DeliveryReport, now: datetime) -> bool | None:
        with self._database.write() as connection:
            place = _by_message(connection, gateway, report.message_id)
            proved = False
            if place is None:
                place = _by_key(connection, gateway, report)
                if place is None:
                    return None
                proved = _prove(connection, place, report, now)
            return _deliver(connection, place, report, now) or proved


def _by_message(connection: Connection, gateway: str, message_id: str) -> tuple[int, int] | None:
    found = connection.execute(
        select(rows.c.campaign_id, rows.c.row)
        .join(gateways, gateways.c.id == rows.c.gateway_id)
        .where(rows.c.message_id == message_id, gateways.c.name == gateway)
    ).one_or_none()
    return (found.campaign_id, found.row) if found else None


def _by_key(connection: Connection, gateway: str, report: DeliveryReport) -> tuple[int, int] | None:
    """The row the message says it is for, if an attempt at it was ever made on this gateway."""
    if report.campaign_id is None or report.row is None:
        return None
    found = connection.execute(
        select(rows.c.campaign_id, rows.c.row)
        .join(gateways, gateways.c.id == rows.c.gateway_id)
        .where(
            rows.c.campaign_id == report.campaign_id,
            rows.c.row == report.row,
            rows.c.attempt_token.is_not(None),
            gateways.c.name == gateway,
        )
    ).one_or_none()
    return (found.campaign_id, found.row) if found else None


def _prove(connection: Connection, place: tuple[int, int], report: DeliveryReport, now: datetime) -> bool:
    campaign = locked(connection, place[0])
    token = report.token or _row(connection, place).attempt_token
    answer = Accepted(
        token=token,
        row=place[1],
        message_id=report.message_id,
        sent_at=report.seen_at,
        actual_cost=report.actual_cost,
    )
    tally = Tally()
    moved, _ = settle_rows(connection, campaign, [answer], tally, now)
    tally.write(connection, campaign.id, now)
    if moved:
        note(
            connection,
            "proved_by_report",
            now,
            campaign_id=campaign.id,
            row=place[1],
            message_id=report.message_id,
        )
    return bool(moved)


def _row(connection: Connection, place: tuple[int, int]) -> Row[Any]:
    return connection.execute(
        select(rows).where(rows.c.campaign_id == place[0], rows.c.row == place[1])
    ).one()


def _deliver(connection: Connection, place: tuple[int, int], report: DeliveryReport, now: datetime) -> bool:
    """Move the accepted row to the reported state, or only learn its price."""
    campaign = locked(connection, place[0])
    row = _row(connection, place)
    if row.message_id != report.message_id:
        return False  # the row has another message; settling has written that down
    new = report.state if report.state is not None and may_move(row.state, report.state) else row.state
    values: dict[str, Any] = {}
    price = readable_price(report.actual_cost)
    if row.actual_cost is None and price is not None:
        values["actual_cost"] = price
    if new is not row.state:
        values |= {"state": new, "delivered_at": report.delivered_at}
        values |= {"error_code": report.error_code, "error_detail": short_detail(report.error_detail)}
    if not values:
        return False
    same = (rows.c.campaign_id == campaign.id, rows.c.row == row.row, rows.c.state == row.state)
    if connection.execute(update(rows).where(*same).values(values)).rowcount != 1:
        raise RuntimeError(f"campaign {campaign.id}: a row moved while it was locked")
    tally = Tally()
    before = Counted(row.state, row.parts, row.reserve_cost, row.actual_cost)
    tally.change(
        before, Counted(new, row.parts, row.reserve_cost, values.get("actual_cost", row.actual_cost))
    )
    tally.write(connection, campaign.id, now)
    return True
