"""Rows on their way: claim, settle, release, doubt, resolve, exclude.  Each verb is guarded by state and
token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_

from dispatcher.ledger.bulk import CHUNK, move_ready_rows
from dispatcher.ledger.campaigns import locked
from dispatcher.ledger.chunks import in_chunks
from dispatcher.ledger.claiming import claim_rows
from dispatcher.ledger.conditions import is_unsettled
from dispatcher.ledger.counting import Tally
from dispatcher.ledger.database import Database
from dispatcher.ledger.deliveries import match_waiting
from dispatcher.ledger.journal import note
from dispatcher.ledger.records import (
    Accepted,
    Claim,
    ClaimRequest,
    NotSent,
    Resolution,
    Settled,
    Settlement,
)
from dispatcher.ledger.reserves import raise_reserves
from dispatcher.ledger.resolving import decide_doubt
from dispatcher.ledger.schema import rows
from dispatcher.ledger.settling import CLAIM_EXPIRED, FACTS, doubtful, settle_rows
from dispatcher.ledger.states import RowState
from dispatcher.ledger.unasked import sent_unasked
from dispatcher.ledger.writing import write_decisions

R = RowState


class Rows:
    """Every write to rows after loading."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        campaign_id: int,
        *,
        owner: str,
        token: str,
        limit: int,
        deadline: datetime,
        now: datetime,
        guard_since: datetime | None = None,
        respect_opt_outs: bool = True,
    ) -> Claim:
        """Ready and due rows become SENDING under ``token``, in order of due time, then row.

        Only while the campaign is SENDING and the account is not stopped, and only rows that fit max_cost.
        """
        request = ClaimRequest(
            owner=owner,
            token=token,
            limit=limit,
            deadline=deadline,
            now=now,
            guard_since=guard_since,
            respect_opt_outs=respect_opt_outs,
        )
        claim = self.settle_and_claim(campaign_id, [], request, now).claim
        if claim is None:
            raise RuntimeError("a claim was asked for and not made")
        return claim

    def settle_and_claim(
        self, campaign_id: int, settlements: Sequence[Settlement], request: ClaimRequest | None, now: datetime
    ) -> Settled:
        """One transaction: the last batch's outcomes, then the next intents.

        A server dates them by its own clock; what ``request`` says about time is relative to its ``now``.
        """
        tally = Tally()
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            ahead = self._database.ahead(connection, now)
            now += ahead
            moved, ignored = settle_rows(connection, campaign, settlements, tally, now)
            match_waiting(connection, campaign, {each.row for each in settlements}, tally, now)
            claim = claim_rows(connection, campaign, request.later(ahead), tally) if request else None
            tally.write(connection, campaign_id, now)
        return Settled(moved=moved, ignored=ignored, state=campaign.state, claim=claim)

    def sent_unasked(
        self, campaign_id: int, answer: Accepted, *, owner: str, started: datetime, now: datetime
    ) -> bool:
        """A dry run of a ready row, made after ``started``, was taken for a real message: the row becomes ACCEPTED,
        whatever the campaign's state.  False when the row is not ready.
        """
        tally = Tally()
        request = ClaimRequest(owner=owner, token=answer.token, limit=1, deadline=now, now=started)
        with self._database.write() as connection:
            done = sent_unasked(connection, locked(connection, campaign_id), answer, request, tally, now)
            tally.write(connection, campaign_id, now)
        return done

    def release(self, campaign_id: int, tokens: Iterable[str], now: datetime) -> int:
        """Unsettled rows under ``tokens`` go back to ready; returns how many.

        Only for the owner of the tokens, who knows that nothing of them left: also where their deadline has
        passed meanwhile and they are in doubt.
        """
        wanted = (
            rows.c.campaign_id == campaign_id,
            is_unsettled(),
            rows.c.attempt_token.in_(list(tokens)),
        )
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            found = connection.execute(select(rows.c.row, rows.c.attempt_token).where(*wanted)).all()
            answers = [NotSent(token=row.attempt_token, row=row.row) for row in found]
            tally = Tally()
            settle_rows(connection, campaign, answers, tally, now)
            tally.write(connection, campaign_id, now)
            return len(found)

    def doubt_expired(self, now: datetime, campaign_id: int | None = None) -> dict[int, int]:
        """Claims past their deadline become IN_DOUBT; returns how many per campaign."""
        with self._database.read() as connection:
            now += self._database.ahead(connection, now)
            query = (
                select(rows.c.campaign_id)
                .distinct()
                .where(is_unsettled(), rows.c.state == R.SENDING, rows.c.deadline <= now)
            )
            if campaign_id is not None:
                query = query.where(rows.c.campaign_id == campaign_id)
            affected = connection.execute(query).scalars().all()
        done = {each: self._doubt(each, now) for each in sorted(affected)}
        return {each: n for each, n in done.items() if n}

    def doubt_dead(self, owner_is_dead: Callable[[str], bool], now: datetime) -> dict[int, int]:
        """Claims of owners that are proved dead become IN_DOUBT at once; returns how many per campaign."""
        query = (
            select(rows.c.campaign_id, rows.c.claimed_by)
            .distinct()
            .where(is_unsettled(), rows.c.state == R.SENDING)
        )
        with self._database.read() as connection:
            now += self._database.ahead(connection, now)
            claims = connection.execute(query).all()
        dead = {owner for owner in {claim.claimed_by for claim in claims} if owner_is_dead(owner)}
        affected = sorted({claim.campaign_id for claim in claims if claim.claimed_by in dead})
        theirs = rows.c.claimed_by.in_(sorted(dead))
        return {each: n for each in affected if (n := self._doubt(each, now, theirs, detail="owner_died"))}

    def resolve_doubt(
        self, campaign_id: int, row: int, resolution: Resolution, now: datetime, *, token: str | None = None
    ) -> bool:
        """A row in doubt becomes ACCEPTED or READY; the evidence goes into the journal.

        ``token`` is the attempt the evidence is about (None only for a person): False when the row is not in
        doubt about it any more, or the message belongs to another row.
        """
        tally = Tally()
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            current = _facts(connection, campaign_id, rows.c.row == row, rows.c.state == R.IN_DOUBT)
            if not current or token not in (None, current[0].attempt_token):
                return False
            decision = decide_doubt(connection, campaign, current[0], resolution, token, now)
            if decision is None:
                return False
            write_decisions(connection, campaign, [(current[0], decision)], tally)
            match_waiting(connection, campaign, [row], tally, now)
            tally.write(connection, campaign_id, now)
        return True

    def raise_reserves(self, campaign_id: int, row: int, price: Decimal) -> int:
        """See :func:`dispatcher.ledger.reserves.raise_reserves`."""
        return raise_reserves(self._database, campaign_id, row, price)

    def exclude(
        self,
        campaign_id: int,
        numbers: Sequence[int],
        state: RowState,
        reason: str | None,
        now: datetime,
        error_code: str | None = None,
    ) -> int:
        """Ready rows that will not be sent after all; returns how many were still ready.  Short
        transactions.
        """
        done = 0
        for chunk in in_chunks(numbers, CHUNK):
            named = rows.c.row.in_(list(chunk))
            done += self._exclude(campaign_id, state, reason, now, named, error_code=error_code)
        return done

    def exclude_same_text(
        self, campaign_id: int, numbers: Sequence[int], state: RowState, reason: str | None, now: datetime
    ) -> int:
        """Every ready row with the route, sender and text of one of the rows ``numbers``; returns how many
        that were.
        """
        sender = func.coalesce(rows.c.sender, "")
        done = 0
        for chunk in in_chunks(numbers, 100):
            named = (rows.c.campaign_id == campaign_id, rows.c.row.in_(list(chunk)))
            with self._database.read() as connection:
                query = select(rows.c.route, sender, rows.c.text).distinct().where(*named)
                texts = [tuple(text) for text in connection.execute(query)]
            while moved := self._exclude(
                campaign_id, state, reason, now, tuple_(rows.c.route, sender, rows.c.text).in_(texts)
            ):
                done += moved
        return done

    def _exclude(
        self,
        campaign_id: int,
        state: RowState,
        reason: str | None,
        now: datetime,
        *where: Any,
        error_code: str | None = None,
    ) -> int:
        tally = Tally()
        with self._database.write() as connection:
            locked(connection, campaign_id)
            moved = move_ready_rows(
                connection, campaign_id, state, reason, tally, *where, error_code=error_code
            )
            tally.write(connection, campaign_id, now)
            return moved

    def _doubt(self, campaign_id: int, now: datetime, *where: Any, detail: str = CLAIM_EXPIRED) -> int:
        tally = Tally()
        chosen = where or (rows.c.deadline <= now,)
        decision = doubtful(now, None, detail)
        with self._database.write() as connection:
            campaign = locked(connection, campaign_id)
            current = _facts(connection, campaign_id, is_unsettled(), rows.c.state == R.SENDING, *chosen)
            write_decisions(connection, campaign, [(row, decision) for row in current], tally)
            tally.write(connection, campaign_id, now)
            if current:
                attempts = Counter(row.attempt_token for row in current)
                note(connection, detail, now, campaign_id=campaign_id, attempts=dict(attempts))
        return len(current)


def _facts(connection: Connection, campaign_id: int, *where: Any) -> Sequence[Row[Any]]:
    query = select(*FACTS, rows.c.attempt_started_at).where(rows.c.campaign_id == campaign_id, *where)
    found: Sequence[Any] = connection.execute(query).all()
    return found
