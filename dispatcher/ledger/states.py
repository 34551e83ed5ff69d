"""The states of rows and campaigns, and every legal move between them.

For each move: who makes it.  For each state: what a crash leaves.  The database's triggers are generated from
these tables (:mod:`dispatcher.ledger.schema`), and so is ``docs/states.md``
(:mod:`dispatcher.ledger.diagram`).

Numbers are stored and never change their meaning; ``state.name.lower()`` is what reports and scripts see.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Priority(IntEnum):
    """Which campaign goes first where several of one gateway compete; ``code`` is what people and scripts read."""

    LOW = -1
    NORMAL = 0
    HIGH = 1

    @property
    def code(self) -> str:
        return self.name.lower()


class RowState(IntEnum):
    """Where one row of a file is.  Families that the database checks are neighbours: a range is a cheap test."""

    READY = 1
    SENDING = 2
    IN_DOUBT = 3
    ACCEPTED = 4
    DELIVERED = 5
    UNDELIVERABLE = 6
    EXPIRED = 7
    REJECTED = 8
    REFUSED = 9
    INVALID = 10
    HIDDEN = 11
    DUPLICATE = 12
    OPTED_OUT = 13
    ALREADY_SENT = 14
    TOO_LATE = 15
    CAPPED = 16
    CANCELLED = 17

    @property
    def code(self) -> str:
        """The name scripts see."""
        return self.name.lower()


class CampaignState(IntEnum):
    """Where a whole campaign is."""

    LOADING = 1
    PLANNED = 2
    PREFLIGHT = 3
    WAITING_APPROVAL = 4
    SENDING = 5
    WAITING = 6
    PAUSED = 7
    HELD = 8
    HALTED = 9
    FINISHED = 10
    CANCELLED = 11

    @property
    def code(self) -> str:
        """The name scripts see."""
        return self.name.lower()


R, C = RowState, CampaignState

ROW_STARTS: Mapping[RowState, str] = {
    R.READY: "planning: recipient, text and price are known",
    R.INVALID: "planning: the row cannot be sent",
    R.HIDDEN: "planning: hidden or filtered in the spreadsheet",
    R.DUPLICATE: "planning: the same text to the same number is in an earlier row",
    R.OPTED_OUT: "planning: the number has opted out",
    R.ALREADY_SENT: "planning: the guard found it sent before",
    R.TOO_LATE: "planning: its time has passed",
    R.CAPPED: "planning: this person has had enough messages",
}

_READY_TO: Mapping[RowState, str] = {
    R.SENDING: "a lane claims it",
    R.REFUSED: "preflight: the dry run refused it",
    R.OPTED_OUT: "a lane, when claiming: opted out meanwhile",
    R.ALREADY_SENT: "a lane, when claiming: another campaign has sent it meanwhile",
    R.TOO_LATE: "a lane, when claiming: its time has passed",
    R.CAPPED: "a lane, when claiming: this person has had enough messages",
    R.CANCELLED: "a person cancels the campaign",
}

ROW_MOVES: Mapping[tuple[RowState, RowState], str] = {
    **{(R.READY, new): who for new, who in _READY_TO.items()},
    (R.SENDING, R.ACCEPTED): "the lane settles a 201; or a callback proves it",
    (R.SENDING, R.REFUSED): "the lane settles a refusal",
    (R.SENDING, R.IN_DOUBT): "the lane: the answer is unknown; or the sweep: the claim is past its deadline",
    (R.SENDING, R.READY): "the lane: it never left, or was turned away unread",
    (R.IN_DOUBT, R.ACCEPTED): "a late answer, a callback, reconcile, or a person",
    (R.IN_DOUBT, R.REFUSED): "a late answer",
    (
        R.IN_DOUBT,
        R.READY,
    ): "reconcile proves it absent, its owner says that it never left, or a person says so",
    **{
        (old, R.ACCEPTED): "a late answer or a callback about an attempt made before: the gateway has it"
        for old in _READY_TO
        if old is not R.SENDING
    },
    (R.ACCEPTED, R.DELIVERED): "delivery: callback or polling",
    (R.ACCEPTED, R.UNDELIVERABLE): "delivery: callback or polling",
    (R.ACCEPTED, R.EXPIRED): "delivery: callback or polling",
    (R.ACCEPTED, R.REJECTED): "delivery: callback or polling",
}

ROW_AFTER_CRASH: Mapping[RowState, str] = {
    R.READY: "nothing to do: it is claimed again",
    R.SENDING: "becomes in_doubt when the claim's deadline passes",
    R.IN_DOUBT: "stays until reconcile or a person settles it",
    R.ACCEPTED: "stays; the next polling or callback goes on",
    **{state: "stays; only a late answer moves it" for state in _READY_TO if state is not R.SENDING},
}

CAMPAIGN_MOVES: Mapping[tuple[CampaignState, CampaignState], str] = {
    (C.LOADING, C.PLANNED): "the launch: every row is in the ledger",
    (C.PLANNED, C.PREFLIGHT): "the launch: texts are screened",
    (C.PLANNED, C.CANCELLED): "a person",
    (
        C.PREFLIGHT,
        C.PLANNED,
    ): "the launch: only a dry run was asked for, or preflight starts again after a crash",
    (C.PREFLIGHT, C.WAITING_APPROVAL): "the launch: somebody has to approve",
    (C.PREFLIGHT, C.SENDING): "the launch: approved",
    (C.PREFLIGHT, C.HELD): "preflight: something a person has to look at",
    (C.PREFLIGHT, C.HALTED): "preflight: the account or a text is in danger",
    (C.PREFLIGHT, C.PAUSED): "a person, or Ctrl-C",
    (C.PREFLIGHT, C.FINISHED): "the launch: no row is left to send",
    (C.PREFLIGHT, C.CANCELLED): "a person",
    (C.WAITING_APPROVAL, C.SENDING): "a person approves",
    (C.WAITING_APPROVAL, C.PREFLIGHT): "the launch: screenings are too old",
    (C.WAITING_APPROVAL, C.PLANNED): "the launch: plan again",
    (C.WAITING_APPROVAL, C.HELD): "the launch: something a person has to look at",
    (C.WAITING_APPROVAL, C.HALTED): "a stop of the whole account",
    (C.WAITING_APPROVAL, C.CANCELLED): "a person rejects",
    (C.SENDING, C.WAITING): "a lane: the rest waits for due times or a window",
    (C.SENDING, C.PAUSED): "a person, or Ctrl-C; or it lay still for a day",
    (
        C.SENDING,
        C.HELD,
    ): "a lane: the cost limit is reached; or the rows that went first are not as they should be",
    (C.SENDING, C.HALTED): "a lane: the account or a text is in danger; or a stop of the whole account",
    (C.SENDING, C.FINISHED): "a lane: no row is open",
    (C.SENDING, C.CANCELLED): "a person",
    (C.WAITING, C.SENDING): "the sweep: a row is due",
    (C.WAITING, C.PAUSED): "a person; or its texts were screened more than a day ago",
    (C.WAITING, C.HELD): "a lane; or the rows that went first are not as they should be",
    (C.WAITING, C.HALTED): "a stop of the whole account",
    (C.WAITING, C.FINISHED): "a lane: no row is open",
    (C.WAITING, C.CANCELLED): "a person",
    (C.PAUSED, C.SENDING): "a person resumes",
    (C.PAUSED, C.PREFLIGHT): "a person resumes and texts have to be screened again",
    (C.PAUSED, C.HALTED): "the last answers in flight; or a stop of the whole account",
    (C.PAUSED, C.FINISHED): "the last answers in flight: no row is open",
    (C.PAUSED, C.CANCELLED): "a person",
    (C.HELD, C.SENDING): "a person resumes",
    (C.HELD, C.PREFLIGHT): "a person resumes and texts have to be screened again",
    (C.HELD, C.PLANNED): "the launch: plan again",
    (C.HELD, C.HALTED): "a stop of the whole account",
    (C.HELD, C.CANCELLED): "a person",
    (C.HALTED, C.SENDING): "a person resumes",
    (C.HALTED, C.PREFLIGHT): "a person resumes and texts have to be screened again",
    (C.HALTED, C.CANCELLED): "a person",
}

CAMPAIGN_AFTER_CRASH: Mapping[CampaignState, str] = {
    C.LOADING: "discarded and loaded again; nothing was sent",
    C.PLANNED: "stays; run goes on with it",
    C.PREFLIGHT: "stays; run or resume screens again what is not remembered",
    C.WAITING_APPROVAL: "stays; it waits for a person",
    C.SENDING: "stays; the sweep starts a lane, open claims become in_doubt",
    C.WAITING: "stays; the sweep wakes it when a row is due",
    C.PAUSED: "stays until a person resumes",
    C.HELD: "stays until a person resumes",
    C.HALTED: "stays until a person resumes",
}

SENT = frozenset({R.ACCEPTED, R.DELIVERED, R.UNDELIVERABLE, R.EXPIRED, R.REJECTED})
"""The gateway has it; it costs money."""

MAYBE_SENT = SENT | {R.SENDING, R.IN_DOUBT}
"""The gateway has it or may have it: what the guard counts as sent."""

OPEN = frozenset({R.READY, R.SENDING, R.IN_DOUBT})
"""Something still has to happen before the campaign is finished."""

UNDER_WAY = frozenset({C.SENDING, C.WAITING})
"""Rows go out without anybody being asked again, now or when they are due."""

LEFT_OUT = frozenset({R.DUPLICATE, R.OPTED_OUT, R.ALREADY_SENT, R.HIDDEN})
"""Not sent because a rule says so: no problem."""

PROBLEM = frozenset(
    {
        R.INVALID,
        R.REFUSED,
        R.IN_DOUBT,
        R.TOO_LATE,
        R.CAPPED,
        R.UNDELIVERABLE,
        R.EXPIRED,
        R.REJECTED,
        R.CANCELLED,
    }
)
"""A finished campaign with such a row ends with exit code 1."""

FINAL_ROWS = frozenset(state for state in R if not any(old is state for old, _ in ROW_MOVES))
FINAL_CAMPAIGNS = frozenset(state for state in C if not any(old is state for old, _ in CAMPAIGN_MOVES))


def may_move(old: RowState | CampaignState, new: RowState | CampaignState) -> bool:
    """Whether the move is legal; staying is not a move.  A row's state and a campaign's never mix."""
    if isinstance(old, RowState) and isinstance(new, RowState):
        return (old, new) in ROW_MOVES
    if isinstance(old, CampaignState) and isinstance(new, CampaignState):
        return (old, new) in CAMPAIGN_MOVES
    return False
