"""Whatever happens to a lane, no row is sent twice and none is lost."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dispatcher.errors import Unreachable
from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.ledger import CampaignState, RowState
from dispatcher.sending.dispatch import LaneEnd, LaneLimits
from tests.unit.sending.answers import NOT_SENT, REFUSED, TIMEOUT

C, R = CampaignState, RowState


ANSWERS = st.sampled_from(
    ["ok", "ok", "ok", "ok", "refused", "lost", "lost_but_there", "throttled", "not_sent", "bug"]
)


@settings(max_examples=25, deadline=None)
@example(answers=["refused"], busy=set(), stop_after=None, slices=0.25)  # stopped as a slice ended
@given(
    answers=st.lists(ANSWERS, min_size=1, max_size=60),
    busy=st.sets(st.integers(1, 40), max_size=4),
    stop_after=st.none() | st.integers(1, 40),
    slices=st.floats(0.2, 5.0),
)
def test_whatever_happens_no_row_is_sent_twice_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory,
    open_stage: Any,
    answers: list[str],
    busy: set[int],
    stop_after: int | None,
    slices: float,
) -> None:
    with open_stage(tmp_path_factory.mktemp("stage")) as stage:
        campaign = stage.campaign(40)
        verdicts = {"refused": REFUSED, "lost": TIMEOUT, "not_sent": NOT_SENT}
        arrived: list[str] = []

        def answer(sent: Any) -> Verdict | None:
            number = len(stage.gateway.requests)
            if number in busy:
                stage.thread.fail_next["settle_and_claim"] = 1
            stage.stop = stop_after == number
            kind = answers[number % len(answers)] if number < 150 else "ok"
            if kind == "bug":
                raise RuntimeError("a bug")
            if kind == "throttled":
                return Verdict(Outcome.THROTTLED, http_status=429, retry_after=1.0)
            if kind in ("ok", "lost_but_there"):
                arrived.append(sent.request.message)
                accepted = stage.gateway.accept(sent)
                return accepted if kind == "ok" else TIMEOUT
            return verdicts[kind]

        stage.gateway.answering = answer

        async def lanes() -> None:
            for _ in range(20):
                lane = stage.lane(campaign, limits=LaneLimits(slice_seconds=slices))
                with suppress(Unreachable, RuntimeError):
                    while await lane.run() is LaneEnd.MORE:
                        pass
                stage.stop = False
                stage.ledger.campaigns.resume(campaign, stage.now)

        stage.run(lanes())
        counts = stage.counts(campaign)
        assert sum(counts.values()) == 40
        assert R.SENDING not in counts
        assert len(arrived) == len(set(arrived)), "sent twice"
        states = dict(zip(stage.rows(campaign, "text"), stage.states(campaign), strict=True))
        assert {states[text] for text in arrived} <= {R.ACCEPTED, R.IN_DOUBT}
        assert all(text in arrived for text, state in states.items() if state is R.ACCEPTED)
