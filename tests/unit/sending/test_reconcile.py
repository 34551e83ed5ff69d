"""Reconcile: what is found, what is proved absent, and everything that must keep a row in doubt."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dispatcher.errors import Halted, Unreachable, UsageError
from dispatcher.gateway.client import Page
from dispatcher.gateway.models import EchoedCallback, EchoedOptions
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.gateway.signing import Signer
from dispatcher.ledger import Accepted, CampaignState, Decided, DeliveryReport, RowState
from dispatcher.sending.listing import PAGE, Paging, walk
from dispatcher.sending.reconcile import DISTURBED_PASSES, Obstacle, Outlook
from tests.unit.sending.doubts import LOST, QUIET, lose, obstacles, reconciler, steps, witness

C, R, Ob = CampaignState, RowState, Obstacle


# -- found


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("key", [True, False])
def test_what_arrived_is_found_at_once(stage: Any, newest_first: bool, key: bool) -> None:
    campaign = lose(stage, "Hello 7", "Hello 9", arrived=True)
    stage.gateway.newest_first = newest_first
    if key:  # then it says so, whatever the text
        for n in range(2, 32):
            custom = {"row": f"{stage.ledger.id}.{campaign}.{n}"}
            change(stage, f"Hello {n}", callback=EchoedCallback(custom=custom), message="changed")
    (outlook,) = steps(stage, reconciler(stage), campaign, 1)
    assert (outlook.found, outlook.absent, outlook.open) == (2, 0, {})
    assert stage.counts(campaign).get(R.IN_DOUBT) is None
    by_text = dict(
        zip(stage.rows(campaign, "text"), stage.rows(campaign, "message_id, actual_cost"), strict=True)
    )
    listed = {str(m.recipient)[-5:]: m.id for m in stage.gateway.listed}
    assert by_text["Hello 7"] == (listed["00007"], 45_000)
    assert by_text["Hello 9"] == (listed["00009"], 45_000)


def test_nothing_in_doubt_reads_no_page(stage: Any) -> None:
    campaign = lose(stage, arrived=True)
    assert steps(stage, reconciler(stage), campaign, 1) == [Outlook()]
    assert stage.gateway.pages_read == 0


@pytest.mark.parametrize(
    ("route", "price", "cost"),
    [("IT", "0", 0), ("WW", "0", None), ("WW", "0.08", 80_000), ("ES", None, None)],
)
def test_what_a_found_message_costs(stage: Any, route: str, price: str | None, cost: int | None) -> None:
    campaign = lose(stage, "Hello 2", arrived=False, rows=[stage.row(2, route=route)], account="acme")
    total = None if price is None else Decimal(price)
    stage.gateway.listed.append(stage.gateway.make("+393331200002", "Hello 2", total_price=total))
    steps(stage, reconciler(stage), campaign, 1)
    assert stage.rows(campaign, "state, actual_cost") == [(R.ACCEPTED, cost)]


def test_a_row_of_a_cancelled_campaign_that_never_arrived_is_cancelled(stage: Any) -> None:
    campaign = lose(stage, "Hello 7", arrived=False)
    witness(stage, campaign)
    stage.ledger.campaigns.cancel(campaign, stage.now)
    assert [outlook.absent for outlook in steps(stage, reconciler(stage), campaign)] == [0, 1]
    assert stage.counts(campaign) == {R.ACCEPTED: 29, R.CANCELLED: 1}


def change(stage: Any, text: str, **update: Any) -> None:
    """Change the listed message with that text."""
    stage.gateway.listed = [
        m.model_copy(update=update) if m.message == text else m for m in stage.gateway.listed
    ]


def test_a_found_message_that_is_blocklisted_stops_the_account(stage: Any) -> None:
    campaign, sister = lose(stage, "Hello 7", arrived=True), stage.campaign(1, account="acme")
    change(stage, "Hello 7", blocklisted=True)
    steps(stage, reconciler(stage), campaign, 1)
    assert stage.state(campaign) == stage.state(sister) == (C.HALTED, "account_blocklisted")


# -- what is not the row's message


@pytest.mark.parametrize(
    ("update", "obstacle"),
    [
        ({"options": {"dry_run": True}}, None),
        ({"username": "somebody else"}, Ob.FOREIGN),
        ({"message": "Another text"}, Ob.UNCLEAR),
        ({"created_at": -timedelta(hours=3)}, Ob.UNCLEAR),
        ({"created_at": -timedelta(days=2)}, None),
        ({"callback": EchoedCallback(custom={"row": "0123abcd.9.9"})}, None),
        ({"recipient": "+393331299999"}, None),
    ],
    ids=[
        "dry run",
        "other account",
        "other text",
        "hours older",
        "days older",
        "other row's",
        "other number",
    ],
)
@pytest.mark.parametrize("newest_first", [True, False])
def test_what_never_matches(
    stage: Any, update: dict[str, Any], obstacle: Obstacle | None, newest_first: bool
) -> None:
    stage.clock.elapsed += 7 * 86_400.0
    campaign = lose(stage, "Hello 7", arrived=True)
    stage.gateway.newest_first = newest_first
    if isinstance(update.get("created_at"), timedelta):
        update = {"created_at": stage.now + update["created_at"]}
    if "options" in update:
        (message,) = (m for m in stage.gateway.listed if m.message == "Hello 7")
        update = {"options": message.options.model_copy(update={"dry_run": True})}
    change(stage, "Hello 7", **update)
    witness(stage, campaign)
    outlooks = steps(stage, reconciler(stage), campaign)
    assert [outlook.found for outlook in outlooks] == [0, 0]
    if obstacle is None:  # it is somebody else's: the row is absent
        assert [outlook.absent for outlook in outlooks] == [0, 1]
    else:
        assert obstacles(outlooks[-1]) == [obstacle]
        assert stage.counts(campaign)[R.IN_DOUBT] == 1


def test_a_settled_message_is_not_taken_by_another_row(stage: Any) -> None:
    rows = [
        stage.row(2, text="Same"),
        stage.row(3, text="Same", recipient="+393331200002"),
        *[stage.row(n) for n in range(4, 20)],
    ]
    campaign = lose(stage, arrived=True, rows=rows[:1] + rows[2:])
    again = lose(stage, "Same", arrived=False, rows=[rows[1], *[stage.row(n) for n in range(40, 60)]])
    stage.gateway.answering = lambda sent: None
    witness(stage, again)
    outlooks = steps(stage, reconciler(stage), again)
    assert [(outlook.found, outlook.absent) for outlook in outlooks] == [(0, 0), (0, 1)]
    assert stage.counts(campaign) == {R.ACCEPTED: 17}


@pytest.mark.parametrize("arrived", [0, 1, 2])
@pytest.mark.parametrize("newest_first", [True, False])
def test_two_identical_rows_settle_one_to_one(stage: Any, arrived: int, newest_first: bool) -> None:
    twins = [stage.row(n, text="Same", recipient="+393331200002") for n in (2, 3)]
    left = [arrived]

    def answer(sent: Any) -> Verdict | None:
        if sent.request.message != "Same":
            return None
        if left[0]:
            left[0] -= 1
            stage.gateway.accept(sent)
        return LOST

    stage.gateway.answering = answer
    stage.gateway.newest_first = newest_first
    campaign = stage.campaign([*twins, *[stage.row(n) for n in range(10, 40)]])
    stage.run(stage.lane(campaign).run())
    stage.gateway.answering = lambda sent: None
    witness(stage, campaign)
    outlooks = steps(stage, reconciler(stage), campaign)
    assert sum(outlook.found for outlook in outlooks) == arrived
    assert sum(outlook.absent for outlook in outlooks) == 2 - arrived
    stage.run(stage.lane(campaign).run())
    assert stage.gateway.times_sent[("+393331200002", "Same")] == 2
    assert set(stage.counts(campaign)) == {R.ACCEPTED}


@pytest.mark.parametrize("skew", [timedelta(minutes=-40), timedelta(0), timedelta(minutes=40)])
@pytest.mark.parametrize("date", [True, False])
def test_a_gateway_whose_clock_is_wrong(stage: Any, skew: timedelta, date: bool) -> None:
    """Its clock is corrected, with its Date header or by what it says about our other messages."""
    stage.gateway.skew, stage.gateway.sends_date = skew, date
    campaign = lose(stage, "Hello 7", arrived=True)
    witness(stage, campaign)
    outlooks = steps(stage, reconciler(stage), campaign)
    assert [outlook.found for outlook in outlooks] == [1, 0]
    assert stage.counts(campaign).get(R.READY) is None


def test_a_message_without_a_date_matches(stage: Any) -> None:
    campaign = lose(stage, "Hello 7", arrived=True)
    change(stage, "Hello 7", created_at=None)
    assert steps(stage, reconciler(stage), campaign, 1)[0].found == 1


def test_texts_mean_nothing_when_the_gateway_does_not_echo_them(stage: Any) -> None:
    campaign = stage.campaign(20)

    def answer(sent: Any) -> Verdict:
        accepted = stage.gateway.accept(sent, message=sent.request.message.upper())
        return LOST if sent.request.message == "Hello 7" else accepted

    stage.gateway.answering = answer
    stage.run(stage.lane(campaign).run())
    assert stage.view(campaign).not_echoed > 0
    stage.gateway.answering = lambda sent: stage.gateway.accept(sent, message=sent.request.message.upper())
    witness(stage, campaign)
    assert obstacles(steps(stage, reconciler(stage), campaign)[-1]) == [Ob.UNCLEAR]


@pytest.mark.parametrize("known", [True, False])
def test_a_listing_without_usernames_is_ours(stage: Any, known: bool) -> None:
    stage.gateway.username = None
    campaign = lose(stage, "Hello 7", arrived=True, account="acme" if known else None)
    witness(stage, campaign)
    assert [outlook.found for outlook in steps(stage, reconciler(stage), campaign)] == [1, 0]


def test_the_account_of_a_campaign_that_knows_none_is_learnt_from_what_is_found(stage: Any) -> None:
    campaign = lose(stage, "Hello 2", arrived=True, rows=1)
    assert stage.view(campaign).account is None
    assert steps(stage, reconciler(stage, absent_after=timedelta(0)), campaign, 1)[0].found == 1
    assert stage.view(campaign).account == "acme"


# -- absent


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("cap", [1, 2, 3, 7, 10, 11, 12, 20, 100])
def test_absent_is_proved_by_two_clean_passes_and_a_witness(stage: Any, newest_first: bool, cap: int) -> None:
    campaign = lose(stage, "Hello 7", arrived=False)
    stage.gateway.newest_first, stage.gateway.cap = newest_first, cap
    witness(stage, campaign)
    first, second = steps(stage, reconciler(stage), campaign)
    assert obstacles(first) == [Ob.UNPROVED]
    assert first.proving
    assert (second.absent, second.open, second.proving) == (1, {}, False)
    (event,) = stage.events("doubt_absent")
    assert event.detail["evidence"]["passes"] == 2
    assert event.detail["evidence"]["witness"] is not None
    stage.run(stage.lane(campaign).run())
    assert set(stage.gateway.times_sent.values()) == {1}
    assert stage.counts(campaign) == {R.ACCEPTED: 30}


def test_the_quiet_period_comes_first(stage: Any) -> None:
    campaign = lose(stage, "Hello 7", arrived=False)
    (doubt,) = stage.ledger.queries.in_doubt(campaign)
    work = reconciler(stage)
    (outlook,) = steps(stage, work, campaign, 1)
    assert obstacles(outlook) == [Ob.QUIET]
    assert outlook.until == max(doubt.in_doubt_at + QUIET, doubt.deadline)
    assert outlook.stuck == []
    witness(stage, campaign)
    assert [each.absent for each in steps(stage, work, campaign)] == [0, 1]


def test_a_claim_whose_owner_lives_and_has_not_spoken_is_not_overtaken(stage: Any) -> None:
    campaign = stage.campaign(10)
    stage.ledger.rows.claim(
        campaign, owner="frozen", token="t", limit=1, deadline=stage.now + timedelta(seconds=40), now=stage.now
    )  # fmt: skip
    stage.clock.elapsed += 50.0
    stage.ledger.rows.doubt_expired(stage.now)
    stage.run(stage.lane(campaign).run())
    stage.clock.elapsed += 300.0
    assert obstacles(steps(stage, reconciler(stage, alive=True), campaign)[-1]) == [Ob.OWNER_ALIVE]
    away = steps(stage, reconciler(stage, alive=True, elsewhere=True), campaign)[-1]
    assert (obstacles(away), away.stuck) == ([Ob.OWNER_AWAY], [])
    assert [each.absent for each in steps(stage, reconciler(stage, alive=False), campaign)] == [0, 1]


@pytest.mark.parametrize("absent_after", [None, timedelta(0), timedelta(minutes=30)])
def test_a_message_that_appears_between_the_passes_is_found(
    stage: Any, absent_after: timedelta | None
) -> None:
    campaign = lose(stage, "Hello 7", arrived=False)
    witness(stage, campaign)
    stage.clock.elapsed += 3600.0
    work = reconciler(stage, absent_after=absent_after)
    assert obstacles(steps(stage, work, campaign, 1)[0]) == [Ob.UNPROVED]
    (start,) = (doubt.attempt_started_at for doubt in stage.ledger.queries.in_doubt(campaign))
    stage.gateway.listed.append(stage.gateway.make("+393331200007", "Hello 7", created_at=start))
    assert [(each.found, each.absent) for each in steps(stage, work, campaign)] == [(1, 0), (0, 0)]


def test_a_disturbed_pass_between_two_clean_ones_starts_the_proof_again(stage: Any) -> None:
    campaign = lose(stage, "Hello 7", arrived=False)
    witness(stage, campaign)
    work = reconciler(stage)
    steps(stage, work, campaign, 1)
    stage.gateway.unreadable = 1
    assert obstacles(steps(stage, work, campaign, 1)[0]) == [Ob.UNREADABLE]
    stage.gateway.unreadable = 0
    assert [each.absent for each in steps(stage, work, campaign)] == [0, 1]


@pytest.mark.parametrize("error", [Unreachable("gateway_failed"), Halted("gateway_token_refused")])
def test_a_listing_that_cannot_be_had_proves_nothing(stage: Any, error: Exception) -> None:
    campaign = lose(stage, "Hello 7", arrived=False)
    witness(stage, campaign)
    work = reconciler(stage)
    stage.gateway.cap = 10

    def fail(skip: int, limit: int) -> None:
        if skip >= 20:
            raise error

    stage.gateway.before_page = fail
    for _ in range(3):
        with pytest.raises(type(error)):
            steps(stage, work, campaign, 1)
    assert stage.counts(campaign)[R.IN_DOUBT] == 1


@pytest.mark.parametrize(("lost", "absent"), [(0, 1), (1, 1), (2, 1), (3, None)])
def test_a_page_that_is_lost_now_and_then_is_asked_for_again(
    stage: Any, lost: int, absent: int | None
) -> None:
    campaign = lose(stage, "Hello 7", arrived=False)
    witness(stage, campaign)
    work = reconciler(stage)
    stage.gateway.cap = 10
    asked: Counter[int] = Counter()

    def fail(skip: int, limit: int) -> None:
        asked[skip] += 1
        if skip and asked[skip] <= lost:
            raise Unreachable("gateway_no_answer", host="gateway", reason="answer_late")

    stage.gateway.before_page = fail
    if absent is None:
        with pytest.raises(Unreachable):
            steps(stage, work, campaign, 1)
        return
    steps(stage, work, campaign, 1)
    assert set(asked) > {0}
    assert {n for skip, n in asked.items() if skip} == {lost + 1}
    assert steps(stage, work, campaign, 1)[0].absent == absent


@pytest.mark.parametrize(
    ("page", "error"), [(0, Unreachable("gateway_failed")), (20, Unreachable("gateway_throttled"))]
)
def test_a_gateway_that_is_away_or_has_enough_is_not_asked_again(
    stage: Any, page: int, error: Unreachable
) -> None:
    campaign = lose(stage, "Hello 7", arrived=False)
    witness(stage, campaign)
    stage.gateway.cap = 10
    asked: Counter[int] = Counter()

    def fail(skip: int, limit: int) -> None:
        asked[skip] += 1
        if skip >= page:
            raise error

    stage.gateway.before_page = fail
    with pytest.raises(Unreachable):
        steps(stage, reconciler(stage), campaign, 1)
    assert set(asked.values()) == {1}


# -- without a witness


def test_without_anything_newer_a_row_stays_in_doubt(stage: Any) -> None:
    campaign = lose(stage, "Hello 2", arrived=False, rows=1, account="acme")
    stage.clock.elapsed += 86_400.0
    work = reconciler(stage)
    first, *_, last = steps(stage, work, campaign, 40)
    assert obstacles(first) == [Ob.UNPROVED]  # a dry run was sent to stand in
    assert obstacles(last) == [Ob.NO_WITNESS]
    assert last.stuck == [(campaign, 2)]
    assert sum(sent.dry_run for sent in stage.gateway.requests) == 1
    assert stage.gateway.times_sent == {}


def test_a_message_from_before_the_deadline_is_no_witness(stage: Any) -> None:
    """Twenty newer ones are listed, but the doubtful request could have arrived after all of them."""
    campaign = lose(stage, "Hello 7", arrived=False)
    stage.clock.elapsed += 300.0
    outlooks = steps(stage, reconciler(stage), campaign, 40)
    assert sum(outlook.absent for outlook in outlooks) == 0
    assert obstacles(outlooks[-1]) == [Ob.NO_WITNESS]


@pytest.mark.parametrize("proof", ["callback", "late answer"])
def test_a_message_of_an_earlier_attempt_is_no_witness_for_the_last_one(stage: Any, proof: str) -> None:
    """A person sent row 3 again, and then the answer to the first attempt comes: what is listed is an old message."""
    campaign = lose(stage, "Hello 2", "Hello 3", arrived=False, rows=4, account="acme")
    ledger, first = stage.ledger, stage.rows(campaign, "attempt_token")[1]
    assert ledger.rows.resolve_doubt(campaign, 3, Decided(sent=False, by="me"), stage.now)
    old = stage.gateway.make("+393331200003", "Hello 3")
    stage.gateway.listed.append(old)
    stage.clock.elapsed += 300.0
    until = stage.now + timedelta(seconds=40)
    claim = ledger.rows.claim(
        campaign, owner="owner-1", token="second", limit=1, deadline=until, now=stage.now
    )
    assert [row.row for row in claim.rows] == [3]
    if proof == "callback":
        report = DeliveryReport(message_id=old.id, seen_at=stage.now, campaign_id=campaign, row=3)
        ledger.deliveries.record("sandbox", [report], stage.now)
    else:
        answer = Accepted(token=first, row=3, message_id=old.id, sent_at=stage.now)
        ledger.rows.settle_and_claim(campaign, [answer], None, stage.now)
    assert stage.states(campaign)[1] is R.ACCEPTED
    outlooks = steps(stage, reconciler(stage), campaign, 4)
    assert sum(outlook.absent for outlook in outlooks) == 0
    stage.run(stage.lane(campaign).run())  # the row that was kept back
    stage.clock.elapsed += 10.0
    assert sum(outlook.absent for outlook in steps(stage, reconciler(stage), campaign)) == 1


@pytest.mark.parametrize("lag", [0.0, 5.0, 20.0])
def test_a_listed_dry_run_is_witness_enough(stage: Any, lag: float) -> None:
    campaign = lose(stage, "Hello 2", arrived=False, rows=1, account="acme")
    stage.gateway.lists_dry_runs, stage.gateway.lag = True, lag
    stage.clock.elapsed += 300.0
    outlooks = steps(stage, reconciler(stage), campaign, 30)
    assert sum(outlook.absent for outlook in outlooks) == 1
    assert not any(outlook.stuck for outlook in outlooks)
    stage.run(stage.lane(campaign).run())
    assert stage.gateway.times_sent == {("+393331200002", "Hello 2"): 1}


def test_a_witness_is_called_only_after_the_deadline(stage: Any) -> None:
    """A quiet period shorter than the claim: a dry run before the deadline would prove nothing."""
    campaign = lose(stage, "Hello 2", arrived=False, rows=1, account="acme")
    stage.gateway.lists_dry_runs = True
    (doubt,) = stage.ledger.queries.in_doubt(campaign)
    work = reconciler(stage, quiet=timedelta(seconds=1))
    stage.clock.elapsed += 5.0
    (outlook,) = steps(stage, work, campaign, 1)
    assert obstacles(outlook) == [Ob.QUIET]
    assert outlook.until == doubt.deadline
    stage.clock.elapsed += 60.0
    assert sum(each.absent for each in steps(stage, work, campaign, 4)) == 1


def test_a_witness_that_was_sent_for_real_is_the_row_itself_and_the_last_one(stage: Any) -> None:
    """Without a preflight nobody knows that this gateway ignores dry runs."""
    first = lose(stage, "Hello 2", arrived=False, rows=1, account="acme")
    other = lose(stage, "Hello 2", arrived=False, rows=1, account="acme")
    stage.gateway.answering = lambda sent: stage.gateway.accept(sent, options=EchoedOptions())
    stage.clock.elapsed += 300.0
    work, before = reconciler(stage), len(stage.gateway.requests)
    steps(stage, work, first, 3)
    steps(stage, work, other, 3)
    assert len(stage.gateway.requests) == before + 1
    assert (stage.states(first), stage.states(other)) == ([R.ACCEPTED], [R.IN_DOUBT])
    assert stage.state(first) == (C.HALTED, "preflight_not_echoed")


def test_every_attempt_may_call_a_witness_of_its_own(stage: Any) -> None:
    campaign = lose(stage, "Hello 2", arrived=False, rows=1, account="acme")
    stage.gateway.lists_dry_runs = True
    work = reconciler(stage)
    for _ in range(3):
        stage.clock.elapsed += 300.0
        assert sum(each.absent for each in steps(stage, work, campaign, 4)) == 1
        stage.gateway.answering = lambda sent: None if sent.dry_run else LOST
        stage.run(stage.lane(campaign).run())
        assert stage.counts(campaign) == {R.IN_DOUBT: 1}


@pytest.mark.parametrize(
    "verdict",
    [LOST, Verdict(Outcome.REFUSED, http_status=422, code=2011), Verdict(Outcome.HALT, http_status=401)],
)
def test_a_witness_that_does_not_come_is_not_called_again(stage: Any, verdict: Verdict) -> None:
    campaign = lose(stage, "Hello 2", arrived=False, rows=1, account="acme")
    stage.gateway.answering = lambda sent: verdict
    stage.clock.elapsed += 300.0
    outlooks = steps(stage, reconciler(stage), campaign, 3)
    assert obstacles(outlooks[-1]) == [Ob.NO_WITNESS]
    assert len(stage.gateway.requests) == 2


def test_time_is_a_proof_only_where_it_was_said_to_be(stage: Any) -> None:
    campaign = lose(stage, "Hello 31", arrived=False)  # the last one: nothing newer
    stage.clock.elapsed += 120.0
    work = reconciler(stage, absent_after=timedelta(minutes=30))
    (outlook,) = steps(stage, work, campaign, 1)
    (doubt,) = stage.ledger.queries.in_doubt(campaign)
    assert obstacles(outlook) == [Ob.QUIET]
    assert outlook.until == doubt.in_doubt_at + timedelta(minutes=30)
    stage.clock.elapsed += 1800.0
    assert [each.absent for each in steps(stage, work, campaign)] == [0, 1]
    assert stage.events("doubt_absent")[0].detail["evidence"] == {
        "passes": 2,
        "witness": None,
        "absent_after": 1800.0,
    }


@pytest.mark.parametrize("token_of", ["acme", "somebody else"])
def test_an_empty_listing_proves_only_with_the_campaigns_own_token(stage: Any, token_of: str) -> None:
    """Nothing listed names an account; a dry run's answer does."""
    campaign = lose(stage, "Hello 2", arrived=False, rows=1, account="acme")
    stage.gateway.username = token_of
    stage.clock.elapsed += 300.0
    outlooks = steps(stage, reconciler(stage, absent_after=timedelta(0)), campaign, 4)
    assert sum(outlook.absent for outlook in outlooks) == (token_of == "acme")
    if token_of != "acme":
        assert obstacles(outlooks[-1]) == [Ob.FOREIGN]


