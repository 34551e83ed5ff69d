"""How a campaign is shown: as the object that scripts read, and as lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from dispatcher.cli.moment_text import stamp
from dispatcher.cli.output import Output, known
from dispatcher.ledger import CampaignState, CampaignView, Ledger, Priority, RowState
from dispatcher.ledger.canaries import canary_rows
from dispatcher.ledger.states import PROBLEM, SENT
from dispatcher.wording import Wording

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from dispatcher.intake.requests import Landing
    from dispatcher.report.bill import CampaignBill
    from dispatcher.report.write import ReportWritten

C = CampaignState
_SHOWN_ROWS = 10


def campaign_values(campaign: CampaignView, counts: dict[RowState, int]) -> dict[str, Any]:
    """A campaign as ``run``, ``resume`` and ``status ID`` print it with ``--json``.

    ``unpriced_rows`` are those that ``estimated_cost`` leaves out, ``accepted_unpriced`` those that ``actual_cost``
    leaves out.  ``canary``: the rows that go first, while the others wait for what becomes of them.
    """
    return {
        "campaign": campaign.id,
        "state": campaign.state.code,
        "reason": campaign.state_reason,
        "file": campaign.file_name,
        "gateway": campaign.gateway,
        "priority": Priority(campaign.priority).code,
        "rows": campaign.rows,
        "counts": {state.code: n for state, n in counts.items()},
        "parts": campaign.parts,
        "estimated_cost": _brief(known(campaign.estimated_cost, campaign.unpriced_rows)),
        "actual_cost": _brief(actual_cost(campaign, counts)),
        "unpriced_rows": campaign.unpriced_rows,
        "accepted_unpriced": campaign.accepted_unpriced,
        "currency": campaign.currency,
        "canary": canary_rows(campaign.canary) or None,
        "report": campaign.report_path,
        "seconds": seconds(campaign),
    }


def _brief(amount: Decimal | None) -> Decimal | None:
    """Without the zeros that the ledger's six decimals bring along."""
    return None if amount is None else amount.normalize()


def actual_cost(campaign: CampaignView, counts: dict[RowState, int]) -> Decimal | None:
    """What the gateway has charged so far as it says; None when messages went out and no price is known at all."""
    sent = sum(counts.get(state, 0) for state in SENT)
    return None if sent and campaign.accepted_unpriced == sent else campaign.actual_cost


def seconds(campaign: CampaignView) -> float | None:
    """From the first send to the end, None before the first."""
    if campaign.started_at is None:
        return None
    return round(((campaign.finished_at or campaign.updated_at) - campaign.started_at).total_seconds(), 3)


def show_counts(output: Output, counts: dict[RowState, int]) -> None:
    """One line per state that has rows."""
    words = output.wording
    width = max((len(words.number(n)) for n in counts.values()), default=1)
    for state, n in counts.items():
        output.say(f"  {words.number(n).rjust(width)}  {words(f'states.{state.code}')}")


def show_campaigns(
    output: Output,
    campaigns: Sequence[CampaignView],
    zone: ZoneInfo,
    times: Sequence[datetime | None] = (),
) -> None:
    """One line per campaign, newest first, on the clock of ``zone``; ``times``: until when each of them waits."""
    words = output.wording
    if not campaigns:
        output.tell("status.none")
    for campaign, until in zip_longest(campaigns, times):
        output.tell(
            "status.line",
            campaign=campaign.id,
            state=words(f"campaign_states.{campaign.state.code}"),
            file=campaign.file_name,
            rows=words.count("plan.rows", campaign.rows),
            gateway=campaign.gateway,
            at=stamp(campaign.created_at, zone),
        )
        if until is not None:
            output.tell("status.waits_until", until=stamp(until, zone))
        if campaign.priority != Priority.NORMAL:
            output.tell("status.priority", priority=words(f"priorities.{Priority(campaign.priority).code}"))


def show_campaign(
    output: Output,
    ledger: Ledger,
    campaign: CampaignView,
    counts: dict[RowState, int],
    bill: CampaignBill,
    zone: ZoneInfo,
) -> None:
    """One campaign in full."""
    from dispatcher.cli.bill_view import show_bill
    from dispatcher.report.reasons import SHOWN_TEXT, reason_text

    words = output.wording
    show_campaigns(output, [campaign], zone)
    if campaign.state_reason:
        output.tell("status.reason", reason=state_reason(words, campaign.state_reason))
    if first := canary_rows(campaign.canary):
        output.say(words.count("canary.waits", len(first)))
    show_counts(output, counts)
    show_bill(output, bill)
    problems = ledger.queries.problems(campaign.id, _SHOWN_ROWS)
    texts = ledger.queries.texts(campaign.id, [row.row for row in problems if row.reason in SHOWN_TEXT])
    for row in problems:
        output.tell(
            "status.problem",
            row=row.row,
            state=words(f"states.{row.state.code}"),
            reason=reason_text(words, row, texts.get(row.row)) if row.reason else "",
        )
    more = sum(counts.get(state, 0) for state in PROBLEM) - len(problems)
    if more > 0:
        output.say(words.count("status.more_problems", more))
    if campaign.report_path:
        output.tell("run.report", path=campaign.report_path)


