"""Any order of claims, answers, late answers, doubts and decisions keeps the promises."""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dispatcher.ledger import Absent, Decided, DeliveryReport, Found, InDoubt, Ledger, Refused, RowState
from dispatcher.ledger.states import FINAL_ROWS, SENT

R = RowState
ROWS = 6
CAP = Decimal("0.25")  # five rows
pick = st.integers(min_value=0, max_value=10_000)


class Sending(RuleBasedStateMachine):
    desk_type: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = Ledger.open(f"sqlite:///{self.folder / 'ledger.db'}", create=True)
        self.desk = self.desk_type(self.ledger)
        self.campaign = self.desk.campaign(self.desk.rows(ROWS), max_cost=CAP)
        self.attempts: list[tuple[int, str]] = []  # everything that may have left
        self.began: dict[str, datetime] = {}  # by message id: when its attempt did
        self.told: set[tuple[int, str]] = set()  # (row, message id) of every acceptance the ledger was told
        self.last: dict[int, RowState] = {}
        self.tokens = 0

    def teardown(self) -> None:
        self.ledger.dispose()
        shutil.rmtree(self.folder)

    def attempt(self, index: int) -> tuple[int, str]:
        return self.attempts[index % len(self.attempts)]

    @rule(limit=st.integers(1, 4), keep_witness=st.booleans())
    def claim(self, limit: int, keep_witness: bool) -> None:
        self.tokens += 1
        token = f"t{self.tokens}"
        claimed = self.desk.claim(self.campaign, token, limit, keep_witness=keep_witness)
        self.attempts += [(row, token) for row in claimed]
        self.began |= {f"{row}-{token}": self.desk.now for row in claimed}
        if claimed:
            assert self.ledger.queries.campaign(self.campaign).committed_cost <= CAP

    @precondition(lambda self: self.attempts)
    @rule(
        index=pick, price=st.sampled_from([None, Decimal("0.02"), Decimal("0.05")]), duplicate=st.booleans()
    )
    def accepted(self, index: int, price: Decimal | None, duplicate: bool) -> None:
        row, token = self.attempt(index)
        message = f"{row}-{token}"
        self.told.add((row, message))
        answers = [self.desk.accepted(row, token, message, actual_cost=price)] * (2 if duplicate else 1)
        self.desk.settle(self.campaign, *answers)

    @precondition(lambda self: self.attempts)
    @rule(index=pick, what=st.sampled_from(["refused", "not_sent", "doubt"]))
    def other_answer(self, index: int, what: str) -> None:
        row, token = self.attempt(index)
        answer = {
            "refused": Refused(token=token, row=row, reason="refused_by_gateway"),
            "not_sent": self.desk.not_sent(row, token),
            "doubt": InDoubt(token=token, row=row),
        }[what]
        self.desk.settle(self.campaign, answer)

    @rule(seconds=st.sampled_from([1, 31]))
    def time_passes(self, seconds: int) -> None:
        self.desk.now += timedelta(seconds=seconds)
        self.ledger.rows.doubt_expired(self.desk.now)

    @rule()
    def its_owner_dies(self) -> None:
        self.ledger.rows.doubt_dead(lambda owner: True, self.desk.now)

    @precondition(lambda self: self.attempts)
    @rule(index=pick, what=st.sampled_from(["found", "absent", "sent", "again"]))
    def resolve(self, index: int, what: str) -> None:
        row, token = self.attempt(index)
        message = f"{row}-{token}"
        resolution = {
            "found": Found(message_id=message, sent_at=self.desk.now),
            "absent": Absent(evidence={}),
            "sent": Decided(sent=True, by="me"),
            "again": Decided(sent=False, by="me"),
        }[what]
        done = self.ledger.rows.resolve_doubt(self.campaign, row, resolution, self.desk.now, token=token)
        if done and what == "found":
            self.told.add((row, message))

    @precondition(lambda self: self.attempts)
    @rule(index=pick, state=st.sampled_from([None, R.DELIVERED, R.EXPIRED]))
    def reported(self, index: int, state: RowState | None) -> None:
        row, token = self.attempt(index)
        message = f"{row}-{token}"
        report = DeliveryReport(
            message_id=message,
            seen_at=self.desk.now,
            state=state,
            campaign_id=self.campaign,
            row=row,
            token=token,
        )
        self.told.add((row, message))
        self.ledger.deliveries.record("sandbox", [report], self.desk.now)

    @rule(index=pick)
    def released(self, index: int) -> None:
        if self.attempts:
            self.ledger.rows.release(self.campaign, [self.attempt(index)[1]], self.desk.now)

    @rule()
    def pause_and_resume(self) -> None:
        self.ledger.campaigns.pause(self.campaign, self.desk.now)
        assert self.desk.claim(self.campaign, f"paused{self.tokens}") == []
        self.ledger.campaigns.resume(self.campaign, self.desk.now)

    @invariant()
    def counters_are_right(self) -> None:
        self.desk.check_counters(self.campaign)

    @invariant()
    def final_stays_final(self) -> None:
        now = {row: RowState(state) for row, state in self.desk.raw("SELECT row, state FROM rows")}
        assert len(now) == ROWS
        for row, before in self.last.items():
            if before in FINAL_ROWS:
                assert now[row] is before
            if before in SENT:
                assert now[row] in SENT
        self.last = now

    @invariant()
    def a_witness_is_a_message_of_the_last_attempt(self) -> None:
        found = self.desk.raw("SELECT message_id FROM rows WHERE message_id IS NOT NULL")
        settled = self.ledger.queries.settled_messages("sandbox", [message for (message,) in found])
        for message, ours in settled.items():
            if ours.is_of_last_attempt:
                assert ours.attempt_started_at <= self.began[message]

    @invariant()
    def no_acceptance_is_dropped_in_silence(self) -> None:
        ids = dict(self.desk.raw("SELECT row, message_id FROM rows"))
        noted = {
            (event.row, event.detail.get("message_id")) for event in self.ledger.events.of(self.campaign)
        }
        for row, message in self.told:
            assert ids[row] == message or (row, message) in noted


def test_any_order_keeps_the_promises(new_desk: Any) -> None:
    machine = type("Machine", (Sending,), {"desk_type": new_desk})
    options = settings(
        max_examples=40,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    run_state_machine_as_test(machine, settings=options)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_any_order_keeps_the_promises_for_long(new_desk: Any) -> None:
    machine = type("LongMachine", (Sending,), {"desk_type": new_desk})
    options = settings(
        max_examples=1_000, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=options)
