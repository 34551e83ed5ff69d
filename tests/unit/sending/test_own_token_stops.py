"""What the answers to a campaign's own token mean: its limits answer like an empty wallet, or like a busy gateway."""

from __future__ import annotations

import pytest

from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.sending.guards import SHUT_OUT_AFTER, Breaker, Halt
from dispatcher.sending.stops import Stop

ACCEPTED = Verdict(Outcome.ACCEPTED, http_status=201)
THROTTLED = Verdict(Outcome.THROTTLED, http_status=429)
NOT_SENT = Verdict(Outcome.NOT_SENT)


@pytest.mark.parametrize(
    ("status", "own", "common"),
    [
        (401, Stop.TOKEN_GONE, Stop.UNAUTHORIZED),
        (402, Stop.TOKEN_CAP, Stop.PAYMENT),
        (403, Stop.TOKEN_CAP, Stop.FORBIDDEN),
    ],
)
def test_a_refused_token_stops_with_its_own_reason(status: int, own: Stop, common: Stop) -> None:
    refused = Verdict(Outcome.HALT, http_status=status)
    assert Breaker(own_token=True).see(refused, 0.0) == Halt(own)
    assert Breaker().see(refused, 0.0) == Halt(common)


def test_what_endangers_the_account_stops_it_whatever_the_token() -> None:
    blocked = Verdict(Outcome.HALT, http_status=403, code=2020, account_wide=True)
    assert Breaker(own_token=True).see(blocked, 0.0) == Halt(Stop.BLOCKLISTED, account_wide=True)
    forbidden = Verdict(Outcome.HALT, http_status=422, code=2050, forbidden=True)
    assert Breaker(own_token=True).see(forbidden, 0.0) == Halt(Stop.FORBIDDEN_TEXT)


@pytest.mark.parametrize(("own_token", "stop"), [(True, Halt(Stop.TOKEN_CAP)), (False, None)])
def test_nothing_but_throttling_for_long_is_the_limit_of_an_own_token(
    own_token: bool, stop: Halt | None
) -> None:
    breaker = Breaker(own_token=own_token)
    seen = [breaker.see(THROTTLED, at) for at in (10.0, 11.0, 10.0 + SHUT_OUT_AFTER - 1)]
    assert seen == [None, None, None]
    assert breaker.see(THROTTLED, 10.0 + SHUT_OUT_AFTER) == stop


def test_any_other_answer_begins_the_time_anew() -> None:
    breaker = Breaker(own_token=True)
    assert breaker.see(THROTTLED, 0.0) is None
    assert breaker.see(ACCEPTED, 50.0) is None
    assert breaker.see(THROTTLED, 60.0) is None
    assert breaker.see(THROTTLED, SHUT_OUT_AFTER + 1) is None
    assert breaker.see(NOT_SENT, SHUT_OUT_AFTER + 2) is None  # says nothing about the token
    assert breaker.see(THROTTLED, 60.0 + SHUT_OUT_AFTER) == Halt(Stop.TOKEN_CAP)


def test_a_stop_begins_the_time_anew_too() -> None:
    breaker = Breaker(own_token=True)
    breaker.see(THROTTLED, 0.0)
    assert breaker.see(THROTTLED, SHUT_OUT_AFTER) == Halt(Stop.TOKEN_CAP)
    assert breaker.see(THROTTLED, SHUT_OUT_AFTER + 1) is None
