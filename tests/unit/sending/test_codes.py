"""One code is one request: counted before, within the limits, never made again, and honest when nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.errors import DispatcherError, Halted, Unreachable, UsageError
from dispatcher.gateway.models import EchoedOptions, Message, OtpRequest
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState, CodeLimit, CodeLimits
from dispatcher.sending.codes import CodeAnswer, CodeDesk

NUMBER = "+393331234567"
ONE = CodeLimits(per_number=(CodeLimit(1, timedelta(hours=1)),))
CODE = Message(id="c1", username="acme", recipient=NUMBER, is_otp=True, otp="48213")
DRY = CODE.model_copy(update={"otp": None, "options": EchoedOptions(dry_run=True)})
SENT = Verdict(Outcome.ACCEPTED, message=CODE, http_status=201)
TRIED = Verdict(Outcome.ACCEPTED, message=DRY, http_status=201)
LOST = Verdict(Outcome.IN_DOUBT, detail="answer_late")
BLOCKED = Verdict(Outcome.HALT, code=2020, http_status=403, detail="account_blocklisted", account_wide=True)


class Answers:
    """The gateway's answers to codes, one after the other, and what it was asked."""

    def __init__(self, stage: Any, *verdicts: Verdict | Callable[[], Verdict]) -> None:
        self.asked: list[OtpRequest] = []
        self._stage = stage
        self._verdicts = list(verdicts)
        stage.gateway.send_otp = self

    async def __call__(self, request: OtpRequest) -> Verdict:
        self.asked.append(request)
        # what is written down is there before the first byte leaves
        self.counted = self._stage.sql("SELECT count(*) FROM codes_sent")[0][0]
        verdict = self._verdicts.pop(0)
        return verdict if isinstance(verdict, Verdict) else verdict()


def send(stage: Any, limits: CodeLimits = ONE) -> CodeAnswer:
    desk = CodeDesk(stage.services(), "sandbox", limits)
    return stage.run(desk.send(OtpRequest(recipient=NUMBER)))


def counted(stage: Any) -> int:
    return int(stage.sql("SELECT count(*) FROM codes_sent")[0][0])


def test_a_code_is_counted_before_it_is_asked_for_and_takes_one_slot(stage: Any) -> None:
    answers = Answers(stage, SENT)
    assert send(stage) == CodeAnswer(message=CODE)
    assert (len(answers.asked), answers.counted, stage.pace.taken) == (1, 1, 1)
    with pytest.raises(UsageError) as refused:
        send(stage)
    assert (refused.value.code, refused.value.params) == (
        "otp_too_many_to_number",
        {"most": 1, "minutes": 60, "wait": 60},
    )
    assert (len(answers.asked), stage.pace.taken) == (1, 1)


@pytest.mark.parametrize(
    ("verdict", "error", "code", "counts"),
    [
        (Verdict(Outcome.REFUSED, code=2011, http_status=422), Halted, "otp_refused", 1),
        (Verdict(Outcome.HALT, http_status=401), Halted, "otp_refused", 0),
        (BLOCKED, Halted, "otp_refused", 0),
        (Verdict(Outcome.NOT_SENT, detail="connection_refused"), Unreachable, "otp_not_sent", 0),
        (Verdict(Outcome.THROTTLED, http_status=429, retry_after=9.0), Unreachable, "otp_not_sent", 0),
    ],
)
def test_what_was_not_sent(
    stage: Any, verdict: Verdict, error: type[DispatcherError], code: str, counts: int
) -> None:
    answers = Answers(stage, verdict)
    with pytest.raises(error) as raised:
        send(stage)
    assert raised.value.code == code
    assert (len(answers.asked), answers.counted, counted(stage)) == (1, 1, counts)
    assert stage.pace.slowed == ([9.0] if verdict.outcome is Outcome.THROTTLED else [])


def test_a_lost_answer_is_no_answer_and_stays_counted(stage: Any) -> None:
    answers = Answers(stage, LOST)
    assert send(stage) == CodeAnswer(message=None, detail="answer_late")
    assert (len(answers.asked), counted(stage)) == (1, 1)


def test_who_is_interrupted_while_it_is_on_its_way_hears_that_it_may_have_been_sent(stage: Any) -> None:
    def interrupted() -> Verdict:
        raise asyncio.CancelledError

    Answers(stage, interrupted)
    answer = send(stage)
    assert (answer.message, answer.detail) == (None, "interrupted")
    assert counted(stage) == 1


