"""Claims, caps, guards, late answers and doubts, one rule per test."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dispatcher.ledger import (
    Absent,
    CampaignState,
    Decided,
    DeliveryReport,
    Found,
    InDoubt,
    Refused,
    RowState,
)
from dispatcher.ledger.states import PROBLEM, ROW_STARTS

R = RowState


def kinds(desk: Any, campaign: int) -> list[str]:
    return [event.kind for event in desk.ledger.events.of(campaign) if event.kind not in ("created", "state")]


def test_rows_are_claimed_once_and_in_order(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(5))
    assert [desk.claim(campaign, token, 2) for token in "abcd"] == [[2, 3], [4, 5], [6], []]


def test_only_due_rows_are_claimed_earliest_first(desk: Any) -> None:
    hour = timedelta(hours=1)
    rows = [
        desk.row(2, due_at=desk.now + hour),
        desk.row(3),
        desk.row(4, due_at=desk.now),
        desk.row(5, due_at=desk.now - hour),
    ]
    campaign = desk.campaign(rows)
    assert desk.claim(campaign, "a") == [3, 5, 4]
    assert desk.ledger.queries.next_due(campaign) == desk.now + hour
    desk.settle(campaign, *(desk.accepted(row, "a") for row in (3, 4, 5)))
    assert desk.ledger.campaigns.finish_if_done(campaign, desk.now) is CampaignState.WAITING
    assert desk.ledger.campaigns.due("sandbox", desk.now) == []
    desk.now += hour
    assert desk.ledger.campaigns.due("production", desk.now) == []
    assert desk.ledger.campaigns.due("sandbox", desk.now) == [campaign]
    assert desk.ledger.campaigns.wake(campaign, desk.now)
    assert desk.claim(campaign, "b") == [2]


@pytest.mark.parametrize("verb", ["pause", "hold", "halt", "wait", "cancel"])
def test_nothing_is_claimed_unless_the_campaign_is_sending(desk: Any, verb: str) -> None:
    campaign = desk.campaign(desk.rows(2))
    reason = () if verb in ("pause", "cancel") else ("why",)
    assert getattr(desk.ledger.campaigns, verb)(campaign, *reason, desk.now)
    assert desk.claim(campaign, "a") == []


def test_a_stop_of_the_account_stops_claims_and_starts(desk: Any) -> None:
    mine, other = desk.campaign(desk.rows(2)), desk.campaign(desk.rows(2), gateway="production")
    later = desk.campaign(desk.rows(2), started=False)
    assert desk.ledger.campaigns.set_account(mine, "me", desk.now)
    assert desk.ledger.halts.stop("sandbox", "me", "blocklisted", desk.now) == [mine]
    assert desk.claim(mine, "a") == []
    assert desk.claim(other, "a") == [2, 3]
    assert desk.ledger.campaigns.set_account(later, "me", desk.now)
    desk.ledger.campaigns.begin_preflight(later, desk.now)
    for verb in (desk.ledger.campaigns.start_sending, desk.ledger.campaigns.resume):
        campaign = later if verb == desk.ledger.campaigns.start_sending else mine
        with pytest.raises(Exception, match="ledger_account_halted"):
            verb(campaign, desk.now)
    assert desk.ledger.halts.lift("sandbox", "me", "me", desk.now)
    assert desk.ledger.campaigns.resume(mine, desk.now)
    assert desk.claim(mine, "b") == [2, 3]


@pytest.mark.parametrize(("cap", "claimed"), [("0.05", 1), ("0.099999", 1), ("0.10", 2), ("0", 0), (None, 4)])
def test_a_claim_fits_the_cap(desk: Any, cap: str | None, claimed: int) -> None:
    campaign = desk.campaign(desk.rows(4), max_cost=None if cap is None else Decimal(cap))
    claim = desk.ledger.rows.settle_and_claim(campaign, [], desk.request("a"), desk.now).claim
    assert (len(claim.rows), claim.capped) == (claimed, claimed < 4)


def test_a_price_below_the_reserve_makes_room_in_the_same_transaction(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(3), max_cost=Decimal("0.10"))
    assert desk.claim(campaign, "a") == [2, 3]
    cheap = [desk.accepted(row, "a", actual_cost=Decimal("0.025")) for row in (2, 3)]
    claim = desk.ledger.rows.settle_and_claim(campaign, cheap, desk.request("b"), desk.now).claim
    assert [row.row for row in claim.rows] == [4]
    desk.check_counters(campaign)


def test_opt_outs_and_other_campaigns_are_seen_at_the_claim(desk: Any) -> None:
    first, second = desk.campaign(desk.rows(1)), desk.campaign(desk.rows(3))
    desk.bring(first, 2, R.IN_DOUBT)
    desk.ledger.opt_outs.add(["+393331200003"], "a call", desk.now)
    since = desk.now - timedelta(days=7)
    claim = desk.ledger.rows.settle_and_claim(
        second, [], desk.request("a", guard_since=since), desk.now
    ).claim
    assert ([row.row for row in claim.rows], claim.left_out) == ([4], 2)
    assert desk.state(second, 2) is R.ALREADY_SENT
    assert desk.state(second, 3) is R.OPTED_OUT
    desk.check_counters(second)


@pytest.mark.parametrize("case", ["another_gateway", "another_account", "too_long_ago"])
def test_the_guard_looks_at_this_account_and_time_only(desk: Any, case: str) -> None:
    gateway = "production" if case == "another_gateway" else "sandbox"
    first, second = desk.campaign(desk.rows(1), gateway=gateway), desk.campaign(desk.rows(1))
    if case == "another_account":
        desk.ledger.campaigns.set_account(first, "me", desk.now)
        desk.ledger.campaigns.set_account(second, "you", desk.now)
    desk.bring(first, 2, R.ACCEPTED)
    since = desk.now + timedelta(seconds=1) if case == "too_long_ago" else desk.now
    key = (2).to_bytes(16, "big")
    assert desk.ledger.memory.guard_hits("sandbox", "you", [key], since) == set()
    assert desk.claim(second, "a", guard_since=since) == [2]


def test_guard_hits_are_what_was_or_may_have_been_sent(desk: Any) -> None:
    states = [*(state for state in R if state <= R.REFUSED)]
    for number, state in enumerate(states, 2):
        desk.bring(desk.campaign([desk.row(number)]), number, state)
    keys = [number.to_bytes(16, "big") for number in range(2, 2 + len(states))]
    hits = desk.ledger.memory.guard_hits("sandbox", None, keys, desk.now)
    expected = {key for key, state in zip(keys, states, strict=True) if R.SENDING <= state <= R.REJECTED}
    assert hits == expected


def test_the_same_outcome_told_twice_changes_nothing(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "a")
    answer = desk.accepted(2, "a")
    assert desk.settle(campaign, answer).moved == {R.ACCEPTED: 1}
    assert desk.settle(campaign, answer).ignored == [2]
    assert kinds(desk, campaign) == []


@pytest.mark.parametrize("released_by", ["not_sent", "absent"])
def test_a_late_success_after_a_release_is_never_sent_again(desk: Any, released_by: str) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "a")
    if released_by == "not_sent":
        desk.settle(campaign, desk.not_sent(2, "a"))
    else:
        desk.settle(campaign, InDoubt(token="a", row=2))
        assert desk.ledger.rows.resolve_doubt(campaign, 2, Absent(evidence={}), desk.now, token="a")
    assert desk.state(campaign, 2) is R.READY
    desk.settle(campaign, desk.accepted(2, "a"))
    assert desk.state(campaign, 2) is R.ACCEPTED
    assert "late_success_after_release" in kinds(desk, campaign)
    assert desk.claim(campaign, "b") == []
    desk.check_counters(campaign)


GIVEN_UP = [R.REFUSED, R.OPTED_OUT, R.ALREADY_SENT, R.TOO_LATE, R.CAPPED, R.CANCELLED]


@pytest.mark.parametrize("state", GIVEN_UP, ids=lambda s: s.code)
@pytest.mark.parametrize("told_by", ["answer", "older_answer", "report"])
def test_a_late_success_of_a_row_that_was_given_up_is_the_truth(
    desk: Any, state: RowState, told_by: str
) -> None:
    """The person got it: the same file must not send it again, and it costs money."""
    campaign = desk.campaign(desk.rows(1))
    desk.bring(campaign, 2, state)
    key, since = (2).to_bytes(16, "big"), desk.now - timedelta(days=7)
    assert desk.ledger.memory.guard_hits("sandbox", None, [key], since) == set()
    if told_by == "report":
        report = DeliveryReport(
            message_id="m2", seen_at=desk.now, state=R.DELIVERED, campaign_id=campaign, row=2, token="t",
            actual_cost=Decimal("0.04"),
        )  # fmt: skip
        assert desk.ledger.deliveries.record("sandbox", [report], desk.now).changed == 1
    else:
        desk.settle(campaign, desk.accepted(2, "t" if told_by == "answer" else "older"))
    assert desk.state(campaign, 2) is (R.DELIVERED if told_by == "report" else R.ACCEPTED)
    (row,) = desk.ledger.queries.report_rows(campaign)
    assert (row.message_id, row.reason, row.error_code, row.error_detail) == ("m2", None, None, None)
    assert desk.ledger.queries.campaign(campaign).actual_cost == Decimal("0.04")
    event = "late_success_lost_token" if told_by == "older_answer" else "late_success_after_giving_up"
    assert event in kinds(desk, campaign)
    assert desk.ledger.memory.guard_hits("sandbox", None, [key], since) == {key}
    assert desk.claim(desk.campaign(desk.rows(1)), "again", guard_since=since) == []
    desk.check_counters(campaign)


def test_a_row_that_nobody_tried_is_never_accepted(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.ledger.rows.exclude(campaign, [2], R.REFUSED, "forbidden_text", desk.now)
    assert desk.settle(campaign, desk.accepted(2, "t")).ignored == [2]
    assert desk.state(campaign, 2) is R.REFUSED
    assert kinds(desk, campaign) == ["late_success_lost_row"]


def test_a_success_of_an_older_attempt_is_the_truth_and_is_written_down(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "a")
    desk.settle(campaign, desk.not_sent(2, "a"))
    desk.claim(campaign, "b")
    desk.settle(campaign, desk.accepted(2, "a", "first"))
    assert desk.state(campaign, 2) is R.ACCEPTED
    desk.settle(campaign, desk.accepted(2, "b", "second"))
    assert kinds(desk, campaign) == ["late_success_lost_token", "late_success_lost_row"]
    assert desk.raw("SELECT message_id FROM rows") == [("first",)]


def test_a_late_doubt_never_overwrites(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "a")
    desk.settle(campaign, desk.accepted(2, "a"), InDoubt(token="a", row=2), desk.not_sent(2, "a"))
    assert desk.state(campaign, 2) is R.ACCEPTED


def test_a_message_id_of_another_row_is_no_acceptance(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(3))
    desk.claim(campaign, "a")
    desk.settle(campaign, desk.accepted(2, "a", "same"), desk.accepted(3, "a", "same"))
    desk.settle(campaign, desk.accepted(4, "a", "same"))
    assert [desk.state(campaign, row) for row in (2, 3, 4)] == [R.ACCEPTED, R.IN_DOUBT, R.IN_DOUBT]
    assert kinds(desk, campaign) == ["message_id_taken"] * 2


@pytest.mark.parametrize("price", ["0.0455000000000000012", "-1", "NaN", "Infinity", "1e9", "1e40"])
def test_a_strange_price_never_costs_the_outcome(desk: Any, price: str) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "a")
    desk.settle(campaign, desk.accepted(2, "a", actual_cost=Decimal(price)))
    row = next(iter(desk.ledger.queries.report_rows(campaign)))
    assert row.actual_cost == (Decimal("0.0455") if price.startswith("0.0") else None)
    desk.check_counters(campaign)


def test_a_detail_is_kept_in_what_every_database_can_keep(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "a")
    desk.settle(campaign, InDoubt(token="a", row=2, detail="a\0b\ud800 è" + "." * 600))
    ((detail,),) = desk.raw("SELECT error_detail FROM rows")
    assert detail == "ab? è" + "." * 494


def test_answers_of_every_kind_are_written_in_one_transaction(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(6))
    desk.claim(campaign, "a", 3)
    desk.claim(campaign, "b", 3)
    desk.settle(
        campaign,
        desk.accepted(2, "a", 'it\'s\\ "quoted" è😀', actual_cost=Decimal("0.045001")),
        desk.accepted(3, "a", "two", actual_cost=None, echoed=False),
        Refused(token="a", row=4, reason="refused_by_gateway", error_code="2011", detail="no"),
        InDoubt(token="b", row=5, detail="hang"),
        desk.not_sent(6, "b"),
        desk.not_sent(7, "a"),  # not the token it was claimed under
    )
    stored = desk.raw(
        "SELECT row, state, message_id, actual_cost, echoed, reason, error_code, error_detail, attempts FROM rows"
        " ORDER BY row"
    )
    assert [tuple(row) for row in stored] == [
        (2, R.ACCEPTED, 'it\'s\\ "quoted" è😀', 45_001, True, None, None, None, 1),
        (3, R.ACCEPTED, "two", None, False, None, None, None, 1),
        (4, R.REFUSED, None, None, None, "refused_by_gateway", "2011", "no", 1),
        (5, R.IN_DOUBT, None, None, None, "answer_unknown", None, "hang", 1),
        (6, R.READY, None, None, None, None, None, None, 0),
        (7, R.SENDING, None, None, None, None, None, None, 1),
    ]
    desk.check_counters(campaign)


def test_claims_past_their_deadline_become_doubtful(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(4))
    desk.claim(campaign, "a", 2)
    desk.now += timedelta(seconds=20)
    desk.claim(campaign, "b", 2)
    desk.now += timedelta(seconds=10)
    assert desk.ledger.rows.doubt_expired(desk.now) == {campaign: 2}
    assert desk.ledger.rows.doubt_expired(desk.now) == {}
    assert [doubt.row for doubt in desk.ledger.queries.in_doubt(campaign)] == [2, 3]
    assert desk.ledger.rows.doubt_dead(lambda owner: owner == "tester", desk.now) == {campaign: 2}
    desk.check_counters(campaign)


def test_proof_about_an_older_attempt_does_not_release_the_row(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.bring(campaign, 2, R.IN_DOUBT, "a")
    resolve = desk.ledger.rows.resolve_doubt
    assert resolve(campaign, 2, Absent(evidence={"passes": 2}), desk.now, token="a")
    desk.bring(campaign, 2, R.IN_DOUBT, "b")
    assert not resolve(campaign, 2, Absent(evidence={}), desk.now, token="a")
    with pytest.raises(ValueError, match="token"):
        resolve(campaign, 2, Absent(evidence={}), desk.now)
    assert resolve(campaign, 2, Found(message_id="x", sent_at=desk.now), desk.now, token="b")
    assert kinds(desk, campaign) == ["doubt_absent", "doubt_found"]


def test_a_person_may_decide_and_a_late_answer_fills_in_the_rest(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.bring(campaign, 2, R.IN_DOUBT)
    assert desk.ledger.rows.resolve_doubt(campaign, 2, Decided(sent=True, by="anna"), desk.now)
    desk.settle(campaign, desk.accepted(2, "t", "m"))
    assert desk.raw("SELECT state, message_id, actual_cost FROM rows") == [(int(R.ACCEPTED), "m", 40_000)]
    assert kinds(desk, campaign) == ["doubt_decided", "late_success_after_decision"]
    desk.check_counters(campaign)


def test_a_released_row_of_a_cancelled_campaign_is_cancelled(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(3))
    desk.claim(campaign, "a", 2)
    assert desk.ledger.campaigns.cancel(campaign, desk.now)
    desk.settle(campaign, desk.not_sent(2, "a"), desk.accepted(3, "a"))
    assert desk.ledger.queries.counts(campaign) == {R.ACCEPTED: 1, R.CANCELLED: 2}
    assert not desk.ledger.campaigns.cancel(campaign, desk.now)
    desk.check_counters(campaign)


def test_a_report_proves_a_row_in_flight_or_in_doubt(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(2))
    desk.bring(campaign, 2, R.IN_DOUBT, "a")
    desk.claim(campaign, "b")
    for row, token in ((2, "a"), (3, "b")):
        report = DeliveryReport(
            message_id=f"m{row}", seen_at=desk.now, state=R.DELIVERED, delivered_at=desk.now,
            campaign_id=campaign, row=row, token=token,
        )  # fmt: skip
        assert desk.ledger.deliveries.record("production", [report], desk.now).unknown == [f"m{row}"]
        assert desk.ledger.deliveries.record("sandbox", [report], desk.now).changed == 1
        assert desk.ledger.deliveries.record("sandbox", [report], desk.now).changed == 0
    assert desk.ledger.queries.counts(campaign) == {R.DELIVERED: 2}
    desk.settle(campaign, desk.accepted(3, "b"))
    assert desk.state(campaign, 3) is R.DELIVERED
    desk.check_counters(campaign)


def test_a_report_never_accepts_a_row_nobody_tried(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    report = DeliveryReport(message_id="m", seen_at=desk.now, state=R.DELIVERED, campaign_id=campaign, row=2)
    assert desk.ledger.deliveries.record("sandbox", [report], desk.now).unknown == ["m"]
    assert desk.state(campaign, 2) is R.READY


def test_release_gives_back_and_does_not_burn_the_attempt(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(3))
    desk.claim(campaign, "a", 2)
    desk.settle(campaign, desk.accepted(2, "a"))
    assert desk.ledger.rows.release(campaign, ["a", "unknown"], desk.now) == 1
    assert desk.raw("SELECT attempts FROM rows WHERE row = 3") == [(0,)]
    assert desk.claim(campaign, "b") == [3, 4]


def test_release_gives_back_what_became_doubtful_meanwhile(desk: Any) -> None:
    """The server was away for longer than the claims' deadline; their owner still knows that nothing left."""
    campaign = desk.campaign(desk.rows(3))
    desk.claim(campaign, "a", 2)
    desk.now += timedelta(minutes=5)
    assert desk.ledger.rows.doubt_expired(desk.now) == {campaign: 2}
    assert desk.ledger.rows.release(campaign, ["a"], desk.now) == 2
    assert desk.ledger.queries.counts(campaign) == {R.READY: 3}
    assert desk.raw("SELECT attempts, reason, error_detail FROM rows WHERE row = 2") == [(0, None, None)]
    assert desk.ledger.rows.release(campaign, ["a"], desk.now) == 0
    desk.check_counters(campaign)
    assert desk.claim(campaign, "b") == [2, 3, 4]


