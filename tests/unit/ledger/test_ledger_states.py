"""Every pair of states: legal moves work, illegal ones are refused by the store AND by the database."""

from __future__ import annotations

from pathlib import Path
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
from dispatcher.ledger.diagram import diagram
from dispatcher.ledger.states import (
    CAMPAIGN_AFTER_CRASH,
    CAMPAIGN_MOVES,
    FINAL_CAMPAIGNS,
    FINAL_ROWS,
    LEFT_OUT,
    OPEN,
    PROBLEM,
    ROW_AFTER_CRASH,
    ROW_MOVES,
    ROW_STARTS,
    SENT,
    may_move,
)

R, C = RowState, CampaignState
FORCED = (
    "attempt_token='t', claimed_by='o', attempt_started_at=1, deadline=1, sent_at=1, "
    "message_id=CASE WHEN {new} BETWEEN 4 AND 8 THEN 'm' END, in_doubt_at=CASE WHEN {new} = 3 THEN 1 END"
)


def test_the_page_in_the_docs_is_the_generated_one() -> None:
    page = Path(__file__).parents[3] / "docs" / "states.md"
    assert page.read_text(encoding="utf-8") == diagram()


def test_every_state_belongs_to_a_family_and_has_a_story() -> None:
    assert set(R) == {*OPEN, *LEFT_OUT, *PROBLEM, *SENT}
    assert not LEFT_OUT & PROBLEM
    assert {*ROW_AFTER_CRASH} | FINAL_ROWS == set(R)
    assert {*CAMPAIGN_AFTER_CRASH} | FINAL_CAMPAIGNS == set(C)
    assert {*ROW_STARTS} | {new for _, new in ROW_MOVES} == set(R)


def test_rows_and_campaigns_do_not_mix() -> None:
    assert int(R.READY) == int(C.LOADING)
    assert may_move(C.LOADING, C.PLANNED)
    assert not may_move(R.READY, C.PLANNED)


def make(desk: Any, old: RowState) -> int:
    """A campaign whose row 2 is in ``old``."""
    loaded = old if old in (R.INVALID, R.HIDDEN, R.DUPLICATE) else R.READY
    campaign = int(desk.campaign([desk.row(2, loaded)]))
    desk.bring(campaign, 2, old)
    assert desk.state(campaign, 2) is old
    return campaign


@pytest.mark.parametrize("old", R, ids=lambda s: s.code)
def test_the_database_refuses_what_the_table_does_not_allow(desk: Any, old: RowState) -> None:
    campaign = make(desk, old)
    for new in R:
        sql = f"UPDATE rows SET state={int(new)}, {FORCED.format(new=int(new))} WHERE campaign_id=? AND row=2"
        refused = desk.refusal(sql, campaign)
        # a legal move may still fail a CHECK, as the columns are forced without sense
        assert (refused == "illegal move in rows") == (new is not old and not may_move(old, new)), (old, new)


VERBS = {
    "claim": lambda d, c: d.claim(c, "again", 1),
    "accepted": lambda d, c: d.settle(c, d.accepted(2, "t")),
    "accepted_of_another_attempt": lambda d, c: d.settle(c, d.accepted(2, "older", "m-older")),
    "refused": lambda d, c: d.settle(c, Refused(token="t", row=2, reason="refused_by_gateway")),
    "not_sent": lambda d, c: d.settle(c, d.not_sent(2, "t")),
    "in_doubt": lambda d, c: d.settle(c, InDoubt(token="t", row=2)),
    "release": lambda d, c: d.ledger.rows.release(c, ["t"], d.now),
    "doubt_dead": lambda d, c: d.ledger.rows.doubt_dead(lambda owner: True, d.now),
    "found": lambda d, c: d.ledger.rows.resolve_doubt(
        c, 2, Found(message_id="m2", sent_at=d.now), d.now, token="t"
    ),
    "absent": lambda d, c: d.ledger.rows.resolve_doubt(c, 2, Absent(evidence={}), d.now, token="t"),
    "person": lambda d, c: d.ledger.rows.resolve_doubt(c, 2, Decided(sent=True, by="me"), d.now),
    "cancel": lambda d, c: d.ledger.campaigns.cancel(c, d.now),
    **{
        f"exclude_{state.code}": lambda d, c, state=state: d.ledger.rows.exclude(c, [2], state, None, d.now)
        for state in (R.REFUSED, R.OPTED_OUT, R.ALREADY_SENT, R.TOO_LATE, R.CAPPED)
    },
    **{
        f"report_{state.code}": lambda d, c, state=state: d.ledger.deliveries.record(
            "sandbox", [DeliveryReport(message_id="m2", seen_at=d.now, state=state)], d.now
        )
        for state in (R.DELIVERED, R.UNDELIVERABLE, R.EXPIRED, R.REJECTED)
    },
}


