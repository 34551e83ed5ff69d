"""Any order of crashes, doubled jobs, late and lost answers, callbacks, passes over the listing and a person's word.

The gateway is the oracle: it counts what it accepted, whatever anybody was told.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from dispatcher.errors import Unreachable
from dispatcher.gateway.models import Message
from dispatcher.ledger import CampaignState, Decided, DeliveryReport, RowState
from dispatcher.ledger.states import FINAL_ROWS, SENT
from dispatcher.sending.dispatch import LaneEnd, LaneLimits
from dispatcher.sending.reconcile import Reconciler, Standing
from tests.unit.sending.answers import NOT_SENT, REFUSED, TIMEOUT

R, C = RowState, CampaignState
ROWS = 30
ACCOUNT = "acme"
STRAGGLER = 50.0  # seconds after which a request arrives that nobody waits for any more
ANSWERS = st.sampled_from(
    ["ok", "slow", "late", "straggler", "straggler", "lost", "lost_but_there", "refused", "not_sent"]
)


class Sending(RuleBasedStateMachine):
    open_stage: Any = None
    callbacks = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.stack = ExitStack()
        self.stage = self.stack.enter_context(self.open_stage(self.folder))
        self.stage.pace.rate = 20.0
        self.campaign = self.stage.campaign(ROWS, account=ACCOUNT)
        self.answers: list[str] = []
        self.sent = 0
        self.accepted: dict[int, list[Message]] = {}  # by row: what the gateway has
        self.wrongly_again: set[int] = set()  # a person had it sent again, though it was there
        self.wrongly_sent: set[int] = set()  # a person said that it was sent, though it was not
        self.refused: set[int] = set()
        self.stragglers: list[tuple[float, int, Any]] = []
        self.dead: set[str] = set()
        self.owners = 0
        self.last: dict[int, RowState] = {}
        self.stage.gateway.answering = self.answer
        self.stage.gateway.before_page = lambda skip, limit: self.stragglers_arrive()
        self.reconciler = self.new_reconciler()

    def teardown(self) -> None:
        self.stack.close()
        shutil.rmtree(self.folder)

    def new_reconciler(self) -> Reconciler:
        return Reconciler(
            self.stage.services(),
            "sandbox",
            standing=self.standing,
        )

    def standing(self, owner: str) -> Standing:
        alive = owner not in self.dead
        return Standing(may_live=alive, quiet=timedelta(seconds=300 if alive else 60))

    async def answer(self, sent: Any) -> Any:
        if sent.dry_run:  # reconcile calls for a witness
            return self.stage.gateway.accept(sent)
        kind = self.answers[self.sent % len(self.answers)] if self.answers else "ok"
        self.sent += 1
        row = int(sent.request.message.split()[1])
        await asyncio.sleep(0.02)
        if kind == "not_sent":
            return NOT_SENT
        if kind == "refused":
            self.refused.add(row)
            return REFUSED
        if kind == "late":  # the request itself takes long to arrive, its sender gives up waiting
            await asyncio.sleep(20.0)
        if kind == "straggler":
            self.stragglers.append((sent.at + STRAGGLER, row, sent))
        elif kind != "lost":
            verdict = self.accept(row, sent)
        if kind == "slow":
            await asyncio.sleep(3.0)
        if kind in ("lost", "late", "straggler", "lost_but_there"):
            await asyncio.sleep(5.0)
            return TIMEOUT
        return verdict

    def accept(self, row: int, sent: Any) -> Any:
        custom = {"key": f"{self.stage.ledger.id}.{self.campaign}.{row}"} if self.callbacks else {}
        verdict = self.stage.gateway.accept(sent, **custom)
        self.accepted.setdefault(row, []).append(verdict.message)
        return verdict

    def stragglers_arrive(self) -> None:
        now = self.stage.clock.elapsed
        for each in [straggler for straggler in self.stragglers if straggler[0] <= now]:
            self.stragglers.remove(each)
            self.accept(*each[1:])

    def on_their_way(self) -> set[int]:
        return {row for _, row, _ in self.stragglers}

    def lane(self) -> Any:
        self.owners += 1
        services = self.stage.services(owner=f"owner-{self.owners}", request_timeout=30.0)
        return self.stage.lane(
            self.campaign, services=services, limits=LaneLimits(slice_seconds=4.0, in_flight=5)
        )

    @rule(answers=st.lists(ANSWERS, min_size=1, max_size=6), doubled=st.booleans())
    def lanes_run(self, answers: list[str], doubled: bool) -> None:
        self.answers = answers
        lanes = [self.lane() for _ in range(1 + doubled)]

        async def run(lane: Any) -> None:
            with suppress(Unreachable):
                while await lane.run() is LaneEnd.MORE:
                    pass

        async def all_of_them() -> None:
            await asyncio.gather(*(run(lane) for lane in lanes))

        self.stage.run(all_of_them())
        self.dead |= {lane.services.owner for lane in lanes}

    @rule(answers=st.lists(ANSWERS, min_size=1, max_size=6), after=st.floats(0.0, 8.0), locks=st.booleans())
    def process_dies(self, answers: list[str], after: float, locks: bool) -> None:
        """Whatever was on its way may still arrive; the ledger hears nothing more from this owner."""
        self.answers = answers
        lane = self.lane()

        async def die() -> None:
            running = asyncio.create_task(lane.run())
            await asyncio.sleep(after)
            self.stage.thread.fail_next["settle_and_claim"] = self.stage.thread.fail_next["stop_campaign"] = (
                10**6
            )
            with suppress(Unreachable):
                await running
                await lane.finish()
            self.stage.thread.fail_next.clear()

        self.stage.run(die())
        if locks:  # whoever comes next proves it dead by its lock; else the deadline has to pass
            self.dead.add(lane.services.owner)
            self.stage.ledger.rows.doubt_dead(lambda owner: owner in self.dead, self.stage.now)

    @rule(seconds=st.sampled_from([1.0, 45.0, 70.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.stage.clock.elapsed += seconds
        self.stage.ledger.rows.doubt_expired(self.stage.now)

    @rule(
        lag=st.sampled_from([0.0, 0.0, 10.0, 100.0]),
        passes=st.sampled_from([1, 3, 3]),
        new=st.sampled_from([False, False, True]),
    )
    def reconcile(self, lag: float, passes: int, new: bool) -> None:
        self.stage.gateway.lag = lag
        if new:  # another process: what the earlier passes showed is forgotten
            self.reconciler = self.new_reconciler()

        async def look() -> None:
            for _ in range(passes):
                await self.reconciler.step([self.campaign])
                await asyncio.sleep(1.0)

        self.stage.run(look())
        self.stage.gateway.lag = 0.0

    @rule(index=st.integers(0, 100), state=st.sampled_from([None, R.DELIVERED, R.EXPIRED]))
    def callback(self, index: int, state: RowState | None) -> None:
        known = [(row, message) for row, messages in self.accepted.items() for message in messages]
        if not known or not self.callbacks:
            return
        row, message = known[index % len(known)]
        report = DeliveryReport(
            message_id=message.id, seen_at=self.stage.now, state=state, campaign_id=self.campaign, row=row
        )
        self.stage.ledger.deliveries.record("sandbox", [report], self.stage.now)

    @rule(index=st.integers(0, 100), sent=st.booleans(), right=st.booleans())
    def person_decides(self, index: int, sent: bool, right: bool) -> None:
        doubts = self.stage.ledger.queries.in_doubt(self.campaign)
        if not doubts or index % 2:  # most doubts are left to reconcile
            return
        row = doubts[index % len(doubts)].row
        there = row in self.accepted or row in self.on_their_way()
        said = there if right else sent
        if self.stage.ledger.rows.resolve_doubt(
            self.campaign, row, Decided(sent=said, by="me"), self.stage.now
        ):
            (self.wrongly_again if there else set()).update({row} if not said else ())
            (self.wrongly_sent if not there else set()).update({row} if said else ())

    @rule()
    def person_pauses_and_resumes(self) -> None:
        self.stage.ledger.campaigns.pause(self.campaign, self.stage.now)
        self.answers = ["ok"]
        before = self.sent
        self.stage.run(self.lane().run())
        assert self.sent == before

    @rule()
    def person_resumes(self) -> None:
        self.stage.ledger.campaigns.resume(self.campaign, self.stage.now)

    def states(self) -> dict[int, RowState]:
        return dict(zip(self.stage.rows(self.campaign, "row"), self.stage.states(self.campaign), strict=True))

    @invariant()
    def nobody_got_it_twice(self) -> None:
        self.stragglers_arrive()
        twice = {row for row, messages in self.accepted.items() if len(messages) > 1}
        assert twice <= self.wrongly_again

    @invariant()
    def every_row_is_there_and_tells_the_truth(self) -> None:
        states = self.states()
        assert len(states) == ROWS
        assert sum(self.stage.counts(self.campaign).values()) == ROWS
        for row, state in states.items():
            if state in SENT:
                assert row in self.accepted or row in self.wrongly_sent | self.on_their_way()
            if row in self.accepted and row not in self.wrongly_again:
                assert state in SENT | {R.SENDING, R.IN_DOUBT}
            if state is R.REFUSED:
                assert row in self.refused

    @invariant()
    def final_stays_final(self) -> None:
        now = self.states()
        for row, before in self.last.items():
            if before in FINAL_ROWS:
                assert now[row] is before
            if before in SENT:
                assert now[row] in SENT
        self.last = now

    @invariant()
    def no_message_belongs_to_two_rows(self) -> None:
        ids = [each for each in self.stage.rows(self.campaign, "message_id") if each is not None]
        assert len(ids) == len(set(ids))


def play(open_stage: Any, callbacks: bool, **options: Any) -> None:
    machine = type("Machine", (Sending,), {"open_stage": staticmethod(open_stage), "callbacks": callbacks})
    chosen = settings(deadline=None, suppress_health_check=list(HealthCheck), **options)
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.parametrize("callbacks", [False, True])
def test_any_order_of_events_keeps_the_promises(open_any_stage: Any, callbacks: bool) -> None:
    play(open_any_stage, callbacks, max_examples=6, stateful_step_count=15, derandomize=True)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("callbacks", [False, True])
def test_any_order_of_events_keeps_the_promises_for_long(open_any_stage: Any, callbacks: bool) -> None:
    play(open_any_stage, callbacks, max_examples=300, stateful_step_count=30)
