"""A plan becomes rows: all of them before anything is sent, or none."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from dispatcher.errors import UsageError
from dispatcher.ledger.campaigns import locked, move
from dispatcher.ledger.conditions import is_open
from dispatcher.ledger.database import LET_OTHERS, Database
from dispatcher.ledger.journal import note
from dispatcher.ledger.records import ROW_COLUMNS, ROW_EXTRAS, NewCampaign, Totals
from dispatcher.ledger.schema import campaign_counts, campaigns, events, gateways, rows
from dispatcher.ledger.states import FINAL_CAMPAIGNS, ROW_STARTS, CampaignState, RowState
from dispatcher.ledger.sums import Counted, add_up, campaign_sums
from dispatcher.ledger.upsert import insert_into
from dispatcher.ledger.values import from_micros

CHUNK = 2_000
CHUNK_BESIDE_OTHERS = 500  # rows: their transaction holds the lock for some ten milliseconds
_DUE_AT = ROW_COLUMNS.index("due_at")
_COUNTED = itemgetter(
    *(ROW_COLUMNS.index(name) for name in ("state", "parts", "route", "country", "estimated_cost"))
)
_SOMEBODY_SENDS = select(campaigns.c.id).where(is_open(), campaigns.c.state == CampaignState.SENDING).limit(1)
_STARTS = frozenset(int(state) for state in ROW_STARTS)


class Loading:
    """Creates, fills and discards campaigns that have not started."""

    def __init__(self, database: Database, pause: Callable[[float], None] = time.sleep) -> None:
        self._database = database
        self._pause = pause
        self._size = CHUNK  # rows of the next transaction

    def create_campaign(self, new: NewCampaign, now: datetime) -> int:
        """A campaign in LOADING; returns the number people type.

        UsageError when the same file with the same options is already under way on this gateway.
        """
        values = asdict(new)
        name = values.pop("gateway")
        zero = {"rows": 0, "parts": 0, "unpriced_rows": 0, "accepted_unpriced": 0, "not_echoed": 0}
        money = {"committed_cost": Decimal(0), "actual_cost": Decimal(0)}
        with self._database.write() as connection:
            gateway_id = _gateway(connection, name)
            values |= {"gateway_id": gateway_id, "state": CampaignState.LOADING, **zero, **money}
            values |= {"created_at": now, "updated_at": now}
            campaign_id = _insert(connection, new, gateway_id, values)
            counts = [{"campaign_id": campaign_id, "state": state, "n": 0, "parts": 0} for state in RowState]
            connection.execute(insert(campaign_counts), counts)
            note(connection, "created", now, campaign_id=campaign_id)
        return campaign_id

    def load_rows(self, campaign_id: int, batch: Sequence[tuple[Any, ...]]) -> None:
        """Rows as tuples in the order of ``ROW_COLUMNS``, in transactions of at most 2,000 rows.

        Values beyond these, if any, are those of ``ROW_EXTRAS``.  Where a campaign is being sent from the same file,
        the transactions are shorter, with gaps in which its one lock is free.

        ValueError for a state no row starts in; UsageError when the campaign is not being loaded (any more).
        """
        start = 0
        while start < len(batch):
            some = batch[start : start + self._size]
            in_the_way = self._load(campaign_id, some)
            start += len(some)
            self._size = CHUNK_BESIDE_OTHERS if in_the_way else CHUNK
            if in_the_way:
                self._pause(LET_OTHERS)

    def _load(self, campaign_id: int, batch: Sequence[tuple[Any, ...]]) -> bool:
        """Whether somebody who sends has to wait for it; on a server nobody has."""
        n: Counter[int] = Counter()
        parts: Counter[int] = Counter()
        kinds = Counter(map(_COUNTED, batch))
        for (state, of_row, *_), count in kinds.items():
            n[state] += count
            parts[state] += count * (of_row or 0)
        if not n.keys() <= _STARTS:
            raise ValueError(f"no row starts in state {sorted(n.keys() - _STARTS)}")
        of_campaign = campaign_counts.c.campaign_id == campaign_id
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            if campaign.state is not CampaignState.LOADING:
                raise UsageError("ledger_not_loading", found=campaign.state.code, campaign=campaign_id)
            _write_rows(connection, campaign_id, campaign.gateway_id, batch)
            for state, count in n.items():
                more = {"n": campaign_counts.c.n + count, "parts": campaign_counts.c.parts + parts[state]}
                of_state = campaign_counts.c.state == RowState(state)
                connection.execute(update(campaign_counts).where(of_campaign, of_state).values(more))
            add_up(connection, campaign_id, {_counted(*kind): count for kind, count in kinds.items()})
            return self._database.path is not None and connection.execute(_SOMEBODY_SENDS).first() is not None

    def finish_loading(self, campaign_id: int, totals: Totals, now: datetime) -> None:
        """LOADING -> PLANNED once every row of the plan is there; RuntimeError when the numbers do not add
        up.
        """
        of_campaign = campaign_counts.c.campaign_id == campaign_id
        ready = campaign_counts.c.state == RowState.READY
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            if campaign.state is not CampaignState.LOADING:
                raise UsageError("ledger_not_loading", found=campaign.state.code, campaign=campaign_id)
            loaded = connection.execute(select(func.sum(campaign_counts.c.n)).where(of_campaign)).scalar_one()
            parts = connection.execute(select(campaign_counts.c.parts).where(of_campaign, ready)).scalar_one()
            if (loaded, parts) != (totals.rows, totals.parts):
                raise RuntimeError(
                    f"loaded {loaded} rows and {parts} parts to send, planned {totals.rows}, {totals.parts}"
                )
            connection.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(asdict(totals)))
            move(connection, campaign, CampaignState.PLANNED, None, now)

    def discard_campaign(self, campaign_id: int, now: datetime) -> bool:
        """Delete a campaign of which nothing was ever attempted; False (and nothing deleted) for any
        other.
        """
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            if campaign.started_at is not None or _attempted(connection, campaign_id):
                return False
            if campaign.state not in FINAL_CAMPAIGNS | {CampaignState.LOADING}:
                move(connection, campaign, CampaignState.CANCELLED, "discarded", now)
        while self._delete_some(campaign_id):
            pass
        with self._database.write() as connection:
            for table in (campaign_counts, campaign_sums, events):
                connection.execute(delete(table).where(table.c.campaign_id == campaign_id))
            connection.execute(delete(campaigns).where(campaigns.c.id == campaign_id))
        return True

    def discard_unfinished_loads(self, now: datetime, owner_is_dead: Callable[[str], bool]) -> list[int]:
        """Delete what a dead process left half loaded; returns the ids."""
        loading = select(campaigns.c.id, campaigns.c.owner).where(campaigns.c.state == CampaignState.LOADING)
        with self._database.read() as connection:
            found = connection.execute(loading).all()
        dead = [campaign.id for campaign in found if campaign.owner is None or owner_is_dead(campaign.owner)]
        return [campaign_id for campaign_id in dead if self.discard_campaign(campaign_id, now)]

    def _delete_some(self, campaign_id: int) -> int:
        some = select(rows.c.row).where(rows.c.campaign_id == campaign_id).limit(CHUNK)
        with self._database.write() as connection:
            chosen = delete(rows).where(rows.c.campaign_id == campaign_id, rows.c.row.in_(some))
            return connection.execute(chosen).rowcount


def _counted(
    state: int, parts: int | None, route: str | None, country: str | None, estimated: int | None
) -> Counted:
    price = None if estimated is None else from_micros(estimated)
    return Counted(RowState(state), parts, None, None, route, country, price)


def _gateway(connection: Connection, name: str) -> int:
    known = select(gateways.c.id).where(gateways.c.name == name)
    found = connection.execute(known).scalar()
    if found is None:
        connection.execute(insert_into(connection, gateways).values(name=name).on_conflict_do_nothing())
        found = connection.execute(known).scalar_one()
    return int(found)


def _insert(connection: Connection, new: NewCampaign, gateway_id: int, values: dict[str, Any]) -> int:
    statement = insert_into(connection, campaigns).values(values).on_conflict_do_nothing()
    campaign_id: int | None = None
    while campaign_id is None:  # a twin may come after the look, and be over before the next one
        _refuse_twin(connection, new, gateway_id)
        campaign_id = connection.execute(statement.returning(campaigns.c.id)).scalar()
    return campaign_id


def _refuse_twin(connection: Connection, new: NewCampaign, gateway_id: int) -> None:
    same = (
        campaigns.c.file_sha256 == new.file_sha256,
        campaigns.c.fingerprint == new.fingerprint,
        campaigns.c.gateway_id == gateway_id,
        campaigns.c.state.not_in(FINAL_CAMPAIGNS),
    )
    twin = connection.execute(select(campaigns.c.id).where(*same)).scalar()
    if twin is not None:
        raise UsageError("ledger_same_file_open", file=new.file_name, found=str(twin))


def _attempted(connection: Connection, campaign_id: int) -> bool:
    attempted = select(rows.c.row).where(rows.c.campaign_id == campaign_id, rows.c.attempt_token.is_not(None))
    return connection.execute(attempted.limit(1)).first() is not None


def _write_rows(
    connection: Connection, campaign_id: int, gateway_id: int, batch: Sequence[tuple[Any, ...]]
) -> None:
    names = (*ROW_COLUMNS, *ROW_EXTRAS)[: len(batch[0])]
    into = f"rows (campaign_id, gateway_id, {', '.join(names)})"
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for row in batch:
                copy.write_row(
                    (campaign_id, gateway_id, *row[:_DUE_AT], row[_DUE_AT] or 0, *row[_DUE_AT + 1 :])
                )
        return
    # raw tuples: insert() would cost 13 s a million; the numbers are our own, never text from outside
    marks = ", ".join("coalesce(?, 0)" if name == "due_at" else "?" for name in names)
    values = f"VALUES ({campaign_id:d}, {gateway_id:d}, {marks})"
    connection.exec_driver_sql(f"INSERT INTO {into} {values}", list(batch))
