"""Campaigns move by verbs; each names the states it starts from and answers False when the campaign is
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, exists, or_, select, update

from dispatcher.errors import Halted, UsageError
from dispatcher.ledger.bulk import move_ready_rows
from dispatcher.ledger.conditions import is_ready
from dispatcher.ledger.counting import Tally
from dispatcher.ledger.database import Database
from dispatcher.ledger.journal import note
from dispatcher.ledger.schema import campaign_counts, campaigns, gateways, halts, rows
from dispatcher.ledger.states import CAMPAIGN_MOVES, OPEN, CampaignState, RowState

C = CampaignState

_stops = and_(
    halts.c.gateway == gateways.c.name, or_(halts.c.account == "", halts.c.account == campaigns.c.account)
)
_LOCKED = (
    select(campaigns, gateways.c.name.label("gateway"), exists().where(_stops).label("halted"))
    .join(gateways, gateways.c.id == campaigns.c.gateway_id)
    .with_for_update(of=campaigns)
)
_ONE_LOCKED = _LOCKED.where(campaigns.c.id == bindparam("of_campaign"))


def locked(connection: Connection, campaign_id: int) -> Row[Any]:
    """The campaign, held against every other writer until the transaction ends; UsageError when there is
    none.
    """
    campaign = connection.execute(_ONE_LOCKED, {"of_campaign": campaign_id}).one_or_none()
    if campaign is None:
        raise UsageError("ledger_no_campaign", found=str(campaign_id))
    return campaign


def all_locked(connection: Connection, *where: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """The campaigns (and ``gateways``) that match, held like :func:`locked`, each as it is once its lock is there.

    In the order of their numbers: two processes that lock several never wait for each other.
    """
    return connection.execute(_LOCKED.where(*where).order_by(campaigns.c.id)).all()


def move(
    connection: Connection, campaign: Row[Any], new: CampaignState, reason: str | None, now: datetime
) -> None:
    """Write one legal move of a locked campaign, and the journal's entry."""
    values: dict[str, Any] = {"state": new, "state_reason": reason, "updated_at": now}
    if new is C.SENDING and campaign.started_at is None:
        values["started_at"] = now
    if new in (C.FINISHED, C.CANCELLED):
        values["finished_at"] = now
    guarded = update(campaigns).where(campaigns.c.id == campaign.id, campaigns.c.state == campaign.state)
    if connection.execute(guarded.values(values)).rowcount != 1:
        raise RuntimeError(f"campaign {campaign.id} moved while it was locked")
    detail = {"old": campaign.state.code, "new": new.code, "reason": reason}
    note(connection, "state", now, campaign_id=campaign.id, **detail)


def before(new: CampaignState) -> frozenset[CampaignState]:
    """The states from which ``new`` can be reached."""
    return frozenset(old for old, to in CAMPAIGN_MOVES if to is new)


