"""What an answer does to its row.

:func:`decide` is the whole rule, without a database: a late success is the truth whoever sent it; a late
doubt never overwrites anything; what comes unexpected is written into the journal, never dropped in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from dispatcher.ledger.counting import Tally
from dispatcher.ledger.found import OneOf, all_named
from dispatcher.ledger.journal import note
from dispatcher.ledger.records import Accepted, NotSent, Refused, Settlement
from dispatcher.ledger.schema import rows
from dispatcher.ledger.states import SENT, RowState
from dispatcher.ledger.values import rounded
from dispatcher.ledger.writing import Decision, write_decisions

R = RowState
_WITH_ID = (Accepted, Refused)  # a union is several times as slow to ask for
DETAIL_LENGTH = 500
MOST_PARTS = 32_000  # what a small integer holds
MOST_MONEY = 1_000_000  # whole units: the sum of millions of rows' micro-units has to fit into 64 bits
CLAIM_EXPIRED = "claim_expired"
"""Detail of a doubt about a claim whose owner has not spoken: if it lives, its request may still leave."""
FACTS = tuple(
    rows.c[name]
    for name in (
        *("row", "state", "attempt_token", "message_id", "parts", "reserve_cost", "actual_cost", "attempts"),
        *(
            "error_detail",
            "route",
            "country",
            "encoding",
            "actual_parts",
            "actual_encoding",
            "estimated_cost",
        ),
    )
)
"""What of a row a decision looks at."""
_SELECT = select(*FACTS).where(rows.c.campaign_id == bindparam("of_campaign"), OneOf(rows.c.row, "rows"))
_TAKEN = select(rows.c.message_id, rows.c.campaign_id, rows.c.row).where(
    rows.c.gateway_id == bindparam("gateway_id"), OneOf(rows.c.message_id, "ids")
)


def decide(current: Row[Any] | None, settlement: Settlement, id_is_taken: bool, now: datetime) -> Decision:
    """What ``settlement`` does to the row as it is now; ``id_is_taken``: its message id belongs to another
    row.
    """
    if current is None:
        return Decision(event="answer_without_row")
    same = current.attempt_token == settlement.token
    unsettled = same and current.state in (R.SENDING, R.IN_DOUBT)
    if isinstance(settlement, Accepted):
        return _accepted(current, settlement, same, id_is_taken, now)
    if isinstance(settlement, Refused):
        return _refused(settlement, id_is_taken) if unsettled else Decision()
    if not unsettled:
        return Decision()
    if isinstance(settlement, NotSent):
        # also from in doubt: who holds the claim knows best, and it may have been frozen past its deadline
        return Decision(R.READY, {"attempts": max(current.attempts - 1, 0)})
    doubt = doubtful(now, settlement.error_code, settlement.detail)
    if current.state is R.SENDING:
        return doubt
    # a frozen owner is back and says that its request ended: from here on absence can be proved
    return replace(doubt, new=None) if current.error_detail == CLAIM_EXPIRED else Decision()


def _accepted(current: Row[Any], answer: Accepted, same: bool, id_is_taken: bool, now: datetime) -> Decision:
    if current.message_id == answer.message_id and current.state in SENT:
        # told twice: by the answer and by a callback, say; what the first of them did not know is learnt
        return Decision(None, news_of(current, answer.actual_cost, answer.parts, answer.encoding))
    if id_is_taken:
        doubt = doubtful(now, None, "message_id_taken") if same and current.state is R.SENDING else Decision()
        return replace(doubt, event="message_id_taken")
    lost = None if same else "late_success_lost_token"
    values = {
        "message_id": answer.message_id,
        "sent_at": answer.sent_at,
        "actual_cost": readable_price(answer.actual_cost),
    }
    values |= counted_otherwise(current, answer.parts, answer.encoding) | {"echoed": answer.echoed}
    values |= {} if answer.reason is None else {"reason": answer.reason}
    if not same:
        # so that nobody takes the last attempt's beginning for the time this message was sent
        values |= {"attempts": max(current.attempts, 2)}
    if current.state in (R.SENDING, R.IN_DOUBT):
        # of an older attempt too: the gateway has it, so the row must never go out again
        return Decision(R.ACCEPTED, values, event=lost)
    if current.state is R.READY and current.attempt_token is not None:
        return Decision(R.ACCEPTED, values, event=lost or "late_success_after_release", through_sending=True)
    if current.state not in SENT and current.attempt_token is not None:
        # given up, and yet somebody got it: the guard, the money and the report have to know
        return Decision(R.ACCEPTED, values, event=lost or "late_success_after_giving_up")
    if current.state in SENT and current.message_id is None:
        return Decision(None, values, event="late_success_after_decision")
    return Decision(event="late_success_lost_row")


def news_of(
    current: Row[Any], actual_cost: Decimal | None, parts: int | None, encoding: int | None
) -> dict[str, Any]:
    """What a further word on a row's message adds: the first price, its own count of parts, its own encoding.

    Where nothing was paid so far, a price is news too: worldwide ones begin with 0.
    """
    price = readable_price(actual_cost)
    counted = counted_otherwise(current, parts, encoding)
    values = {name: value for name, value in counted.items() if getattr(current, name) is None}
    if price is not None and (current.actual_cost is None or (current.actual_cost == 0 and price > 0)):
        values["actual_cost"] = price
    return values


def counted_otherwise(current: Row[Any], parts: int | None, encoding: int | None) -> dict[str, Any]:
    """The gateway's count, where it is not what was planned."""
    values: dict[str, Any] = {}
    if parts is not None and 0 < parts <= MOST_PARTS and parts != current.parts:
        values["actual_parts"] = parts
    if encoding is not None and encoding != current.encoding:
        values["actual_encoding"] = encoding
    return values


