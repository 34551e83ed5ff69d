"""What a ledger forgets of campaigns that are over: numbers and texts.  Counts, costs, states and message ids stay.

A campaign is forgotten in short transactions, each of which can be the last one for now: the first one marks it
(``purge_begun_at``), the last one says that all is gone (``purged_at``).  Rows go by their content, so that none is
looked at twice, and none is hashed twice.

The guard goes on: what was sent within its days keeps its key, hashed once more under the ledger's own
(:mod:`dispatcher.ledger.keys`), until ``guarded_until``.  Everything else gets the key of nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from dispatcher.ledger.campaigns import locked
from dispatcher.ledger.claiming import one_at_a_time
from dispatcher.ledger.compacting import must_compact
from dispatcher.ledger.conditions import is_maybe_sent
from dispatcher.ledger.database import Database
from dispatcher.ledger.dry_runs import dry_runs
from dispatcher.ledger.inbox import inbox
from dispatcher.ledger.journal import note
from dispatcher.ledger.keys import DIGEST, Keyed
from dispatcher.ledger.schedule_tables import ticks
from dispatcher.ledger.schema import campaign_counts, campaigns, gateways, rows, screenings
from dispatcher.ledger.states import FINAL_CAMPAIGNS, MAYBE_SENT, CampaignState, RowState

CHUNK = 2_000
NOBODY = bytes(DIGEST)
_UNSETTLED = (RowState.SENDING, RowState.IN_DOUBT)
_KEPT_OPTIONS = frozenset(
    {
        *("preflight", "single_part", "again", "locale", "watched"),
        *("timezone", "windows", "cap", "remind_before"),
    }
)
"""None of them holds a text or a name; what is not known here goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A campaign that may be purged: it ended long enough ago, and every row of it is settled."""

    id: int
    rows: int
    begun: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A campaign that is as old and stays.  ``in_doubt``: it ended, and what became of some row is not known."""

    id: int
    state: CampaignState
    in_doubt: bool


