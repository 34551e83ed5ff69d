"""When sending rests and when it stops: the breaker over sequences of answers, and stops in the ledger."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.gateway.models import Message
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState
from dispatcher.sending.guards import RESTS, Breaker, Halt, halt_of, stop_campaign
from dispatcher.sending.stops import HELD_STOPS, Stop

ACCEPTED = Verdict(Outcome.ACCEPTED, message=Message(id="m1"), http_status=201)
REFUSED = Verdict(Outcome.REFUSED, http_status=422, code=2011)
IN_DOUBT = Verdict(Outcome.IN_DOUBT)
NOT_SENT = Verdict(Outcome.NOT_SENT)
THROTTLED = Verdict(Outcome.THROTTLED, http_status=429)
STRANGER = Verdict(Outcome.IN_DOUBT, http_status=404, stranger=True)


def fed(breaker: Breaker, *verdicts: Verdict, now: float = 0.0) -> list[Halt | None]:
    return [breaker.see(verdict, now) for verdict in verdicts]


@pytest.mark.parametrize(
    ("verdict", "halt"),
    [
        (Verdict(Outcome.HALT, http_status=401), Halt(Stop.UNAUTHORIZED)),
        (Verdict(Outcome.HALT, http_status=402), Halt(Stop.PAYMENT)),
        (Verdict(Outcome.HALT, http_status=403), Halt(Stop.FORBIDDEN)),
        (Verdict(Outcome.HALT), Halt(Stop.FORBIDDEN)),
        (Verdict(Outcome.HALT, http_status=403, code=2020, account_wide=True), Halt(Stop.BLOCKLISTED, True)),
        (Verdict(Outcome.HALT, http_status=422, code=2044, forbidden=True), Halt(Stop.FORBIDDEN_TEXT)),
        (Verdict(Outcome.HALT, http_status=422, code=2050, forbidden=True), Halt(Stop.FORBIDDEN_TEXT)),
        (
            Verdict(Outcome.HALT, http_status=422, code=2050, forbidden=True, account_wide=True),
            Halt(Stop.BLOCKLISTED, True),
        ),
        (
            Verdict(Outcome.HALT, Message(id="m1", blocklisted=True), 201, account_wide=True, unsure=True),
            Halt(Stop.BLOCKLISTED, True),
        ),
    ],
)
def test_a_halting_answer_halts_at_once(verdict: Verdict, halt: Halt) -> None:
    assert Breaker().see(verdict, 0.0) == halt == halt_of(verdict)


@pytest.mark.parametrize("between", [THROTTLED, IN_DOUBT])
def test_twenty_refusals_in_a_row_halt_whatever_comes_between(between: Verdict) -> None:
    breaker = Breaker()
    assert fed(breaker, *[REFUSED] * 19, between, between) == [None] * 21
    assert breaker.see(REFUSED, 0.0) == Halt(Stop.REFUSALS)


def test_an_acceptance_ends_a_run_of_refusals() -> None:
    breaker = Breaker()
    assert not any(fed(breaker, *[REFUSED] * 19, ACCEPTED, *[REFUSED] * 19))


def test_more_than_a_tenth_of_the_last_two_hundred() -> None:
    breaker = Breaker()
    nine = [ACCEPTED] * 9
    assert not any(fed(breaker, *[*nine, REFUSED] * 20))  # exactly 20 of 200
    assert not any(fed(breaker, *nine))  # the window moves on by nine accepted ones
    assert not any(fed(breaker, REFUSED))  # the first refusal has just left it
    assert breaker.see(REFUSED, 0.0) == Halt(Stop.REFUSALS)  # 21 of 200


def test_fewer_than_two_hundred_answers_are_no_share() -> None:
    breaker = Breaker()
    assert not any(fed(breaker, *[ACCEPTED, REFUSED] * 99, ACCEPTED))
    assert breaker.see(REFUSED, 0.0) == Halt(Stop.REFUSALS)


def test_strangers_in_a_row_stop_before_many_rows_are_in_doubt() -> None:
    breaker = Breaker()
    assert fed(breaker, STRANGER, STRANGER, ACCEPTED, STRANGER, STRANGER) == [None] * 5
    assert breaker.see(STRANGER, 0.0) == Halt(Stop.DOUBTS)


def test_not_sent_rests_longer_each_time_and_then_holds() -> None:
    breaker, now, rests = Breaker(), 50.0, []
    while (halt := breaker.see(NOT_SENT, now)) is None:
        rests.append(breaker.rest_until - now)
        now = breaker.rest_until
    assert rests == list(RESTS)
    assert halt == Halt(Stop.UNREACHABLE)


def test_doubts_rest_from_the_third_in_a_row() -> None:
    breaker = Breaker()
    fed(breaker, IN_DOUBT, IN_DOUBT, ACCEPTED, IN_DOUBT, IN_DOUBT, now=5.0)
    assert (breaker.rest_until, breaker.probing) == (0.0, False)
    fed(breaker, IN_DOUBT, now=5.0)
    assert (breaker.rest_until, breaker.probing) == (5.0 + RESTS[0], True)


def test_what_was_in_flight_when_a_rest_began_does_not_begin_another() -> None:
    breaker = Breaker()
    breaker.see(NOT_SENT, 100.0, started=70.0)
    # four hundred requests that began before time out one after the other, long after the rest is over
    assert not any(breaker.see(NOT_SENT, 100.0 + i / 10, started=70.0 + i / 10) for i in range(300))
    assert breaker.rest_until == 100.0 + RESTS[0]
    assert breaker.see(NOT_SENT, 131.0, started=101.0) is None
    assert breaker.rest_until == 131.0 + RESTS[1]


@pytest.mark.parametrize("good", [ACCEPTED, REFUSED])
def test_an_answer_of_the_gateway_ends_the_resting(good: Verdict) -> None:
    breaker = Breaker()
    breaker.see(NOT_SENT, 1.0)
    breaker.see(NOT_SENT, breaker.rest_until)
    breaker.see(good, 10.0)
    assert not breaker.probing
    breaker.see(NOT_SENT, 20.0)
    assert breaker.rest_until == 20.0 + RESTS[0]


@pytest.mark.parametrize(
    "verdicts", [[REFUSED] * 20, [STRANGER] * 3, [ACCEPTED, REFUSED] * 100], ids=["run", "strangers", "share"]
)
def test_after_a_person_resumed_the_counting_begins_anew(verdicts: list[Verdict]) -> None:
    breaker = Breaker()
    assert fed(breaker, *verdicts)[-1] is not None
    assert fed(breaker, *verdicts[:-1]) == [None] * (len(verdicts) - 1)


@given(st.lists(st.sampled_from([ACCEPTED, REFUSED, IN_DOUBT, NOT_SENT, THROTTLED]), max_size=400))
def test_whatever_comes_the_run_and_the_share_hold(verdicts: list[Verdict]) -> None:
    breaker, now = Breaker(), 0.0
    said: list[bool] = []  # refused or accepted, since the last halt
    in_a_row = 0
    for verdict in verdicts:
        now = max(now + 1, breaker.rest_until)
        halt = breaker.see(verdict, now)
        if verdict in (ACCEPTED, REFUSED):
            said.append(verdict is REFUSED)
        in_a_row = 0 if verdict is ACCEPTED else in_a_row + (verdict is REFUSED)
        over = in_a_row >= 20 or (len(said) >= 200 and sum(said[-200:]) > 20)
        assert (halt is not None and halt.stop is Stop.REFUSALS) == over
        if halt:
            said, in_a_row = [], 0


@pytest.mark.parametrize("stop", Stop)
def test_a_stop_is_written_down_as_held_or_halted(stage: Any, stop: Stop) -> None:
    campaign = stage.campaign(1)
    stop_campaign(stage.ledger, stage.view(campaign), Halt(stop), stage.now)
    held = stop in HELD_STOPS
    assert stage.state(campaign) == (CampaignState.HELD if held else CampaignState.HALTED, str(stop))
    assert stage.ledger.halts.in_force() == []


def test_a_stop_of_the_account_stops_its_other_campaigns_and_no_other_account(stage: Any) -> None:
    mine, sister, unknown = stage.campaign(1, account="a"), stage.campaign(1, account="a"), stage.campaign(1)
    other, elsewhere = stage.campaign(1, account="b"), stage.campaign(1, account="a", gateway="production")
    stop_campaign(stage.ledger, stage.view(mine), Halt(Stop.BLOCKLISTED, account_wide=True), stage.now)
    halted = (CampaignState.HALTED, "account_blocklisted")
    assert [stage.state(each) for each in (mine, sister, unknown)] == [halted] * 3
    assert [stage.state(each)[0] for each in (other, elsewhere)] == [CampaignState.SENDING] * 2


def test_a_worse_stop_is_more_severe() -> None:
    held, halted, wide = (
        Halt(Stop.COST_CAP),
        Halt(Stop.UNAUTHORIZED),
        Halt(Stop.BLOCKLISTED, account_wide=True),
    )
    assert held.severity < halted.severity < wide.severity