def state_reason(words: Wording, reason: str) -> str:
    """The words for why a campaign is where it is."""
    return words(f"stops.{reason}")


def show_cost(output: Output, campaign: CampaignView, counts: dict[RowState, int]) -> None:
    """What it cost so far beside what was estimated; nothing before the first message went out."""
    words = output.wording
    if not sum(counts.get(state, 0) for state in SENT):
        return
    actual = actual_cost(campaign, counts)
    estimated = known(campaign.estimated_cost, campaign.unpriced_rows)
    output.tell(
        "run.cost" if _may_change(campaign, counts) else "run.final_cost",
        actual=words("plan.unknown_cost") if actual is None else words.money(actual, campaign.currency),
        estimated=words("plan.unknown_cost")
        if estimated is None
        else words.money(estimated, campaign.currency),
    )
    if campaign.accepted_unpriced and actual is not None:
        output.say(words.count("run.unpriced", campaign.accepted_unpriced))


def _may_change(campaign: CampaignView, counts: dict[RowState, int]) -> bool:
    """Whether more may be charged: not every row has come to its end, or some price has not been told."""
    moving = (RowState.READY, RowState.SENDING, RowState.IN_DOUBT, RowState.ACCEPTED)
    return bool(campaign.accepted_unpriced) or any(counts.get(state) for state in moving)


def show_landing(output: Output, landing: Landing, limit: Decimal | None = None) -> None:
    """Where a launch ended, and what to do next; ``limit`` is the one that would do where it is held at its own."""
    campaign = landing.campaign
    output.say()
    _show_state(output, landing, limit)
    show_counts(output, landing.counts)
    if landing.dry_run:
        return
    show_cost(output, campaign, landing.counts)
    if landing.counts.get(RowState.IN_DOUBT):
        output.tell("run.in_doubt_hint", campaign=campaign.id)
    if landing.report:
        show_report(output, landing.report)
    elif landing.report_error:
        output.explain(landing.report_error)


def show_report(output: Output, report: ReportWritten) -> None:
    """Where the report is, and what it could not be."""
    words = output.wording
    output.tell("run.report", path=report.target)
    if report.why_rebuilt:
        output.tell("run.report_rebuilt", why=words(f"rebuilt.{report.why_rebuilt}"))
    if report.without_sheets:
        output.tell("run.report_rebuilt", why=words(f"without_sheets.{report.without_sheets}"))


def _show_state(output: Output, landing: Landing, limit: Decimal | None) -> None:
    from dispatcher.cli.plan_view import shortfall_amounts
    from dispatcher.cli.standing_view import show_limit

    campaign, words = landing.campaign, output.wording
    if landing.forbidden:
        shown = ", ".join(str(row) for row in landing.forbidden[:_SHOWN_ROWS])
        if len(landing.forbidden) > _SHOWN_ROWS:
            shown += ", …"
        rows = words.count("run.forbidden_row_list", len(landing.forbidden), list=shown)
        output.tell(
            "run.forbidden_dry_run" if landing.dry_run else "run.forbidden_rows",
            rows=rows,
            campaign=campaign.id,
        )
    elif landing.dry_run:
        output.tell("run.dry_run_done")
    elif limit is not None:
        show_limit(output, campaign, limit)
    elif landing.shortfall is not None:
        lacking = shortfall_amounts(words, landing.shortfall, campaign.currency)
        output.tell("run.held_credit", campaign=campaign.id, **lacking)
    elif campaign.state in (C.HELD, C.HALTED):
        reason = state_reason(words, campaign.state_reason) if campaign.state_reason else ""
        output.tell(f"run.{campaign.state.code}", campaign=campaign.id, reason=reason)
    elif campaign.state is C.SENDING and landing.counts.get(RowState.IN_DOUBT):
        output.tell("run.left_in_doubt", campaign=campaign.id)
    elif campaign.state in (C.PAUSED, C.FINISHED, C.WAITING):
        output.tell(f"run.{campaign.state.code}", campaign=campaign.id)
    else:
        output.tell(
            "run.elsewhere", campaign=campaign.id, state=words(f"campaign_states.{campaign.state.code}")
        )