class Purging:
    """Removes what a ledger knows about people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ended_before(self, moment: datetime) -> list[Ended]:
        """Campaigns that can be purged, or were not purged to the end, oldest first."""
        query = select(campaigns.c.id, campaigns.c.rows, campaigns.c.purge_begun_at).where(
            _ended(moment), campaigns.c.purged_at.is_(None), ~_has_unsettled()
        )
        with self._database.read() as connection:
            return [
                Ended(id=each.id, rows=each.rows, begun=each.purge_begun_at is not None)
                for each in connection.execute(query.order_by(campaigns.c.id))
            ]

    def left_before(self, moment: datetime) -> list[Left]:
        """Campaigns as old that nobody may forget: not ended, or with rows in doubt, which need number and text."""
        open_ones = and_(campaigns.c.state.not_in(FINAL_CAMPAIGNS), campaigns.c.updated_at < moment)
        doubtful = and_(_ended(moment), campaigns.c.purged_at.is_(None), _has_unsettled())
        query = select(campaigns.c.id, campaigns.c.state).where(or_(open_ones, doubtful))
        with self._database.read() as connection:
            return [
                Left(id=each.id, state=each.state, in_doubt=each.state in FINAL_CAMPAIGNS)
                for each in connection.execute(query.order_by(campaigns.c.id))
            ]

    def begin(self, campaign_id: int, before: datetime, guard: timedelta, now: datetime) -> bool:
        """Mark a campaign and forget what is not in its rows; False when it is none that can be purged (any more)."""
        with self._database.read() as connection:
            last = connection.execute(
                select(func.max(rows.c.attempt_started_at)).where(
                    rows.c.campaign_id == campaign_id, is_maybe_sent()
                )
            ).scalar()
        until = None if last is None or last + guard <= now else last + guard
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            there = (campaigns.c.id == campaign_id, _ended(before), ~_has_unsettled())
            if connection.execute(select(campaigns.c.id).where(*there)).first() is None:
                return False
            one_at_a_time(connection, campaign.gateway_id)
            options = {name: value for name, value in campaign.options.items() if name in _KEPT_OPTIONS}
            until = max(
                filter(None, (until, campaign.guarded_until)), default=None
            )  # or had it when it was begun
            marked = {"input_path": None, "options": options, "fingerprint": "", "guarded_until": until}
            begun = campaign.purge_begun_at or now
            statement = update(campaigns).where(campaigns.c.id == campaign_id)
            connection.execute(statement.values(**marked, purge_begun_at=begun))
            must_compact(connection)
        return True

    def forget_rows(self, campaign_id: int, after_row: int, guard: timedelta, now: datetime) -> int | None:
        """Forget the next rows behind ``after_row``, in one short transaction; gives the last one's number.

        None when there is none left.
        """
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            one_at_a_time(connection, campaign.gateway_id)
            query = select(rows.c.row, rows.c.state, rows.c.guard_key, rows.c.attempt_started_at)
            known = (rows.c.campaign_id == campaign_id, rows.c.row > after_row, _tells())
            found: Sequence[Any] = connection.execute(
                query.where(*known).order_by(rows.c.row).limit(CHUNK)
            ).all()
            if not found:
                return None
            guarded = [row for row in found if _is_guarded(row, now - guard)]
            _forget(connection, campaign_id, found, guarded)
            return int(found[-1].row)

    def finish(self, campaign_id: int, now: datetime) -> None:
        """Nothing of it is left."""
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            if campaign.purged_at is None:
                statement = update(campaigns).where(campaigns.c.id == campaign_id)
                connection.execute(statement.values(purged_at=now))
                note(connection, "purged", now, campaign_id=campaign_id, rows=campaign.rows)

    def drop_hashes(self, now: datetime) -> int:
        """Take the keyed hashes of purged campaigns whose guard days are over; gives how many campaigns that were."""
        over = select(campaigns.c.id).where(campaigns.c.guarded_until <= now)
        with self._database.read() as connection:
            done = list(connection.execute(over.order_by(campaigns.c.id)).scalars())
        for campaign_id in done:
            after = -1
            while (last := self._drop_some(campaign_id, after)) is not None:
                after = last
            with self._database.write() as connection:
                statement = update(campaigns).where(campaigns.c.id == campaign_id)
                connection.execute(statement.values(guarded_until=None))
        return len(done)

    def forget_beside(self, before: datetime) -> None:
        """What lies beside campaigns: screenings, dry runs, reports without a row, what failed ticks found."""
        old = (
            screenings.c.seen_at < before,
            # where a listing does not mark them, a row in doubt would be taken for sent by a dry run of its text
            and_(dry_runs.c.made_at < before, dry_runs.c.gateway.not_in(_doubtful_gateways())),
            inbox.c.received_at < before,
        )
        tables = (screenings, dry_runs, inbox)
        with self._database.write() as connection:
            gone = [
                connection.execute(delete(table).where(which)).rowcount
                for table, which in zip(tables, old, strict=True)
            ]
            if any(gone):
                must_compact(connection)
            of_tick = select(ticks.c.schedule_id, ticks.c.at, ticks.c.detail)
            for tick in connection.execute(of_tick.where(ticks.c.finished_at < before)).all():
                if facts := tick.detail.get("facts"):
                    same = (ticks.c.schedule_id == tick.schedule_id, ticks.c.at == tick.at)
                    detail = {**tick.detail, "facts": _wordless(facts)}
                    connection.execute(update(ticks).where(*same).values(detail=detail))

    def inputs(self) -> set[str]:
        """Where the kept inputs of campaigns lie that are not purged."""
        query = select(campaigns.c.input_path).where(campaigns.c.input_path.is_not(None))
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def open_options(self) -> list[Mapping[str, Any]]:
        """The options of every campaign that has not ended."""
        query = select(campaigns.c.options).where(campaigns.c.state.not_in(FINAL_CAMPAIGNS))
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def _drop_some(self, campaign_id: int, after_row: int) -> int | None:
        some = (rows.c.campaign_id == campaign_id, rows.c.row > after_row, rows.c.guard_key != NOBODY)
        with self._database.write() as connection:
            locked(connection, campaign_id)
            must_compact(connection)
            found = connection.execute(select(rows.c.row).where(*some).order_by(rows.c.row).limit(CHUNK))
            numbers = list(found.scalars())
            if not numbers:
                return None
            chosen = (rows.c.campaign_id == campaign_id, rows.c.row.in_(numbers))
            connection.execute(update(rows).where(*chosen).values(guard_key=NOBODY))
            return int(numbers[-1])


def _ended(before: datetime) -> ColumnElement[bool]:
    return and_(campaigns.c.state.in_(FINAL_CAMPAIGNS), campaigns.c.finished_at < before)


def _has_unsettled() -> ColumnElement[bool]:
    return exists().where(
        campaign_counts.c.campaign_id == campaigns.c.id,
        campaign_counts.c.state.in_(_UNSETTLED),
        campaign_counts.c.n > 0,
    )


def _doubtful_gateways() -> Select[tuple[str]]:
    of_campaign = campaigns.c.gateway_id == gateways.c.id
    return select(gateways.c.name).where(exists().where(of_campaign, _has_unsettled()))


def _tells() -> ColumnElement[bool]:
    """Rows that say something about a person still."""
    return or_(
        rows.c.recipient != "", rows.c.text != "", rows.c.phone.is_not(None), rows.c.error_detail.is_not(None)
    )


def _is_guarded(row: Row[Any], since: datetime) -> bool:
    return row.state in MAYBE_SENT and row.attempt_started_at is not None and row.attempt_started_at >= since


_WORDLESS: Mapping[str, Any] = {
    # the schema wants a recipient and a text of every row that was sent, and of what a late answer may call sent
    "recipient": func.substr(rows.c.recipient, 1, 0),
    "text": func.substr(rows.c.text, 1, 0),
    "phone": null(),
    "error_detail": null(),
}
_KEYLESS = case((rows.c.guard_key.is_(None), null()), else_=literal(NOBODY, LargeBinary))


def _forget(
    connection: Connection, campaign_id: int, found: Sequence[Row[Any]], guarded: Sequence[Row[Any]]
) -> None:
    keep = {row.row for row in guarded}
    others = [row.row for row in found if row.row not in keep]
    mine = rows.c.campaign_id == campaign_id
    if others:
        statement = update(rows).where(mine, rows.c.row.in_(others))
        connection.execute(statement.values(**_WORDLESS, guard_key=_KEYLESS))
    if guarded:
        keyed = Keyed(connection)
        statement = update(rows).where(mine, rows.c.row == bindparam("number"))
        connection.execute(
            statement.values(**_WORDLESS, guard_key=bindparam("hashed")),
            [{"number": row.row, "hashed": keyed.guard(bytes(row.guard_key))} for row in guarded],
        )


def _wordless(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same names, so that a sentence still finds them."""
    return {name: "" if isinstance(value, str) else value for name, value in facts.items()}
