"""Preflight: what screens a text and what does not, who is asked alone, what is remembered, and when it stops."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dispatcher.errors import Halted, Unreachable, UsageError
from dispatcher.gateway.client import Gateway, GatewayConfig
from dispatcher.gateway.models import EchoedOptions
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.ledger import CampaignState, RowState
from dispatcher.sending.preflight import Mode, Preflight, PreflightChoice, PreflightResult
from dispatcher.sending.screening import TRIES
from dispatcher.sending.services import LedgerThread, Services, Slots, SystemClock

C, R = CampaignState, RowState
BAD_NUMBER = Verdict(Outcome.REFUSED, http_status=422, code=2011, detail="refused: 2011")
FORBIDDEN = Verdict(Outcome.REFUSED, http_status=422, code=2044, forbidden=True)
TIMEOUT = Verdict(Outcome.IN_DOUBT, detail="answer_late")
THROTTLED = Verdict(Outcome.THROTTLED, http_status=429)
FAILED = Verdict(Outcome.IN_DOUBT, http_status=503)
NOT_SENT = Verdict(Outcome.NOT_SENT, detail="connection_refused")
UNAUTHORIZED = Verdict(Outcome.HALT, http_status=401, detail="token_refused")
BLOCKED = Verdict(Outcome.HALT, http_status=403, code=2020, account_wide=True, detail="account_blocklisted")


@pytest.fixture
def stage(open_stage: Callable[[Path], Any], tmp_path: Path) -> Iterator[Any]:
    """On a file only: what a ledger keeps of screenings is tested on both by itself."""
    with open_stage(tmp_path) as opened:
        yield opened


def screen(
    stage: Any, campaign: int, choice: str = "auto", *, seed: int = 1, **other: Any
) -> PreflightResult:
    """Run a preflight to its end."""
    preflight = new(stage, campaign, choice, seed=seed, **other)
    result = stage.run(preflight.run(lambda result: None))
    assert isinstance(result, PreflightResult)
    return result


def new(stage: Any, campaign: int, choice: str = "auto", *, seed: int = 1, **other: Any) -> Preflight:
    return Preflight(
        stage.services(),
        stage.view(campaign),
        PreflightChoice.from_text(choice),
        rng=random.Random(seed),
        **{"progress": lambda result: None, **other},
    )


def not_started(stage: Any, rows: Any, **other: Any) -> int:
    campaign: int = stage.campaign(rows, started=False, **other)
    return campaign


def same_text(stage: Any, numbers: Any, text: str = "The same for all", **other: Any) -> list[Any]:
    return [stage.row(n, text=text, **other) for n in numbers]


def asked(stage: Any) -> list[str]:
    return [sent.request.message for sent in stage.gateway.requests]


def nothing_real(stage: Any) -> bool:
    return not stage.gateway.real and not stage.gateway.times_sent


# -- what screens a text


def test_every_distinct_text_is_asked_once_and_nothing_is_sent(stage: Any) -> None:
    rows = [*same_text(stage, range(2, 40), "A"), *same_text(stage, range(40, 60), "B"), stage.row(60)]
    campaign = not_started(stage, rows)
    result = screen(stage, campaign)
    assert Counter(asked(stage)) == {"A": 1, "B": 1, "Hello 60": 1}
    assert nothing_real(stage)
    assert (result.to_screen, result.done, result.requests, result.remembered) == (3, 3, 3, 0)
    assert (result.texts, result.rows) == (3, 59)
    assert stage.counts(campaign) == {R.READY: 59}


def test_sender_and_route_make_a_text_another_one(stage: Any) -> None:
    rows = [
        stage.row(2 + i, text="A", sender=s, route=r)
        for i, (s, r) in enumerate([("X1x", "IT"), ("Y1y", "IT"), (None, "IT"), ("X1x", "WW")])
    ]
    screen(stage, not_started(stage, rows))
    assert {(sent.request.sender, str(sent.route)) for sent in stage.gateway.requests} == {
        ("X1x", "IT"), ("Y1y", "IT"), (None, "IT"), ("X1x", "WW"),
    }  # fmt: skip


@pytest.mark.parametrize("bad", [1, 2, 3])
def test_a_refused_number_says_nothing_about_the_text(stage: Any, bad: int) -> None:
    campaign = not_started(stage, [*same_text(stage, range(2, 7)), stage.row(10)])
    numbers = [f"+3933312{n:05d}" for n in range(2, 2 + bad)]
    stage.gateway.answering = lambda sent: BAD_NUMBER if sent.request.recipient in numbers else None
    result = screen(stage, campaign)
    assert result.refused == bad
    assert stage.counts(campaign) == {R.READY: 6 - bad, R.REFUSED: bad}
    told = stage.rows(campaign, "state, reason, error_code")[:bad]
    assert told == [(R.REFUSED, "refused_by_dry_run", "2011")] * bad
    assert Counter(asked(stage)) == {"The same for all": bad + 1, "Hello 10": 1}


def test_a_text_without_a_row_left_is_not_sent(stage: Any) -> None:
    campaign = not_started(stage, [stage.row(2), *same_text(stage, range(3, 6))])
    stage.gateway.answering = lambda sent: BAD_NUMBER if sent.request.message.startswith("The") else None
    result = screen(stage, campaign)
    assert stage.counts(campaign) == {R.READY: 1, R.REFUSED: 3}
    assert result.done == result.to_screen == 2
    assert screen(stage, campaign).remembered == 0  # a refusal is nothing to remember


@pytest.mark.parametrize("verdict", [BAD_NUMBER, Verdict(Outcome.REFUSED, http_status=422, code=2021)])
def test_only_an_acceptance_screens(stage: Any, verdict: Verdict) -> None:
    campaign = not_started(stage, 10)
    stage.gateway.answering = lambda sent: verdict
    screen(stage, campaign)
    assert stage.counts(campaign) == {R.REFUSED: 10}


@pytest.mark.parametrize(("every", "refused_at_most"), [(1, 0), (2, 20)])
def test_a_reason_that_may_pass_does_not_give_up_a_whole_campaign(
    stage: Any, every: int, refused_at_most: int
) -> None:
    """In the middle of the preflight the gateway begins to refuse with a code nobody knows: no credit, say."""
    campaign = not_started(stage, 400)
    empty = Verdict(Outcome.REFUSED, http_status=422, code=2999, detail="refused: 2999")
    stage.gateway.answering = lambda sent: (
        empty if len(stage.gateway.requests) > 100 and len(stage.gateway.requests) % every == 0 else None
    )
    with pytest.raises(Halted) as raised:
        screen(stage, campaign)
    assert (raised.value.code, raised.value.params["stop"]) == ("preflight_halted", "too_many_refusals")
    assert stage.counts(campaign).get(R.REFUSED, 0) <= refused_at_most
    stage.gateway.answering = lambda sent: None
    screen(stage, campaign)
    assert stage.counts(campaign)[R.READY] >= 400 - refused_at_most


def test_single_rows_may_be_refused_for_reasons_nobody_knows(stage: Any) -> None:
    campaign = not_started(stage, 100)
    odd = Verdict(Outcome.REFUSED, http_status=422, code=2999)
    stage.gateway.answering = lambda sent: odd if sent.request.message.endswith("0") else None
    screen(stage, campaign)
    assert stage.counts(campaign) == {R.READY: 90, R.REFUSED: 10}


def test_a_list_of_bad_numbers_is_refused_row_by_row(stage: Any) -> None:
    campaign = not_started(stage, 100)
    stage.gateway.answering = lambda sent: BAD_NUMBER if len(stage.gateway.requests) > 1 else None
    screen(stage, campaign)
    assert stage.counts(campaign) == {R.READY: 1, R.REFUSED: 99}


def test_a_sender_that_is_refused_with_every_row_stops_early(stage: Any) -> None:
    campaign = not_started(stage, 500)
    stage.gateway.answering = lambda sent: Verdict(
        Outcome.REFUSED, http_status=422, code=2021, detail="refused: 2021"
    )
    with pytest.raises(Halted) as raised:
        screen(stage, campaign)
    assert (raised.value.code, raised.value.params["stop"]) == ("preflight_halted", "too_many_refusals")
    assert stage.counts(campaign) == {R.REFUSED: 20, R.READY: 480}


def test_forbidden_texts_are_collected_with_every_row_and_the_others_screened(stage: Any) -> None:
    rows = [
        *same_text(stage, range(2, 100, 2), "casino"),
        *same_text(stage, range(3, 100, 2), "fine"),
        *same_text(stage, range(200, 210), "viagra"),
        stage.row(300),
    ]
    campaign = not_started(stage, rows)
    bad = ("casino", "viagra")
    stage.gateway.answering = lambda sent: FORBIDDEN if sent.request.message in bad else None
    result = screen(stage, campaign)
    assert result.forbidden == [*range(2, 100, 2), *range(200, 210)]
    assert Counter(asked(stage)) == {"casino": 1, "fine": 1, "viagra": 1, "Hello 300": 1}
    assert stage.counts(campaign) == {R.READY: len(rows)}  # what becomes of them is the launch's to say


def test_a_forbidden_text_is_found_behind_a_refused_number(stage: Any) -> None:
    campaign = not_started(stage, same_text(stage, range(2, 6), "casino"))
    stage.gateway.answering = lambda sent: (
        BAD_NUMBER if sent.request.recipient.endswith("00002") else FORBIDDEN
    )
    assert screen(stage, campaign).forbidden == [3, 4, 5]


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({}, False),
        ({"message_count": 2}, True),
        ({"encoding": "UCS-2"}, True),
        ({"message_count": None, "encoding": None}, False),
    ],
)
def test_another_count_of_parts_is_reported(stage: Any, other: dict[str, Any], differs: bool) -> None:
    campaign = not_started(stage, 1)
    stage.gateway.answering = lambda sent: stage.gateway.accept(sent, **other)
    found = screen(stage, campaign).disagreements
    assert len(found) == differs
    if differs:
        assert (found[0].row, found[0].our_parts, found[0].our_encoding) == (2, 1, "GSM-7")


# -- the first ones alone


def most_at_once(stage: Any, *, until: int) -> int:
    """The most requests in flight among the first ``until``."""
    flying, most, number = [0], [0], [0]
    answer = stage.gateway.answering

    async def counted(sent: Any) -> Verdict | None:
        number[0] += 1
        flying[0] += 1
        if number[0] <= until:
            most[0] = max(most[0], flying[0])
        await asyncio.sleep(stage.gateway.latency)
        flying[0] -= 1
        verdict: Verdict | None = answer(sent)
        return verdict

    stage.gateway.answering = counted
    return most  # type: ignore[return-value]


@pytest.mark.parametrize("refused_first", [0, 1, 5])
@pytest.mark.parametrize("first", [BAD_NUMBER, FORBIDDEN])
def test_dry_runs_go_alone_until_one_came_back_as_one(stage: Any, refused_first: int, first: Verdict) -> None:
    campaign = not_started(stage, 100)
    stage.gateway.latency = 1.0
    first_texts = [f"Hello {n}" for n in range(2, 2 + refused_first)]
    stage.gateway.answering = lambda sent: first if sent.request.message in first_texts else None
    most: Any = most_at_once(stage, until=refused_first + 1)
    begun = stage.clock.elapsed
    screen(stage, campaign)
    assert most == [1]
    assert len(stage.gateway.requests) == 100
    # the others do not wait for each other
    assert stage.clock.elapsed - begun < refused_first + 1 + 100 / 100.0 + 1.5


@pytest.mark.parametrize("before", [0, 3])
def test_a_gateway_that_does_not_know_dry_runs_sends_one_message_at_most(stage: Any, before: int) -> None:
    campaign = not_started(stage, 100)

    def answer(sent: Any) -> Verdict:
        if len(stage.gateway.requests) <= before:
            return BAD_NUMBER
        return stage.gateway.accept(sent, options=EchoedOptions())

    stage.gateway.answering = answer
    with pytest.raises(Halted) as raised:
        screen(stage, campaign)
    assert raised.value.code == "preflight_not_echoed"
    assert raised.value.row == 2 + before
    assert raised.value.params["stop"] == "preflight_not_echoed"
    assert len(stage.gateway.requests) == before + 1
    assert stage.states(campaign)[before] is R.ACCEPTED  # the gateway says it has it
    assert stage.rows(campaign, "message_id")[before] == raised.value.params["message_id"]
    assert stage.view(campaign).actual_cost == Decimal("0.045")
    (event,) = stage.events("dry_run_not_echoed")
    assert (event.row, event.detail["message_id"]) == (2 + before, raised.value.params["message_id"])


def test_every_later_dry_run_must_come_back_as_one_too(stage: Any) -> None:
    campaign = not_started(stage, 30)
    stage.gateway.answering = lambda sent: (
        stage.gateway.accept(sent, options=EchoedOptions(dry_run=False))
        if len(stage.gateway.requests) == 10
        else None
    )
    with pytest.raises(Halted, match="preflight_not_echoed"):
        screen(stage, campaign)


def test_the_guard_sees_what_a_gateway_that_ignores_dry_runs_has_sent(stage: Any) -> None:
    """Else the corrected file, or the right gateway's name, would send it again."""
    first = not_started(stage, 1)
    stage.gateway.answering = lambda sent: stage.gateway.accept(sent, options=EchoedOptions())
    with pytest.raises(Halted, match="preflight_not_echoed"):
        screen(stage, first)
    since = stage.now - timedelta(days=7)
    key = (2).to_bytes(16, "big")
    assert stage.ledger.memory.guard_hits("sandbox", "acme", [key], since) == {key}
    stage.gateway.answering = lambda sent: None
    again = stage.campaign(1, account="acme")
    stage.run(stage.lane(again, facts=stage.facts(again, guard_since=since)).run())
    assert stage.states(again) == [R.ALREADY_SENT]
    assert len(stage.gateway.requests) == 1


