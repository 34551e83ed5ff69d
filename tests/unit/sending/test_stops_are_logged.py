"""What an operator reads in the log when sending stops."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dispatcher.gateway.outcomes import Outcome, Verdict
from dispatcher.sending.guards import Halt, stop_campaign
from dispatcher.sending.stops import Stop


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any, Any, Any]]:
    return [
        (r.getMessage(), r.__dict__["campaign"], r.__dict__.get("state"), r.__dict__.get("reason"))
        for r in caplog.records
        if r.name.startswith("dispatcher.sending")
    ]


@pytest.mark.parametrize(
    ("halt", "events"),
    [
        (Halt(Stop.UNREACHABLE), [("campaign_stopped", "held", "gateway_unreachable")]),
        (Halt(Stop.UNAUTHORIZED), [("campaign_stopped", "halted", "token_refused")]),
        (
            Halt(Stop.BLOCKLISTED, account_wide=True),
            [
                ("account_halted", None, "account_blocklisted"),
                ("campaign_stopped", "halted", "account_blocklisted"),
            ],
        ),
    ],
)
def test_a_stop_is_logged_with_its_reason(
    stage: Any, caplog: pytest.LogCaptureFixture, halt: Halt, events: list[tuple[str, str, str]]
) -> None:
    campaign = stage.campaign(3)
    with caplog.at_level(logging.INFO, "dispatcher"):
        stop_campaign(stage.ledger, stage.view(campaign), halt, stage.now)
    assert told(caplog) == [(event, campaign, state, reason) for event, state, reason in events]


def test_only_rows_that_were_not_accepted_are_logged(stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    campaign = stage.campaign(4)
    doubtful = Verdict(Outcome.IN_DOUBT, http_status=502)
    stage.gateway.answering = lambda sent: doubtful if sent.request.message == "Hello 3" else None
    with caplog.at_level(logging.DEBUG, "dispatcher"):
        stage.run(stage.lane(campaign).run())
    rows = [r.__dict__ for r in caplog.records if r.getMessage() == "row_answered"]
    assert [(r["campaign"], r["row"], r["outcome"], r["http_status"]) for r in rows] == [
        (campaign, 3, "in_doubt", 502)
    ]
