"""From an answer to what is written about its row, and to what the campaign does: the whole table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dispatcher.gateway.models import Message, Route
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import Accepted, CampaignState, ClaimedRow, InDoubt, NotSent, Refused, RowState
from dispatcher.sending.settlements import ANOTHER_RECIPIENT, actual_cost, settlement_of

C, R = CampaignState, RowState
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ROW = ClaimedRow(
    row=7,
    recipient="+393331200007",
    route="IT",
    sender="ACME",
    text="Hello",
    encoding=1,
    parts=1,
    reserve_cost=Decimal("0.05"),
    attempts=1,
)


def message(**other: Any) -> Message:
    values = {"id": "m1", "recipient": ROW.recipient, "message": ROW.text, "total_price": Decimal("0.045")}
    return Message(**{**values, **other})


def settled(verdict: Verdict) -> Any:
    return settlement_of(ROW, "token", verdict, NOW)


def test_an_acceptance_carries_what_the_gateway_said() -> None:
    created = NOW + timedelta(seconds=3)
    answer = settled(Verdict(Outcome.ACCEPTED, message=message(created_at=created), http_status=201))
    assert answer == Accepted(
        token="token", row=7, message_id="m1", sent_at=created, actual_cost=Decimal("0.045"), echoed=True
    )


@pytest.mark.parametrize(
    ("other", "sent_at"),
    [
        ({}, NOW),
        ({"created_at": NOW + timedelta(seconds=1)}, NOW + timedelta(seconds=1)),
        ({"created_at": NOW, "sent_at": NOW + timedelta(seconds=2)}, NOW + timedelta(seconds=2)),
    ],
)
def test_when_it_was_sent(other: dict[str, Any], sent_at: datetime) -> None:
    assert settled(Verdict(Outcome.ACCEPTED, message=message(**other))).sent_at == sent_at


@pytest.mark.parametrize(
    "other", [{"recipient": "3331200007"}, {"message": "Hell o"}, {"recipient": None}, {"message": None}]
)
def test_what_was_not_echoed_unchanged_is_noted(other: dict[str, Any]) -> None:
    assert settled(Verdict(Outcome.ACCEPTED, message=message(**other))).echoed is False


@pytest.mark.parametrize("recipient", ["+393331200008", "333120", "+343331200007", "7"])
def test_an_answer_about_somebody_else_proves_nothing(recipient: str) -> None:
    verdict = Verdict(Outcome.ACCEPTED, message=message(recipient=recipient), http_status=201)
    assert settled(verdict) == InDoubt(token="token", row=7, detail=ANOTHER_RECIPIENT)


@pytest.mark.parametrize("recipient", ["393331200007", "00393331200007", "+39 333 120 00 07", "3331200007"])
def test_a_number_may_be_written_otherwise(recipient: str) -> None:
    assert isinstance(settled(Verdict(Outcome.ACCEPTED, message=message(recipient=recipient))), Accepted)


@pytest.mark.parametrize(
    ("route", "total", "cost"),
    [
        (Route.IT, "0.045", "0.045"),
        (Route.IT, "0", "0"),
        (Route.ES, None, None),
        (Route.WW, "0", None),
        (Route.WW, None, None),
        (Route.WW, "0.08", "0.08"),
    ],
)
def test_zero_is_a_price_except_worldwide(route: Route, total: str | None, cost: str | None) -> None:
    said = message(total_price=None if total is None else Decimal(total))
    assert actual_cost(route, said) == (None if cost is None else Decimal(cost))


REFUSED = Verdict(Outcome.REFUSED, http_status=422, code=2011, detail="refused: 2011")
BLOCKED = {"account_wide": True, "unsure": True}
HALT = Outcome.HALT

TABLE = [
    # verdict, settlement, campaign's state and reason, is the whole account stopped
    (Verdict(Outcome.ACCEPTED, message(), 201), Accepted, C.SENDING, None, False),
    (REFUSED, Refused, C.SENDING, None, False),
    (Verdict(Outcome.THROTTLED, http_status=429), NotSent, C.SENDING, None, False),
    (Verdict(Outcome.NOT_SENT, detail="connection_refused"), NotSent, C.SENDING, None, False),
    (Verdict(Outcome.IN_DOUBT, detail="answer_late"), InDoubt, C.SENDING, None, False),
    (Verdict(Outcome.IN_DOUBT, http_status=503), InDoubt, C.SENDING, None, False),
    (Verdict(HALT, http_status=401), NotSent, C.HALTED, "token_refused", False),
    (Verdict(HALT, http_status=402), NotSent, C.HALTED, "payment_required", False),
    (Verdict(HALT, http_status=403), NotSent, C.HALTED, "forbidden", False),
    (
        Verdict(HALT, http_status=403, code=2020, account_wide=True),
        NotSent,
        C.HALTED,
        "account_blocklisted",
        True,
    ),
    (Verdict(HALT, http_status=422, code=2044, forbidden=True), Refused, C.HALTED, "forbidden_text", False),
    (Verdict(HALT, http_status=422, code=2050, forbidden=True), Refused, C.HALTED, "forbidden_text", False),
    (
        Verdict(HALT, http_status=422, code=2050, forbidden=True, account_wide=True),
        Refused,
        C.HALTED,
        "account_blocklisted",
        True,
    ),
    (
        Verdict(HALT, message(blocklisted=True), 201, **BLOCKED),
        Accepted,
        C.HALTED,
        "account_blocklisted",
        True,
    ),
    (Verdict(HALT, http_status=500, **BLOCKED), InDoubt, C.HALTED, "account_blocklisted", True),
]
ROW_STATE = {Accepted: R.ACCEPTED, Refused: R.REFUSED, NotSent: R.READY, InDoubt: R.IN_DOUBT}


@pytest.mark.parametrize(("verdict", "kind"), [(entry[0], entry[1]) for entry in TABLE])
def test_the_row_of_every_answer(verdict: Verdict, kind: type) -> None:
    settlement = settled(verdict)
    assert type(settlement) is kind
    assert (settlement.token, settlement.row) == ("token", 7)


@pytest.mark.parametrize(
    ("verdict", "reason", "code"),
    [
        (REFUSED, "refused_by_gateway", "2011"),
        (Verdict(HALT, http_status=422, code=2050, forbidden=True), "forbidden_text", "2050"),
        (Verdict(Outcome.REFUSED, http_status=422), "refused_by_gateway", "422"),
    ],
)
def test_why_a_row_is_refused(verdict: Verdict, reason: str, code: str) -> None:
    answer = settled(verdict)
    assert (answer.reason, answer.error_code) == (reason, code)


def test_a_doubt_keeps_what_is_known() -> None:
    answer = settled(Verdict(Outcome.IN_DOUBT, http_status=503, detail="server_failed: 503"))
    assert (answer.error_code, answer.detail) == ("503", "server_failed: 503")
    assert settled(Verdict(Outcome.IN_DOUBT, detail="answer_late")).error_code is None


@pytest.mark.parametrize(("verdict", "kind", "state", "reason", "wide"), TABLE)
def test_what_one_answer_does_to_row_campaign_and_account(
    stage: Any, verdict: Verdict, kind: type, state: CampaignState, reason: str | None, wide: bool
) -> None:
    campaign, sister = stage.campaign(1, account="acme"), stage.campaign(1, account="acme")

    def answer(sent: Any) -> Verdict:
        stage.stop = True  # only this one row
        if verdict.message is None:
            return verdict
        mine = {"recipient": sent.request.recipient}
        return verdict._replace(message=verdict.message.model_copy(update=mine))

    stage.gateway.answering = answer
    stage.run(stage.lane(campaign).run())
    assert stage.states(campaign) == [ROW_STATE[kind]]
    assert stage.state(campaign) == (state, reason)
    assert (stage.state(sister)[0] is C.HALTED) == wide
    assert bool(stage.ledger.halts.in_force("sandbox", "acme")) == wide