def test_the_verbs_make_every_legal_move_and_no_other(desk: Any) -> None:
    seen = set()
    for old in R:
        for name, verb in VERBS.items():
            campaign = make(desk, old)
            verb(desk, campaign)
            new = desk.state(campaign, 2)
            assert new is old or may_move(old, new), (old, name, new)
            seen |= {(old, new)} if new is not old else set()
            desk.check_counters(campaign)
            desk.ledger.campaigns.cancel(campaign, desk.now)
            desk.raw("UPDATE rows SET message_id = 'gone-' || campaign_id WHERE message_id IS NOT NULL")
    assert seen == set(ROW_MOVES)


@pytest.mark.parametrize("bad", [R.SENDING, R.INVALID, R.ACCEPTED, R.READY])
def test_ready_rows_are_not_excluded_into_just_anything(desk: Any, bad: RowState) -> None:
    campaign = desk.campaign(desk.rows(1))
    with pytest.raises(ValueError, match="cannot become"):
        desk.ledger.rows.exclude(campaign, [2], bad, None, desk.now)


@pytest.mark.parametrize(
    "spoil",
    [
        "attempt_token=NULL",
        "deadline=NULL",
        "recipient=NULL",
        "text=NULL",
        "guard_key='short'",
        "message_id='m'",
        "actual_cost=1",
        "state=99",
        "parts=0",
        "in_doubt_at=1",
    ],
)
def test_the_database_refuses_a_row_in_flight_without_its_facts(desk: Any, refusals: Any, spoil: str) -> None:
    campaign = make(desk, R.SENDING)
    with pytest.raises(refusals):
        desk.raw(f"UPDATE rows SET {spoil} WHERE campaign_id = ?", campaign)


@pytest.mark.parametrize("spoil", ["message_id=NULL", "sent_at=NULL", "actual_cost=-1"])
def test_the_database_refuses_an_acceptance_without_proof(desk: Any, refusals: Any, spoil: str) -> None:
    campaign = make(desk, R.ACCEPTED)
    with pytest.raises(refusals):
        desk.raw(f"UPDATE rows SET {spoil} WHERE campaign_id = ?", campaign)


CAMPAIGN_VERBS = {
    C.PLANNED: ["planned_again"],
    C.PREFLIGHT: ["begin_preflight"],
    C.WAITING_APPROVAL: ["await_approval"],
    C.SENDING: ["start_sending", "resume"],
    C.WAITING: ["wait"],
    C.PAUSED: ["pause"],
    C.HELD: ["hold"],
    C.HALTED: ["halt"],
    C.CANCELLED: ["cancel"],
    C.FINISHED: ["finish_if_done"],
}
REASONED = {"wait", "hold", "halt"}


def call(desk: Any, campaign: int, verb: str) -> Any:
    reason = ("why",) if verb in REASONED else ()
    return getattr(desk.ledger.campaigns, verb)(campaign, *reason, desk.now)


PATHS = {
    C.PLANNED: [],
    C.PREFLIGHT: ["begin_preflight"],
    C.WAITING_APPROVAL: ["begin_preflight", "await_approval"],
    C.SENDING: ["begin_preflight", "start_sending"],
    C.WAITING: ["begin_preflight", "start_sending", "wait"],
    C.PAUSED: ["begin_preflight", "pause"],
    C.HELD: ["begin_preflight", "hold"],
    C.HALTED: ["begin_preflight", "halt"],
    C.FINISHED: ["begin_preflight", "finish_if_done"],
    C.CANCELLED: ["cancel"],
}


@pytest.mark.parametrize(
    "ledger_url", ["sqlite"], indirect=True
)  # a rule of ours: the database is asked elsewhere
@pytest.mark.parametrize("old", PATHS, ids=lambda s: s.code)
@pytest.mark.parametrize("new", CAMPAIGN_VERBS, ids=lambda s: s.code)
def test_every_pair_of_campaign_states(
    desk: Any, refusals: Any, old: CampaignState, new: CampaignState
) -> None:
    moved = set()
    for verb in CAMPAIGN_VERBS[new]:
        campaign = desk.campaign([desk.row(2, R.HIDDEN)], started=False)
        for step in PATHS[old]:
            call(desk, campaign, step)
        assert desk.ledger.queries.campaign(campaign).state is old
        call(desk, campaign, verb)
        now = desk.ledger.queries.campaign(campaign).state
        assert now in (old, new)
        moved |= {now} - {old}
        if now is old and not may_move(old, new) and new is not old:
            with pytest.raises(refusals, match="illegal move"):
                desk.raw("UPDATE campaigns SET state = ? WHERE id = ?", int(new), campaign)
    assert bool(moved) == may_move(old, new)


def test_the_pairs_above_are_all_moves() -> None:
    assert {*PATHS, C.LOADING} == set(C)
    assert {old for old, _ in CAMPAIGN_MOVES} <= {*PATHS, C.LOADING}
    assert {new for _, new in CAMPAIGN_MOVES} == {*CAMPAIGN_VERBS}
