"""Ready rows become intents: on disk before the first byte leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Text, bindparam, func, or_, select, text, update

from dispatcher.ledger.bulk import move_ready_rows
from dispatcher.ledger.canaries import canary_rows
from dispatcher.ledger.conditions import is_maybe_sent, is_ready, is_unsettled
from dispatcher.ledger.counting import Tally, ready_row
from dispatcher.ledger.found import OneOf, all_named
from dispatcher.ledger.keys import forms_of
from dispatcher.ledger.records import Claim, ClaimedRow, ClaimRequest
from dispatcher.ledger.schema import campaigns, opt_outs, rows
from dispatcher.ledger.states import CampaignState, RowState
from dispatcher.ledger.timeliness import over_cap, postpone, postponed, too_late

_NAMES = ClaimedRow._fields
_OF_CAMPAIGN = rows.c.campaign_id == bindparam("of_campaign")

_DUE = (
    select(*(rows.c[name] for name in _NAMES), rows.c.guard_key, rows.c.attempt_token, rows.c.estimated_cost)
    .where(_OF_CAMPAIGN, is_ready(), rows.c.due_at <= bindparam("at"))
    .order_by(rows.c.due_at, rows.c.row)
    .limit(bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
_SEND = (
    update(rows)
    .where(_OF_CAMPAIGN, is_ready(), OneOf(rows.c.row, "chosen"))
    .values(
        state=RowState.SENDING,
        reason=None,
        attempts=rows.c.attempts + 1,
        attempt_token=bindparam("token"),
        claimed_by=bindparam("owner"),
        attempt_started_at=bindparam("at"),
        deadline=bindparam("until"),
        error_code=None,
        error_detail=None,
    )
)
_UNSETTLED = (
    select(rows.c.row)
    .where(
        _OF_CAMPAIGN,
        is_unsettled(),
        or_(rows.c.state == RowState.SENDING, rows.c.deadline > bindparam("at")),
    )
    .limit(1)
)
_OPTED_OUT = select(opt_outs.c.recipient).where(OneOf(opt_outs.c.recipient, "recipients"))
GUARD_LOCKS = 7316906  # the family of advisory locks, one for each gateway
_LOCK_GUARD = text("SELECT pg_advisory_xact_lock(:family, :gateway_id)")
_SENT_BY_OTHERS = (
    select(rows.c.guard_key)
    .join(campaigns, campaigns.c.id == rows.c.campaign_id)
    .where(
        rows.c.guard_key.in_(bindparam("keys", expanding=True)),
        is_maybe_sent(),
        rows.c.attempt_started_at >= bindparam("since"),
        rows.c.gateway_id == bindparam("gateway_id"),
        rows.c.campaign_id != bindparam("of_campaign"),
        or_(
            campaigns.c.account.is_(None),
            # an account not known yet is any account
            func.coalesce(bindparam("account", type_=Text), campaigns.c.account) == campaigns.c.account,
        ),
    )
)


def claim_rows(connection: Connection, campaign: Row[Any], request: ClaimRequest, tally: Tally) -> Claim:
    """Claim for a locked campaign in the caller's transaction; the caller writes the tally.

    What the cap leaves is reckoned from the campaign's committed cost and the tally's changes so far.
    """
    state: CampaignState = campaign.state
    if state is not CampaignState.SENDING or campaign.halted:
        return Claim(state=state, halted=bool(campaign.halted))
    due = _due(connection, campaign, request)
    timely = _in_time(connection, campaign, request, due, tally)
    sendable = _leave_out(connection, campaign, request, timely, tally)
    chosen = _within_cap(campaign, sendable, tally)
    mark_rows(connection, campaign.id, request, chosen, tally)
    claimed = [ClaimedRow(*row[: len(_NAMES)]) for row in chosen]
    left_out, capped = len(due) - len(sendable), len(chosen) < len(sendable)
    return Claim(rows=claimed, state=state, capped=capped, left_out=left_out)


def _due(connection: Connection, campaign: Row[Any], request: ClaimRequest) -> Sequence[Row[Any]]:
    values = {"of_campaign": campaign.id, "at": request.now, "at_most": request.limit + request.keep_witness}
    query = _DUE
    if campaign.canary is not None:
        # they go first and alone; the others wait for what becomes of them
        query = query.where(rows.c.row.in_(canary_rows(campaign.canary)))
    due = all_named(connection.execute(query, values))
    if any(row.attempt_token == request.token for row in due):
        raise ValueError("the token of a claim must be new")
    if request.keep_witness and 0 < len(due) <= request.limit:
        # these are all; alone, the last one may go when no other can need it any more
        unsettled = {"of_campaign": campaign.id, "at": request.now}
        if len(due) > 1 or connection.execute(_UNSETTLED, unsettled).first():
            return due[:-1]
    return due[: request.limit]


def _in_time(
    connection: Connection, campaign: Row[Any], request: ClaimRequest, due: Sequence[Row[Any]], tally: Tally
) -> Sequence[Row[Any]]:
    """Rows that are too late are moved aside, and those whose window is closed put off; returns the others."""
    late = too_late(due, request)
    later, too_late_then = postponed([row for row in due if row.row not in late], request)
    _aside(connection, campaign.id, late | too_late_then, RowState.TOO_LATE, tally)
    postpone(connection, campaign.id, later)
    out = late.union(too_late_then, *later.values())
    return [row for row in due if row.row not in out]


def _leave_out(
    connection: Connection, campaign: Row[Any], request: ClaimRequest, due: Sequence[Row[Any]], tally: Tally
) -> Sequence[Row[Any]]:
    """Rows that a rule forbids by now (the file was planned earlier) are moved aside; returns the others."""
    out: set[int] = set()
    if due and request.respect_opt_outs:
        recipients = set(
            connection.execute(_OPTED_OUT, {"recipients": [row.recipient for row in due]}).scalars()
        )
        chosen = {row.row for row in due if row.recipient in recipients}
        _aside(connection, campaign.id, chosen, RowState.OPTED_OUT, tally)
        out |= chosen
    if due and request.guard_since is not None:
        one_at_a_time(connection, campaign.gateway_id)
        values = {
            "since": request.guard_since,
            "gateway_id": campaign.gateway_id,
            "account": campaign.account,
        }
        forms = forms_of(connection, [row.guard_key for row in due])
        values |= {"keys": list(forms), "of_campaign": campaign.id}
        keys = {forms[key] for key in connection.execute(_SENT_BY_OTHERS, values).scalars()}
        chosen = {row.row for row in due if row.guard_key in keys} - out
        _aside(connection, campaign.id, chosen, RowState.ALREADY_SENT, tally)
        out |= chosen
    if due and request.most_per_person is not None:
        one_at_a_time(connection, campaign.gateway_id)
        chosen = over_cap(
            connection, campaign.gateway_id, [row for row in due if row.row not in out], request
        )
        _aside(connection, campaign.id, chosen, RowState.CAPPED, tally)
        out |= chosen
    return [row for row in due if row.row not in out]


def one_at_a_time(connection: Connection, gateway_id: int) -> None:
    """Two campaigns that claim the same text to the same person at once must see each other.

    SQLite has one writer anyway.  The lock ends with the transaction; who holds it waits for nobody: its campaign is
    locked already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK_GUARD, {"family": GUARD_LOCKS, "gateway_id": gateway_id})


