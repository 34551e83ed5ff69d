"""Exit codes, as documented for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

from dispatcher.ledger.states import PROBLEM, CampaignState, RowState
from dispatcher.sending.stops import Stop

if TYPE_CHECKING:
    from dispatcher.intake.requests import Landing


class Exit(IntEnum):
    """What each exit code means."""

    OK = 0  # every row is accepted, delivered or left out by a rule
    PROBLEMS = 1  # finished, but some row is invalid, refused, in doubt, too late, capped or undelivered
    USAGE = 2
    FILE = 3
    HALTED = 4  # halted, held, or the answer was no
    UNREACHABLE = 5
    WAITING = 6  # rows wait: for due times, windows, or for the process that sends them
    BUG = 70
    INTERRUPTED = 130  # can be resumed


def exit_code(landing: Landing) -> Exit:
    """The exit code for where a launch ended."""
    if landing.interrupted:
        return Exit.INTERRUPTED
    if landing.forbidden:
        return Exit.HALTED
    if landing.dry_run:
        return problems(landing.counts)
    return campaign_exit(landing.campaign.state, landing.campaign.state_reason, landing.counts)


def campaign_exit(state: CampaignState, reason: str | None, counts: Mapping[RowState, int]) -> Exit:
    """The exit code for a campaign's state."""
    if state in (CampaignState.HALTED, CampaignState.HELD):
        return Exit.UNREACHABLE if reason == Stop.UNREACHABLE else Exit.HALTED
    if state is CampaignState.PAUSED:
        return Exit.INTERRUPTED
    if state in (CampaignState.PLANNED, CampaignState.WAITING_APPROVAL):
        return Exit.HALTED  # nobody has said yes
    if any(counts.get(row) for row in (RowState.READY, RowState.SENDING)):
        return Exit.WAITING
    return problems(counts)


def problems(counts: Mapping[RowState, int]) -> Exit:
    """PROBLEMS when some row has one."""
    return Exit.PROBLEMS if any(counts.get(state) for state in PROBLEM) else Exit.OK