def test_who_is_interrupted_before_costs_no_code(stage: Any) -> None:
    answers = Answers(stage, SENT)
    stage.pace.broken = True
    with pytest.raises(Unreachable):
        send(stage)
    assert (answers.asked, counted(stage)) == ([], 0)


@pytest.mark.parametrize("message", [None, CODE])
def test_a_blocked_account_stops_everything_of_it(stage: Any, message: Message | None) -> None:
    campaign = stage.campaign(2, account="acme")
    Answers(stage, BLOCKED._replace(message=message))
    if message is None:
        with pytest.raises(Halted):
            send(stage)
    else:
        assert send(stage) == CodeAnswer(message=CODE, detail=BLOCKED.detail, stopped=True)
    assert stage.state(campaign) == (CampaignState.HALTED, "account_blocklisted")
    (stop,) = stage.ledger.halts.in_force("sandbox")
    assert stop.account == (None if message is None else "acme")


def test_the_stop_is_written_down_however_busy_the_ledger_is(stage: Any) -> None:
    Answers(stage, BLOCKED)
    stage.thread.fail_next["stop"] = 2
    with pytest.raises(Halted):
        send(stage)
    assert stage.ledger.halts.in_force("sandbox")


def test_a_stopped_account_sends_no_codes(stage: Any) -> None:
    stage.ledger.halts.stop("sandbox", None, "account_blocklisted", stage.now)
    answers = Answers(stage)
    with pytest.raises(Halted) as raised:
        send(stage)
    assert (raised.value.code, raised.value.found, answers.asked) == ("otp_halted", "account_blocklisted", [])
    assert counted(stage) == 0


@pytest.mark.parametrize(("username", "sends"), [("acme", False), ("other", True), (None, False)])
def test_a_stop_of_another_account_is_told_apart_by_a_dry_run(
    stage: Any, username: str | None, sends: bool
) -> None:
    stage.ledger.halts.stop("sandbox", "acme", "account_blocklisted", stage.now)
    tried = TRIED._replace(message=DRY.model_copy(update={"username": username}))
    answers = Answers(stage, tried, SENT)
    if sends:
        assert send(stage).message == CODE
    else:
        with pytest.raises(Halted, match="otp_halted"):
            send(stage)
    dry_runs = [bool(request.options and request.options.dry_run) for request in answers.asked]
    assert dry_runs == ([True, False] if sends else [True])
    assert counted(stage) == sends


def test_an_account_that_is_stopped_while_the_turn_is_waited_for(stage: Any) -> None:
    answers = Answers(stage, SENT)
    reserve = stage.pace.reserve

    async def stopped_meanwhile(n: int) -> Any:
        stage.ledger.halts.stop("sandbox", "acme", "account_blocklisted", stage.now)
        return await reserve(n)

    stage.pace.reserve = stopped_meanwhile
    with pytest.raises(Halted, match="otp_halted"):
        send(stage)
    assert (answers.asked, counted(stage)) == ([], 0)


@pytest.mark.parametrize(
    ("verdict", "code", "counts"),
    [
        (TRIED, None, 0),
        (SENT, "otp_dry_run_ignored", 1),  # somebody got it: it counts, and the person is told
        (LOST, "otp_dry_run_lost", 0),
        (Verdict(Outcome.REFUSED, code=2044, http_status=422, forbidden=True), "otp_refused", 0),
        (Verdict(Outcome.NOT_SENT, detail="connection_refused"), "otp_not_sent", 0),
    ],
)
def test_a_dry_run(stage: Any, verdict: Verdict, code: str | None, counts: int) -> None:
    answers = Answers(stage, verdict)
    desk = CodeDesk(stage.services(), "sandbox", ONE)
    if code is None:
        assert stage.run(desk.try_out(OtpRequest(recipient=NUMBER, length=7))) == DRY
    else:
        with pytest.raises(DispatcherError) as raised:
            stage.run(desk.try_out(OtpRequest(recipient=NUMBER, length=7)))
        assert raised.value.code == code
    (asked,) = answers.asked
    assert asked.options is not None
    assert (asked.options.dry_run, asked.length, counted(stage)) == (True, 7, counts)