def test_a_token_is_used_once(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    desk.claim(campaign, "a")
    desk.settle(campaign, desk.not_sent(2, "a"))
    with pytest.raises(ValueError, match="token"):
        desk.claim(campaign, "a")


def test_every_row_with_a_refused_text_is_left_out(desk: Any) -> None:
    rows = [desk.row(n, text="bad" if n % 2 else "good", sender=None) for n in range(2, 8)]
    rows.append(desk.row(8, text="bad", sender="OTHER"))
    campaign = desk.campaign(rows)
    moved = desk.ledger.rows.exclude_same_text(campaign, [3], R.REFUSED, "forbidden_text", desk.now)
    assert moved == 3
    assert [row.row for row in desk.ledger.queries.problems(campaign)] == [3, 5, 7]
    desk.settle(campaign, Refused(token="a", row=2, reason="x"))
    assert desk.state(campaign, 2) is R.READY


def test_a_campaign_belongs_to_one_account(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    assert [desk.ledger.campaigns.set_account(campaign, who, desk.now) for who in ("a", "a", "b")] == [
        True,
        True,
        False,
    ]
    assert desk.ledger.queries.campaign(campaign).account == "a"


def test_a_campaign_finishes_when_nothing_is_open(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    for step in ("ready", "sending", "in_doubt"):
        assert desk.ledger.campaigns.finish_if_done(campaign, desk.now) is CampaignState.SENDING, step
        if step == "ready":
            desk.claim(campaign, "a")
        if step == "sending":
            desk.settle(campaign, InDoubt(token="a", row=2))
    desk.settle(campaign, desk.accepted(2, "a"))
    assert desk.ledger.campaigns.finish_if_done(campaign, desk.now) is CampaignState.FINISHED


@pytest.mark.parametrize(
    ("rows", "limit", "expected"), [(5, 16, 4), (5, 5, 4), (5, 4, 4), (2, 1, 1), (1, 16, 1)]
)
def test_the_last_due_row_never_goes_with_the_others(desk: Any, rows: int, limit: int, expected: int) -> None:
    """Else nothing later is left to show that the listing has got past a lost answer."""
    campaign = desk.campaign(desk.rows(rows))
    assert len(desk.claim(campaign, "a", limit, keep_witness=True)) == expected


def test_the_last_due_row_goes_when_the_others_are_settled_or_past_their_deadline(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(3))
    assert desk.claim(campaign, "a", keep_witness=True) == [2, 3]
    desk.settle(campaign, desk.accepted(2, "a"))
    assert desk.claim(campaign, "b", keep_witness=True) == []
    desk.settle(campaign, InDoubt(token="a", row=3))
    assert desk.claim(campaign, "c", keep_witness=True) == []
    desk.now += timedelta(seconds=31)
    assert desk.claim(campaign, "d", keep_witness=True) == [4]


@pytest.mark.parametrize(
    ("price", "raised"), [("0.02", 0), ("0.05", 0), ("0.050001", 3), ("0.098", 3), ("1.5", 3)]
)
def test_reserves_are_raised_to_the_dearest_price(desk: Any, price: str, raised: int) -> None:
    """Five rows at 0.05: one on its way, one to another country, three that are ready."""
    rows = [desk.row(n, country="FR" if n == 6 else "IT") for n in range(2, 7)]
    campaign = desk.campaign(rows, max_cost=Decimal(10))
    assert desk.claim(campaign, "t", 1) == [2]
    assert desk.ledger.rows.raise_reserves(campaign, 2, Decimal(price)) == raised
    expected = max(Decimal(price), Decimal("0.05"))
    reserved = desk.raw("SELECT row, reserve_cost FROM rows WHERE campaign_id = ? ORDER BY row", campaign)
    wanted = {2: 50_000, 6: 50_000} | dict.fromkeys((3, 4, 5), int(expected * 1_000_000))
    assert dict(reserved) == wanted
    desk.check_counters(campaign)


def test_what_a_bundle_covers_stays_free(desk: Any) -> None:
    campaign = desk.campaign([desk.row(2, reserve_cost=0), desk.row(3, parts=3)])
    assert desk.ledger.rows.raise_reserves(campaign, 2, Decimal("0.1")) == 1
    assert desk.raw("SELECT reserve_cost FROM rows ORDER BY row") == [(0,), (300_000,)]


def test_every_state_that_needs_an_eye_is_found_and_no_other(desk: Any) -> None:
    started = [state for state in RowState if state in ROW_STARTS and state is not RowState.READY]
    brought = [state for state in RowState if state not in ROW_STARTS]
    states = dict(enumerate([*started, *brought, RowState.READY], start=2))
    rows = [
        desk.row(number, RowState.READY if state in brought else state) for number, state in states.items()
    ]
    campaign = desk.campaign(rows)
    for number, state in states.items():
        if state in brought:
            desk.bring(campaign, number, state, f"t{number}")
    assert {row: desk.state(campaign, row) for row in states} == states
    found = [row.row for row in desk.ledger.queries.problems(campaign, limit=len(states))]
    assert found == [number for number, state in states.items() if state in PROBLEM]