def test_a_blocklisted_answer_that_was_no_dry_run_is_written_down_as_sent_too(stage: Any) -> None:
    campaign = not_started(stage, 3)

    def answer(sent: Any) -> Verdict:
        message = stage.gateway.make(sent.request.recipient, sent.request.message, blocklisted=True)
        return Verdict(Outcome.HALT, message=message, http_status=201, account_wide=True, unsure=True)

    stage.gateway.answering = answer
    with pytest.raises(Halted) as raised:
        screen(stage, campaign)
    assert raised.value.params["stop"] == "account_blocklisted"
    assert stage.states(campaign) == [R.ACCEPTED, R.READY, R.READY]


# -- whose token


def test_the_first_answer_tells_the_account(stage: Any) -> None:
    campaign = not_started(stage, 3)
    screen(stage, campaign)
    assert stage.view(campaign).account == "acme"


@pytest.mark.parametrize("at", [1, 2, 20])
def test_another_accounts_token_stops_the_preflight(stage: Any, at: int) -> None:
    campaign = not_started(stage, 30, account="acme")
    stage.gateway.answering = lambda sent: (
        stage.gateway.accept(sent, username="somebody else") if len(stage.gateway.requests) >= at else None
    )
    with pytest.raises(Halted) as raised:
        screen(stage, campaign)
    assert (raised.value.code, raised.value.params["stop"]) == ("preflight_other_account", "other_account")
    assert stage.view(campaign).account == "acme"