# -- another listing


@pytest.mark.parametrize("absent_after", [None, timedelta(0)])
def test_another_accounts_listing_proves_nothing(stage: Any, absent_after: timedelta | None) -> None:
    """The token was exchanged; none of the other account's messages is to one of our numbers."""
    campaign = lose(stage, "Hello 7", arrived=True)
    stage.gateway.listed = [
        stage.gateway.make(f"+3933399{n:05d}", "x", username="somebody else") for n in range(50)
    ]
    stage.gateway.username, stage.gateway.lists_dry_runs = "somebody else", True
    stage.clock.elapsed += 300.0
    outlooks = steps(stage, reconciler(stage, absent_after=absent_after), campaign, 5)
    assert all(obstacles(outlook) == [Ob.FOREIGN] for outlook in outlooks)


def test_another_gateways_campaign_is_refused(stage: Any) -> None:
    campaign = lose(stage, "Hello 7", arrived=True)
    work = reconciler(stage, gateway="production", absent_after=timedelta(0))
    with pytest.raises(UsageError, match="campaign_other_gateway"):
        steps(stage, work, campaign, 1)
    assert stage.gateway.pages_read == 0


# -- a listing that does not hold still, or not everything


def listing_of(stage: Any, count: int) -> list[str]:
    stage.gateway.listed = [stage.gateway.make("+393339900000", f"x{n}") for n in range(count)]
    return [message.id for message in stage.gateway.listed]