def _aside(connection: Connection, campaign_id: int, chosen: set[int], new: RowState, tally: Tally) -> None:
    if chosen:
        move_ready_rows(connection, campaign_id, new, new.code, tally, rows.c.row.in_(sorted(chosen)))


def _within_cap(campaign: Row[Any], sendable: Sequence[Row[Any]], tally: Tally) -> Sequence[Row[Any]]:
    if campaign.max_cost is None:
        return sendable
    left = campaign.max_cost - campaign.committed_cost - tally.committed
    for index, row in enumerate(sendable):
        left -= row.reserve_cost
        if left < 0:
            return sendable[:index]
    return sendable


def mark_rows(
    connection: Connection, campaign_id: int, request: ClaimRequest, chosen: Sequence[Row[Any]], tally: Tally
) -> None:
    """The ready rows ``chosen`` of a locked campaign are on their way from here on."""
    if not chosen:
        return
    values = {"of_campaign": campaign_id, "token": request.token, "owner": request.owner}
    values |= {"at": request.now, "until": request.deadline, "chosen": [row.row for row in chosen]}
    marked = connection.execute(_SEND, values).rowcount
    if marked != len(chosen):
        raise RuntimeError(f"campaign {campaign_id}: rows moved while it was locked")
    for ready, n in Counter(map(ready_row, chosen)).items():
        tally.change(ready, ready._replace(state=RowState.SENDING), n)