def test_the_account_is_learnt_behind_refused_numbers(stage: Any) -> None:
    campaign = not_started(stage, 5)
    stage.gateway.answering = lambda sent: BAD_NUMBER if len(stage.gateway.requests) <= 2 else None
    screen(stage, campaign)
    assert stage.view(campaign).account == "acme"
    stage.gateway.answering = lambda sent: None
    assert screen(stage, campaign).remembered == 2  # of three: the first one is always asked


@pytest.mark.parametrize("stopped", ["acme", None])
def test_a_passed_dry_run_lifts_the_stop_of_its_account(stage: Any, stopped: str | None) -> None:
    campaign = not_started(stage, 2)
    stage.ledger.halts.stop("sandbox", stopped, "account_blocklisted", stage.now)
    stage.ledger.halts.stop("sandbox", "somebody else", "account_blocklisted", stage.now)
    stage.ledger.halts.stop("production", "acme", "account_blocklisted", stage.now)
    assert stage.ledger.campaigns.begin_preflight(campaign, stage.now)
    screen(stage, campaign)
    left = {(stop.gateway, stop.account) for stop in stage.ledger.halts.in_force()}
    assert left == {("sandbox", "somebody else"), ("production", "acme")}
    assert stage.ledger.campaigns.start_sending(campaign, stage.now)