def _refused(answer: Refused, id_is_taken: bool) -> Decision:
    values = {
        "reason": answer.reason,
        "error_code": answer.error_code,
        "error_detail": short_detail(answer.detail),
    }
    return Decision(R.REFUSED, values | {"message_id": None if id_is_taken else answer.message_id})


def doubtful(now: datetime, code: str | None, detail: str | None) -> Decision:
    """In doubt from now on."""
    values = {
        "in_doubt_at": now,
        "reason": "answer_unknown",
        "error_code": code,
        "error_detail": short_detail(detail),
    }
    return Decision(R.IN_DOUBT, values)


def short_detail(detail: str | None) -> str | None:
    """As much of a detail as is kept."""
    if detail is None:
        return None
    # what no database keeps: an exception's own words may hold anything
    return detail[:DETAIL_LENGTH].replace("\0", "").encode(errors="replace").decode()


def readable_price(amount: Decimal | None) -> Decimal | None:
    """A price from outside as it is stored, None for what is none."""
    # an unreadable price must not cost the outcome: it is an unknown price
    readable = amount is not None and amount.is_finite() and 0 <= amount < MOST_MONEY
    return rounded(amount) if amount is not None and readable else None


def settle_rows(
    connection: Connection, campaign: Row[Any], settlements: Sequence[Settlement], tally: Tally, now: datetime
) -> tuple[Counter[RowState], list[int]]:
    """Apply answers to a locked campaign's rows; returns the moves per new state and the rows left as they
    were.
    """
    moved: Counter[RowState] = Counter()
    ignored: list[int] = []
    for wave in _waves(settlements):
        current = _current(connection, campaign.id, [settlement.row for settlement in wave])
        taken = _taken(connection, campaign, wave)
        writes: list[tuple[Row[Any], Decision]] = []
        for settlement in wave:
            row = current.get(settlement.row)
            decision = decide(row, settlement, _is_taken(taken, settlement), now)
            if decision.event:
                _note(connection, campaign.id, row, settlement, decision.event, now)
            if row is None or not decision.applies:
                ignored.append(settlement.row)
                continue
            writes.append((row, decision))
            if decision.new:
                moved[decision.new] += 1
            tally.not_echoed += isinstance(settlement, Accepted) and not settlement.echoed
            if (message_id := _id_of(settlement)) is not None:
                taken.setdefault(message_id, settlement.row)
        write_decisions(connection, campaign, writes, tally)
    return moved, ignored


def _waves(settlements: Sequence[Settlement]) -> list[list[Settlement]]:
    """Two answers for one row are applied one after the other; nearly always this is one wave."""
    waves: list[list[Settlement]] = []
    seen: Counter[int] = Counter()
    for settlement in settlements:
        if seen[settlement.row] == len(waves):
            waves.append([])
        waves[seen[settlement.row]].append(settlement)
        seen[settlement.row] += 1
    return waves


def _current(connection: Connection, campaign_id: int, numbers: list[int]) -> dict[int, Row[Any]]:
    found = connection.execute(_SELECT, {"of_campaign": campaign_id, "rows": numbers})
    return {row.row: row for row in all_named(found)}


def _id_of(settlement: Settlement) -> str | None:
    return settlement.message_id if isinstance(settlement, _WITH_ID) else None


def _taken(connection: Connection, campaign: Row[Any], wave: Sequence[Settlement]) -> dict[str, int]:
    """Message ids that a row has already: id -> row number here, or -1 for another campaign's."""
    ids = [found for settlement in wave if (found := _id_of(settlement)) is not None]
    if not ids:
        return {}
    known = connection.execute(_TAKEN, {"gateway_id": campaign.gateway_id, "ids": ids})
    return {row.message_id: row.row if row.campaign_id == campaign.id else -1 for row in known.all()}


def _is_taken(taken: dict[str, int], settlement: Settlement) -> bool:
    message_id = _id_of(settlement)
    return message_id is not None and taken.get(message_id, settlement.row) != settlement.row


def _note(
    connection: Connection,
    campaign_id: int,
    row: Row[Any] | None,
    answer: Settlement,
    kind: str,
    now: datetime,
) -> None:
    detail = {"answer": type(answer).__name__, "token": answer.token, "message_id": _id_of(answer)}
    if row is not None:
        detail |= {"state": row.state.code, "row_message_id": row.message_id, "row_token": row.attempt_token}
    note(connection, kind, now, campaign_id=campaign_id, row=answer.row, **detail)