def walked(stage: Any) -> tuple[Paging, set[str]]:
    paging, seen = Paging(), set[str]()

    async def all_pages() -> None:
        async for page in walk(stage.services(), paging):
            seen.update(message.id for message in page.messages)

    stage.run(all_pages())
    return paging, seen


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(0, 260),
    cap=st.sampled_from([1, 2, 3, 5, 9, 10, 11, 12, 13, 20, 21, 50, 99, 100]),
    newest_first=st.booleans(),
)
def test_a_listing_that_holds_still_is_read_whole(
    tmp_path_factory: pytest.TempPathFactory, open_stage: Any, count: int, cap: int, newest_first: bool
) -> None:
    with open_stage(tmp_path_factory.mktemp("stage")) as stage:
        stage.pace.rate = None
        stage.gateway.cap, stage.gateway.newest_first = cap, newest_first
        ids = listing_of(stage, count)
        paging, seen = walked(stage)
        assert (paging, seen) == (Paging(complete=True, consistent=True), set(ids))
        assert stage.gateway.pages_read <= 2 * count / cap + 12


@settings(max_examples=60, deadline=None)
@example(seed=4793, cap=5, newest_first=False, most=8)  # so many vanished that the next page was empty
@given(
    seed=st.integers(0, 10**6),
    cap=st.sampled_from([2, 5, 10, 11, 20, 100]),
    newest_first=st.booleans(),
    most=st.integers(1, 30),
)
def test_a_message_that_was_there_all_the_time_is_seen_or_the_pass_is_no_proof(
    tmp_path_factory: pytest.TempPathFactory,
    open_stage: Any,
    seed: int,
    cap: int,
    newest_first: bool,
    most: int,
) -> None:
    """Messages come at one end and vanish anywhere while pages are read."""
    rng = random.Random(seed)
    with open_stage(tmp_path_factory.mktemp("stage")) as stage:
        stage.pace.rate = None
        stage.gateway.cap, stage.gateway.newest_first = cap, newest_first
        there = set(listing_of(stage, rng.randint(0, 250)))
        left = [6]

        def stir(skip: int, limit: int) -> None:
            if not left[0] or rng.random() < 0.5:
                return
            left[0] -= 1
            if rng.random() < 0.5:
                stage.gateway.listed += [
                    stage.gateway.make("+393339900001", "new") for _ in range(rng.randint(1, most))
                ]
            else:
                for _ in range(rng.randint(1, most)):
                    if stage.gateway.listed:
                        there.discard(stage.gateway.listed.pop(rng.randrange(len(stage.gateway.listed))).id)

        stage.gateway.before_page = stir
        paging, seen = walked(stage)
        assert there <= seen or not (paging.complete and paging.consistent)