@pytest.mark.parametrize("verdict", [BAD_NUMBER, FORBIDDEN])
def test_a_refused_dry_run_lifts_nothing(stage: Any, verdict: Verdict) -> None:
    campaign = not_started(stage, 2)
    stage.ledger.halts.stop("sandbox", "acme", "account_blocklisted", stage.now)
    stage.gateway.answering = lambda sent: verdict
    screen(stage, campaign)
    assert len(stage.ledger.halts.in_force()) == 1


def test_the_first_campaign_of_a_blocklisted_account_can_go_on_once_it_is_free(stage: Any) -> None:
    """Nobody knew whose token it was when it was stopped; the stop must not stay for ever."""
    campaign = not_started(stage, 2)
    stage.gateway.answering = lambda sent: BLOCKED
    with pytest.raises(Halted):
        screen(stage, campaign)
    assert stage.state(campaign) == (C.HALTED, "account_blocklisted")
    stage.gateway.answering = lambda sent: None
    assert stage.ledger.campaigns.begin_preflight(campaign, stage.now)
    screen(stage, campaign)
    assert stage.ledger.campaigns.start_sending(campaign, stage.now)


# -- when it stops


@pytest.mark.parametrize(
    ("verdict", "stop", "wide"),
    [
        (UNAUTHORIZED, "token_refused", False),
        (Verdict(Outcome.HALT, http_status=402, detail="payment_required"), "payment_required", False),
        (Verdict(Outcome.HALT, http_status=403, detail="access_denied"), "forbidden", False),
        (BLOCKED, "account_blocklisted", True),
    ],
)
@pytest.mark.parametrize("at", [1, 40])
def test_a_halt_stops_it_and_what_was_screened_is_kept(
    stage: Any, verdict: Verdict, stop: str, wide: bool, at: int
) -> None:
    campaign, sister = not_started(stage, 300), stage.campaign(1, account="acme")
    halted_at: list[float] = []

    def answer(sent: Any) -> Verdict | None:
        if len(stage.gateway.requests) < at:
            return None
        halted_at.append(stage.clock.elapsed + stage.gateway.latency)
        return verdict

    stage.gateway.answering = answer
    with pytest.raises(Halted) as raised:
        screen(stage, campaign)
    assert (raised.value.code, raised.value.params["stop"]) == ("preflight_halted", stop)
    assert [sent for sent in stage.gateway.requests if sent.at > halted_at[0]] == []
    assert (stage.state(sister)[0] is C.HALTED) == wide
    if at > 1:
        stage.gateway.answering = lambda sent: None
        again = not_started(stage, 300)
        stage.ledger.halts.lift("sandbox", "acme", "a person", stage.now)
        assert screen(stage, again).remembered >= 20


