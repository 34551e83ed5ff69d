"""A ledger on a real file and on a real server, and a desk that drives rows through it by the store's own verbs."""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from dispatcher.ledger import (
    Accepted,
    ClaimRequest,
    DeliveryReport,
    InDoubt,
    Ledger,
    NotSent,
    Refused,
    RowState,
)
from dispatcher.ledger.bills import BillGroup
from dispatcher.ledger.values import from_micros
from tests.servers.postgres import Postgres
from tests.unit.loaded import START, load_campaign, loadable_row

REFUSALS = (sqlite3.IntegrityError, psycopg.IntegrityError)
"""How the databases say that a statement would break a promise of the schema."""


class Desk:
    """Shortcuts over one ledger; every change goes through the store."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now = START
        self._numbers = itertools.count(1)

    def row(self, number: int, state: RowState = RowState.READY, **other: Any) -> tuple[Any, ...]:
        return loadable_row(number, state, **other)

    def rows(self, n: int) -> list[tuple[Any, ...]]:
        return [self.row(number) for number in range(2, 2 + n)]

    def campaign(
        self,
        rows: Sequence[tuple[Any, ...]],
        *,
        started: bool = True,
        max_cost: Decimal | None = None,
        gateway: str = "sandbox",
        file_name: str = "people.xlsx",
    ) -> int:
        facts = {"max_cost": max_cost, "gateway": gateway, "file_name": file_name}
        campaign = load_campaign(self.ledger, next(self._numbers), rows, self.now, **facts)
        if started:
            assert self.ledger.campaigns.begin_preflight(campaign, self.now)
            assert self.ledger.campaigns.start_sending(campaign, self.now)
        return campaign

    def request(self, token: str, limit: int = 16, **other: Any) -> ClaimRequest:
        deadline = self.now + timedelta(seconds=30)
        return ClaimRequest(
            owner="tester", token=token, limit=limit, deadline=deadline, now=self.now, **other
        )

    def claim(self, campaign: int, token: str, limit: int = 16, **other: Any) -> list[int]:
        claim = self.ledger.rows.settle_and_claim(
            campaign, [], self.request(token, limit, **other), self.now
        ).claim
        assert claim is not None
        return [row.row for row in claim.rows]

    def settle(self, campaign: int, *settlements: Any) -> Any:
        return self.ledger.rows.settle_and_claim(campaign, settlements, None, self.now)

    def accepted(self, row: int, token: str, message_id: str | None = None, **other: Any) -> Accepted:
        other = {"actual_cost": Decimal("0.04"), **other}
        return Accepted(token=token, row=row, message_id=message_id or f"m{row}", sent_at=self.now, **other)

    def bring(self, campaign: int, row: int, state: RowState, token: str = "t") -> None:
        """A ready row to ``state``, by verbs; states a row only starts in must be loaded."""
        ledger, now = self.ledger, self.now
        if state in (
            RowState.OPTED_OUT,
            RowState.ALREADY_SENT,
            RowState.TOO_LATE,
            RowState.CAPPED,
            RowState.CANCELLED,
        ):
            assert self.claim(campaign, token, 1) == [row]  # tried, and turned away unread
            self.settle(campaign, self.not_sent(row, token))
            assert ledger.rows.exclude(campaign, [row], state, state.code, now) == 1
        if state > RowState.REFUSED or state is RowState.READY:
            return
        assert self.claim(campaign, token, 1) == [row]
        match state:
            case RowState.SENDING:
                return
            case RowState.IN_DOUBT:
                self.settle(campaign, InDoubt(token=token, row=row))
            case RowState.REFUSED:
                self.settle(campaign, Refused(token=token, row=row, reason="refused_by_gateway"))
            case _:
                self.settle(campaign, self.accepted(row, token))
        if state in (RowState.DELIVERED, RowState.UNDELIVERABLE, RowState.EXPIRED, RowState.REJECTED):
            report = DeliveryReport(message_id=f"m{row}", seen_at=now, state=state)
            assert ledger.deliveries.record("sandbox", [report], now).changed == 1

    def not_sent(self, row: int, token: str) -> NotSent:
        return NotSent(token=token, row=row)

    def raw(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database itself says; ``?`` stands for a value.  Its IntegrityError is one of :data:`REFUSALS`."""
        with closing(self._connect()) as connection:
            cursor = connection.execute(sql if self.ledger.path else sql.replace("?", "%s"), values)
            found = cursor.fetchall() if cursor.description else []
            connection.commit()
        return [tuple(row) for row in found]

    def refusal(self, sql: str, *values: Any) -> str:
        """Why the database refuses a statement, "" when it does not; nothing stays changed."""
        with closing(self._connect()) as connection:
            try:
                connection.execute(sql if self.ledger.path else sql.replace("?", "%s"), values)
            except REFUSALS as error:
                return str(error).splitlines()[0]
            finally:
                connection.rollback()
        return ""

    def _connect(self) -> Any:
        if self.ledger.path:
            connection = sqlite3.connect(self.ledger.path)
            connection.execute("PRAGMA foreign_keys = ON")
            return connection
        url = self.ledger._database.url  # the ledger's own is without its password
        return psycopg.connect(
            host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
        )

    def state(self, campaign: int, row: int) -> RowState:
        return RowState(
            self.raw("SELECT state FROM rows WHERE campaign_id = ? AND row = ?", campaign, row)[0][0]
        )

    def check_counters(self, campaign: int) -> None:
        """Counters and sums equal what the rows add up to."""
        sql = "SELECT state, parts, reserve_cost, actual_cost FROM rows WHERE campaign_id = ?"
        rows = [(RowState(s), p or 0, r or 0, a) for s, p, r, a in self.raw(sql, campaign)]
        progress = self.ledger.queries.progress(campaign)
        assert progress.rows == dict(Counter(state for state, *_ in rows))
        assert progress.parts == {
            state: sum(parts for other, parts, *_ in rows if other is state) for state in progress.rows
        }
        money = self.ledger.queries.campaign(campaign)
        sent = [row for row in rows if RowState.ACCEPTED <= row[0] <= RowState.REJECTED]
        flying = [row for row in rows if row[0] in (RowState.SENDING, RowState.IN_DOUBT)]
        committed = sum(r if a is None else a for _, _, r, a in sent) + sum(r for _, _, r, _ in flying)
        assert money.committed_cost * 1_000_000 == committed
        assert money.actual_cost * 1_000_000 == sum(a or 0 for *_, a in sent)
        assert money.accepted_unpriced == sum(a is None for *_, a in sent)
        kept = {(g.route, g.country, g.state): g for g in self.ledger.bills.groups(campaign)}
        assert kept == self.added_up(campaign)

    def added_up(self, campaign: int) -> dict[tuple[str | None, str | None, RowState], BillGroup]:
        """What the rows themselves add up to."""
        sql = (
            "SELECT route, country, state, parts, estimated_cost, actual_cost, actual_parts, actual_encoding"
            " FROM rows WHERE campaign_id = ?"
        )
        found: dict[tuple[str | None, str | None, RowState], BillGroup] = {}
        for route, country, state, parts, estimated, actual, *recounted in self.raw(sql, campaign):
            key = route, country, RowState(state)
            free = estimated == 0
            compared = estimated and actual is not None
            one = BillGroup(
                route=route,
                country=country,
                state=key[2],
                rows=1,
                parts=parts or 0,
                estimated=from_micros(estimated or 0),
                unestimated=estimated is None,
                charged=from_micros(actual or 0),
                unpriced=actual is None,
                bundled=free,
                bundled_parts=(parts or 0) * free,
                bundled_charged=from_micros((actual or 0) * free),
                dearer=bool(compared and actual > estimated),
                cheaper=bool(compared and actual < estimated),
                recounted=recounted != [None, None],
            )
            found.setdefault(key, BillGroup(route=route, country=country, state=key[2])).add(one)
        return found


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(ledger_url, create=True)
    yield opened
    opened.dispose()


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(ledger)


@pytest.fixture
def server_desk(postgres: Postgres, template: str) -> Iterator[Desk]:
    """A desk at a ledger on a server, for what a file cannot do; the server's clock dates its claims."""
    name = postgres.new_database(template)
    ledger = Ledger.open(postgres.url(name))
    yield Desk(ledger)
    ledger.dispose()
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def refusals() -> tuple[type[Exception], ...]:
    """What a database raises when a statement would break a promise of the schema."""
    return REFUSALS


@pytest.fixture(scope="session")
def new_desk() -> type[Desk]:
    """For tests that make ledgers of their own."""
    return Desk