@pytest.mark.parametrize("cap", [1, 10, 100])
def test_a_gateway_that_does_not_page_is_given_up(stage: Any, cap: int) -> None:
    listing_of(stage, 150)
    shown = stage.gateway.messages

    async def first_page(skip: int = 0, limit: int = PAGE) -> Page:
        page: Page = await shown(0, min(limit, cap))
        return page

    stage.gateway.messages = first_page
    paging, _ = walked(stage)
    assert not paging.complete
    assert stage.gateway.pages_read < 10


def test_a_listing_that_grows_as_fast_as_it_is_read_is_given_up(stage: Any) -> None:
    listing_of(stage, 150)
    stage.gateway.before_page = lambda skip, limit: stage.gateway.listed.extend(
        stage.gateway.make("+393339900001", "new") for _ in range(12)
    )
    paging, _ = walked(stage)
    assert not paging.complete
    assert stage.gateway.pages_read < 30


def drop(stage: Any, *texts: str) -> None:
    stage.gateway.listed = [message for message in stage.gateway.listed if message.message not in texts]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stage: setattr(stage.gateway, "messages", _first_page_only(stage)),
        lambda stage: drop(stage, *[f"Hello {n}" for n in range(2, 12)]),
        lambda stage: drop(stage, "Hello 5", "Hello 6"),
        lambda stage: drop(stage, "Hello 6", "Hello 25"),
    ],
    ids=["no paging", "old ones dropped", "a gap with one before", "a gap with one after"],
)
@pytest.mark.parametrize("absent_after", [None, timedelta(0)])
def test_an_incomplete_listing_never_proves_absence(
    stage: Any, spoil: Callable[[Any], Any], absent_after: timedelta | None
) -> None:
    """The message is there, but what is listed does not show it: it must not go out again."""
    campaign = lose(stage, "Hello 6", arrived=True)
    witness(stage, campaign)
    spoil(stage)
    stage.gateway.cap = 10
    outlooks = steps(stage, reconciler(stage, absent_after=absent_after), campaign, 12, wait=60.0)
    assert sum(outlook.absent + outlook.found for outlook in outlooks) == 0
    assert obstacles(outlooks[0]) == [Ob.UNPROVED]
    assert obstacles(outlooks[DISTURBED_PASSES]) == [Ob.INCOMPLETE]
    assert outlooks[-1].stuck == [(campaign, 6)]
    assert stage.counts(campaign)[R.IN_DOUBT] == 1