@pytest.mark.parametrize("verdict", [TIMEOUT, THROTTLED, FAILED, NOT_SENT])
@pytest.mark.parametrize("times", [1, TRIES - 1])
def test_what_gave_no_answer_is_tried_again(stage: Any, verdict: Verdict, times: int) -> None:
    campaign = not_started(stage, 20)
    tried: Counter[str] = Counter()

    def answer(sent: Any) -> Verdict | None:
        tried[sent.request.message] += 1
        return (
            verdict
            if tried[sent.request.message] <= times and sent.request.message in ("Hello 2", "Hello 9")
            else None
        )

    stage.gateway.answering = answer
    result = screen(stage, campaign)
    assert result.done == 20
    assert tried["Hello 2"] == tried["Hello 9"] == times + 1
    assert stage.pace.taken >= result.requests == 20 + 2 * times
    assert bool(stage.pace.slowed) == (verdict is THROTTLED)


@pytest.mark.parametrize("verdict", [TIMEOUT, THROTTLED, FAILED, NOT_SENT])
def test_a_gateway_that_never_answers_is_unreachable(stage: Any, verdict: Verdict) -> None:
    campaign = not_started(stage, 3)
    stage.gateway.answering = lambda sent: verdict
    with pytest.raises(Unreachable) as raised:
        screen(stage, campaign)
    assert raised.value.code == ("preflight_throttled" if verdict is THROTTLED else "preflight_no_answer")
    assert len(stage.gateway.requests) == TRIES
    assert stage.counts(campaign) == {R.READY: 3}