class Campaigns:
    """Moves of campaigns.  Every verb returns whether the campaign moved, and writes the journal."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_preflight(self, campaign_id: int, now: datetime) -> bool:
        """Screening starts (again)."""
        return self._move(campaign_id, before(C.PREFLIGHT), C.PREFLIGHT, None, now)

    def planned_again(self, campaign_id: int, now: datetime) -> bool:
        """Back to the plan: only a dry run was asked for, or a crash interrupted the preflight."""
        return self._move(campaign_id, before(C.PLANNED) - {C.LOADING}, C.PLANNED, None, now)

    def await_approval(self, campaign_id: int, now: datetime) -> bool:
        """Somebody has to say yes first."""
        return self._move(campaign_id, before(C.WAITING_APPROVAL), C.WAITING_APPROVAL, None, now)

    def start_sending(self, campaign_id: int, now: datetime) -> bool:
        """Approved, or a row is due.  Halted when the whole account is stopped."""
        return self._move(
            campaign_id, frozenset({C.PREFLIGHT, C.WAITING_APPROVAL, C.WAITING}), C.SENDING, None, now
        )

    def resume(self, campaign_id: int, now: datetime) -> bool:
        """A person sets a paused, held or halted campaign going.  Halted when the whole account is
        stopped.
        """
        return self._move(campaign_id, frozenset({C.PAUSED, C.HELD, C.HALTED}), C.SENDING, None, now)

    def wait(self, campaign_id: int, reason: str, now: datetime) -> bool:
        """The rest waits for due times or a window."""
        return self._move(campaign_id, before(C.WAITING), C.WAITING, reason, now)

    def pause(self, campaign_id: int, now: datetime, reason: str | None = None) -> bool:
        """A person, or Ctrl-C.  Claimed rows may still be settled; nothing more is claimed."""
        return self._move(campaign_id, before(C.PAUSED), C.PAUSED, reason, now)

    def hold(self, campaign_id: int, reason: str, now: datetime) -> bool:
        """A person has to look before anything goes on."""
        return self._move(campaign_id, before(C.HELD), C.HELD, reason, now)

    def halt(self, campaign_id: int, reason: str, now: datetime) -> bool:
        """Stop this campaign: going on would be dangerous.  ``Halts.stop`` stops the whole account."""
        return self._move(campaign_id, before(C.HALTED), C.HALTED, reason, now)

    def finish_if_done(self, campaign_id: int, now: datetime) -> CampaignState:
        """FINISHED when no row is open, WAITING when every open row is due later; returns the state it is in
        then.
        """
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            new = _next_state(connection, campaign, now)
            if new is not None:
                move(connection, campaign, new, "due_times" if new is C.WAITING else None, now)
            state: CampaignState = new or campaign.state
            return state

    def due(self, gateway: str, now: datetime) -> list[int]:
        """Waiting campaigns of the gateway that have a due row and no stop.

        Windows are due times too: a row whose window is closed is due when it opens.
        """
        ready = exists().where(rows.c.campaign_id == campaigns.c.id, is_ready(), rows.c.due_at <= now)
        waiting = and_(campaigns.c.state == C.WAITING, ~exists().where(_stops))
        query = select(campaigns.c.id).join(gateways, gateways.c.id == campaigns.c.gateway_id)
        with self._database.read() as connection:
            chosen = query.where(gateways.c.name == gateway, waiting, ready).order_by(campaigns.c.id)
            return list(connection.execute(chosen).scalars())

    def wake(self, campaign_id: int, now: datetime) -> bool:
        """A waiting campaign is sent on, since a row of it is due; False where the whole account is stopped."""
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            if campaign.state is not C.WAITING or campaign.halted:
                return False
            move(connection, campaign, C.SENDING, None, now)
            return True

    def cancel(self, campaign_id: int, now: datetime, reason: str | None = None) -> bool:
        """No further row is claimed; ready rows become cancelled, in short transactions.

        Called again after a crash it goes on where it stopped.  Rows in flight are settled as usual.
        """
        moved = self._move(campaign_id, before(C.CANCELLED), C.CANCELLED, reason, now)
        with self._database.read() as connection:
            state = connection.execute(
                select(campaigns.c.state).where(campaigns.c.id == campaign_id)
            ).scalar_one()
        while state is C.CANCELLED and self._cancel_some(campaign_id, now):
            pass
        return moved

    def set_account(self, campaign_id: int, account: str, now: datetime) -> bool:
        """The account of the first answer is the campaign's for good; False when it is another one."""
        known = or_(campaigns.c.account.is_(None), campaigns.c.account == account)
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            if campaign.account == account:
                return True
            statement = update(campaigns).where(campaigns.c.id == campaign_id, known)
            done = connection.execute(statement.values(account=account, updated_at=now)).rowcount == 1
            note(connection, "account" if done else "another_account", now, campaign_id=campaign_id)
            return done

    def set_report(self, campaign_id: int, path: str, sha256: str, now: datetime) -> None:
        """Where the report was written and what it was, to see later whether somebody changed it."""
        statement = update(campaigns).where(campaigns.c.id == campaign_id)
        with self._database.write() as connection:
            connection.execute(statement.values(report_path=path, report_sha256=sha256, updated_at=now))

    def set_max_cost(self, campaign_id: int, max_cost: Any, by: str, now: datetime) -> None:
        """A person approves another limit (Decimal, or None for none)."""
        with self._database.write() as connection:
            locked(connection, campaign_id)
            statement = update(campaigns).where(campaigns.c.id == campaign_id)
            connection.execute(statement.values(max_cost=max_cost, updated_at=now))
            written = None if max_cost is None else str(max_cost)
            note(connection, "max_cost", now, campaign_id=campaign_id, max_cost=written, by=by)

    def set_priority(self, campaign_id: int, priority: int, by: str, now: datetime) -> None:
        """A person makes it more or less urgent; who sends it, or gives way to it, sees so within a second."""
        with self._database.write() as connection:
            locked(connection, campaign_id)
            statement = update(campaigns).where(campaigns.c.id == campaign_id)
            connection.execute(statement.values(priority=int(priority), updated_at=now))
            note(connection, "priority", now, campaign_id=campaign_id, priority=int(priority), by=by)

    def _move(
        self,
        campaign_id: int,
        old: Iterable[CampaignState],
        new: CampaignState,
        reason: str | None,
        now: datetime,
    ) -> bool:
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            if campaign.state not in old:
                return False
            if new is C.SENDING and campaign.halted:
                raise Halted("ledger_account_halted", found=campaign.gateway, campaign=campaign_id)
            move(connection, campaign, new, reason, now)
            return True

    def _cancel_some(self, campaign_id: int, now: datetime) -> int:
        with self._database.write() as connection:
            locked(connection, campaign_id)
            tally = Tally()
            moved = move_ready_rows(connection, campaign_id, RowState.CANCELLED, "cancelled", tally)
            tally.write(connection, campaign_id, now)
            return moved


def _next_state(connection: Connection, campaign: Row[Any], now: datetime) -> CampaignState | None:
    if campaign.state not in (C.PREFLIGHT, C.SENDING, C.WAITING, C.PAUSED):
        return None
    of_campaign = campaign_counts.c.campaign_id == campaign.id
    query = select(campaign_counts.c.state).where(
        of_campaign, campaign_counts.c.n > 0, campaign_counts.c.state.in_(OPEN)
    )
    still = set(connection.execute(query).scalars())
    if not still:
        return C.FINISHED
    if campaign.state is not C.SENDING or still != {RowState.READY}:
        return None
    due = select(rows.c.row).where(rows.c.campaign_id == campaign.id, is_ready(), rows.c.due_at <= now)
    return C.WAITING if connection.execute(due.limit(1)).first() is None else None