def _first_page_only(stage: Any) -> Any:
    shown = stage.gateway.messages

    async def first(skip: int = 0, limit: int = PAGE) -> Page:
        page: Page = await shown(0, limit)
        return page

    return first


def test_a_message_listed_late_is_found_and_not_sent_again(stage: Any) -> None:
    """The listing lags ten minutes behind: everything that could be a witness is missing from it just as long."""
    stage.gateway.lag = 600.0
    campaign = lose(stage, "Hello 7", arrived=True)
    stage.clock.elapsed += 100.0
    stage.run(stage.lane(campaign).run())
    outlooks = steps(stage, reconciler(stage), campaign, 60, wait=20.0)
    assert sum(outlook.absent for outlook in outlooks) == 0
    assert sum(outlook.found for outlook in outlooks) == 1


# -- whatever happens


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    cap=st.sampled_from([1, 2, 7, 10, 11, 37, 100]),
    newest_first=st.booleans(),
    lists_dry_runs=st.booleans(),
    lag=st.sampled_from([0.0, 3.0, 50.0]),
    keys=st.booleans(),
    names=st.booleans(),
    twins=st.booleans(),
)
def test_whatever_is_lost_no_row_is_sent_twice(
    tmp_path_factory: pytest.TempPathFactory,
    open_stage: Any,
    seed: int,
    cap: int,
    newest_first: bool,
    lists_dry_runs: bool,
    lag: float,
    keys: bool,
    names: bool,
    twins: bool,
) -> None:
    rng = random.Random(seed)
    with open_stage(tmp_path_factory.mktemp("stage")) as stage:
        gateway = stage.gateway
        gateway.cap, gateway.newest_first, gateway.lists_dry_runs, gateway.lag = (
            cap,
            newest_first,
            lists_dry_runs,
            lag,
        )
        gateway.username = "acme" if names else None
        rows = [stage.row(n) for n in range(2, 24)]
        if twins:
            rows += [stage.row(n, text="Same", recipient="+393331200002") for n in (50, 51, 52)]
        campaign = stage.campaign(rows)

        def answer(sent: Any) -> Verdict | None:
            lost = rng.random() < 0.15 and not sent.dry_run
            if lost and rng.random() < 0.5:
                return LOST
            custom = sent.request.callback.custom if sent.request.callback else None
            accepted = gateway.accept(sent, **({"callback": EchoedCallback(custom=custom)} if custom else {}))
            return LOST if lost else accepted

        gateway.answering = answer
        callbacks = partial(Signer("secret").callback, "https://example.com/c")
        services = stage.services(callbacks=callbacks if keys else None)
        work = reconciler(stage)

        async def until_settled() -> None:
            for _ in range(15):
                await stage.lane(campaign, services=services).run()
                stage.ledger.campaigns.resume(campaign, stage.now)
                await work.step([campaign])
                await asyncio.sleep(rng.choice([1.0, 5.0, 61.0]))

        stage.run(until_settled())
        sent = gateway.times_sent
        twin = ("+393331200002", "Same")
        assert sent.pop(twin, 0) <= 3
        assert all(times == 1 for times in sent.values())
        states = stage.states(campaign)
        assert set(states) <= {R.ACCEPTED, R.IN_DOUBT, R.READY}
        texts = {str(m.message) for m in gateway.listed if not m.is_dry_run}
        for text, state in zip(stage.rows(campaign, "text"), states, strict=True):
            assert (state is R.ACCEPTED) <= (text in texts)