def test_the_pace_is_kept_and_used(stage: Any) -> None:
    campaign = not_started(stage, 400)
    stage.gateway.latency = 1.0
    begun = stage.clock.elapsed
    screen(stage, campaign)
    seconds = stage.clock.elapsed - begun
    assert 400 / 100.0 <= seconds < 400 / 100.0 + 3.0  # an answer takes a second: many at a time


def test_a_slot_that_was_missed_is_given_up(stage: Any) -> None:
    campaign = not_started(stage, 60)
    stage.pace.rate = 20.0

    def answer(sent: Any) -> None:
        if len(stage.gateway.requests) == 20:
            stage.clock.elapsed += 30.0  # the process hangs; its slots pass

    stage.gateway.answering = answer
    screen(stage, campaign)
    times = [sent.at for sent in stage.gateway.requests]
    assert max(sum(at <= each < at + 1.0 for each in times) for at in times) <= 21 + 20 * 0.3


# -- what is remembered


def test_screenings_are_remembered_for_a_day_also_in_another_process(stage: Any) -> None:
    first = not_started(stage, 10)
    screen(stage, first)
    begun = len(stage.gateway.requests)
    second = not_started(stage, 12)
    result = screen(stage, second)
    assert (result.remembered, result.to_screen, result.done) == (
        9,
        3,
        3,
    )  # the first one is asked to know whose token it is
    assert sorted(asked(stage)[begun:]) == ["Hello 12", "Hello 13", "Hello 2"]


@pytest.mark.parametrize(
    ("passed", "remembered"), [(timedelta(hours=23, minutes=59), 9), (timedelta(hours=24, seconds=1), 0)]
)
def test_and_no_longer(stage: Any, passed: timedelta, remembered: int) -> None:
    screen(stage, not_started(stage, 10))
    stage.clock.elapsed += passed.total_seconds()
    assert screen(stage, not_started(stage, 10)).remembered == remembered


@pytest.mark.parametrize("other", ["account", "gateway"])
def test_and_by_nobody_else(stage: Any, other: str) -> None:
    screen(stage, not_started(stage, 10))
    stage.gateway.username = "somebody else" if other == "account" else "acme"
    again = not_started(stage, 10, gateway="production" if other == "gateway" else "sandbox")
    assert screen(stage, again).remembered == 0


def test_forbidden_is_remembered_with_every_row_of_the_new_campaign(stage: Any) -> None:
    stage.gateway.answering = lambda sent: FORBIDDEN if sent.request.message == "casino" else None
    screen(stage, not_started(stage, [stage.row(2), stage.row(3, text="casino")]))
    begun = len(stage.gateway.requests)
    result = screen(stage, not_started(stage, [stage.row(2), *same_text(stage, range(10, 15), "casino")]))
    assert result.forbidden == list(range(10, 15))
    assert asked(stage)[begun:] == ["Hello 2"]


def test_an_account_without_a_name_is_not_remembered(stage: Any) -> None:
    stage.gateway.username = None
    screen(stage, not_started(stage, 5))
    assert screen(stage, not_started(stage, 5)).remembered == 0


# -- how many


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("auto", PreflightChoice()),
        ("AUTO:50", PreflightChoice(all_up_to=50)),
        (" all ", PreflightChoice(Mode.ALL)),
        ("none", PreflightChoice(Mode.NONE)),
        ("sample:5", PreflightChoice(Mode.SAMPLE, 5)),
    ],
)
def test_choices_are_read_and_written(text: str, choice: PreflightChoice) -> None:
    assert PreflightChoice.from_text(text) == choice
    assert PreflightChoice.from_text(str(choice)) == choice


@pytest.mark.parametrize(
    "text",
    ["", "some", "sample", "sample:", "sample:0", "sample:-1", "sample:x", "all:3", "none:1", "auto:x"],
)
def test_other_choices_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="usage_choice"):
        PreflightChoice.from_text(text)


@pytest.mark.parametrize(("sample", "expected"), [(5, 5), (20, 20), (50, 20)])
def test_a_sample_is_that_many_texts(stage: Any, sample: int, expected: int) -> None:
    campaign = not_started(stage, 20)
    result = screen(stage, campaign, f"sample:{sample}")
    assert len(set(asked(stage))) == result.done == expected
    assert result.partial == (expected < 20)


def test_samples_differ_by_chance_alone(stage: Any) -> None:
    picked = []
    for seed in (1, 1, 2):
        begun = len(stage.gateway.requests)
        stage.gateway.username = None  # nothing is remembered
        screen(stage, not_started(stage, 20), "sample:5", seed=seed)
        picked.append(sorted(asked(stage)[begun:]))
    assert picked[0] == picked[1] != picked[2]


def test_a_campaign_without_ready_rows_asks_nothing(stage: Any) -> None:
    campaign = not_started(stage, [stage.row(2, state=int(R.INVALID))])
    assert screen(stage, campaign) == PreflightResult()
    assert stage.gateway.requests == []


def test_progress_is_told_before_and_after(stage: Any) -> None:
    campaign = not_started(stage, 300)
    told: list[tuple[int, int]] = []
    preflight = new(stage, campaign, progress=lambda result: told.append((result.done, result.to_screen)))
    stage.run(preflight.run(lambda result: told.append((result.done, result.to_screen))))
    assert told[0] == (1, 300)
    assert told[-1] == (300, 300)
    assert told == sorted(told)
    assert 3 < len(told) < 50


def test_an_interrupted_preflight_keeps_what_it_has(stage: Any) -> None:
    campaign = not_started(stage, 300)

    async def interrupted() -> None:
        running = asyncio.create_task(new(stage, campaign).run(lambda result: None))
        await asyncio.sleep(1.0)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    stage.run(interrupted())
    begun = len(stage.gateway.requests)
    assert 0 < begun < 300
    assert screen(stage, not_started(stage, 300)).remembered >= begun - 10


# -- over real HTTP


class Unlimited:
    rate = None

    async def reserve(self, n: int) -> Slots:
        return Slots([0.0] * n, 0.0)

    async def slow_down(self, seconds: float) -> None: ...


@pytest.mark.parametrize("route", ["IT", "WW"])
def test_the_simulator_blocks_nothing_when_it_is_asked_first(stage: Any, route: str) -> None:
    rows = [
        stage.row(2, text="Play at the casino", route=route),
        *[stage.row(n, text="Fine", route=route) for n in range(3, 6)],
        stage.row(6, text="Fine as well €" * 20, parts=3, encoding=1, route=route),
    ]
    campaign = not_started(stage, rows)

    async def preflight() -> PreflightResult:
        async with Gateway(GatewayConfig(stand_in.url, SecretStr("simulator"))) as gateway:
            thread = LedgerThread(stage.ledger)
            services = Services(thread, gateway, Unlimited(), SystemClock(), "owner")
            choice = PreflightChoice()
            work = Preflight(
                services, stage.view(campaign), choice, progress=lambda result: None, rng=random.Random(1)
            )
            try:
                return await work.run(lambda result: None)
            finally:
                thread.close()

    with SimulatorThread(SimulatorConfig(requests_per_minute=None)) as stand_in:
        result = asyncio.run(preflight())
        assert result.forbidden == [2]
        assert result.done == 3
        assert [(each.row, each.our_parts, each.parts) for each in result.disagreements] == [(6, 3, 2)]
        assert stand_in.simulator.sends() == {}
        assert not stand_in.simulator.stats()["accounts"]["simulator"]["blocklisted"]
    assert stage.view(campaign).account == "simulator"
