"""``purge``: forget numbers and texts of campaigns that are long over."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dispatcher.cli import options as o

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from dispatcher.cli.output import Output
    from dispatcher.intake.purging import Purged, PurgePlan

OlderThan = Annotated[
    str, typer.Option("--older-than", help="Campaigns that ended longer ago than this, e.g. 90d.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be removed.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask: what is removed cannot be brought back.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "purge",
        help="Remove numbers, texts and kept files of old campaigns. Example: dispatcher purge --older-than 90d",
    )(purge)


def purge(
    older_than: OlderThan,
    dry_run: DryRun = False,
    yes: Yes = False,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Counts, costs, states, message ids and opt-outs stay, and hashes for the guard until its days are over.

    Exit code 1: something as old stays, because it has not ended, is in doubt, or the ledger was in use.
    """
    from datetime import timedelta

    from dispatcher.application import Application
    from dispatcher.campaign.timing.caps import parse_cap
    from dispatcher.cli.session import configure
    from dispatcher.intake.purging import Purge, longest_cap, plan_purge, read_age

    configuration, output = configure(as_json, ledger=ledger, lang=lang)
    settings = configuration.settings
    age = read_age(older_than, None if settings.cap is None else parse_cap(settings.cap))
    with Application(configuration, output.wording) as application:
        opened = application.required_ledger()
        read_age(older_than, longest_cap(opened))
        plan = plan_purge(opened, age, application.now())
        _show_plan(output, plan, settings.zone)
        if dry_run:
            output.result({**_values(plan), "dry_run": True})
            return int(bool(plan.left))
        if plan.campaigns:
            _ask(output, yes=yes)
        guard = timedelta(days=settings.guard_days)
        done = Purge(opened, application.folder, guard, application.now).run(plan)
    _show_done(output, done)
    output.result({**_values(plan), **_done_values(done), "dry_run": False})
    return int(bool(plan.left) or not done.compacted)


def _show_plan(output: Output, plan: PurgePlan, zone: ZoneInfo) -> None:
    from dispatcher.cli.moment_text import stamp

    words = output.wording
    at = stamp(plan.before, zone)
    campaigns, rows = words.count("purge.campaigns", len(plan.campaigns)), words.count("plan.rows", plan.rows)
    output.tell("purge.plan", at=at, campaigns=campaigns, rows=rows)
    for left in plan.left:
        if left.in_doubt:
            output.warn(words("purge.left_in_doubt", campaign=left.id))
        else:
            state = words(f"campaign_states.{left.state.code}")
            output.warn(words("purge.left_open", campaign=left.id, state=state))


def _ask(output: Output, *, yes: bool) -> None:
    """UsageError without a terminal to ask on, Halted for a no."""
    from dispatcher.errors import Halted, UsageError

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("purge_needs_yes")
    output.ask(f"{output.wording('purge.question')} {output.wording('run.yes_no')}")
    answer = sys.stdin.readline().strip().casefold()
    if not output.is_read or answer not in output.wording("run.yes_answers").split():
        raise Halted("purge_answer_no")


def _show_done(output: Output, done: Purged) -> None:
    words = output.wording
    output.tell(
        "purge.done",
        campaigns=words.count("purge.campaigns", len(done.campaigns)),
        rows=words.count("plan.rows", done.rows),
        inputs=words.number(done.inputs),
    )
    if done.simulated:
        output.tell("purge.simulated", n=words.number(done.simulated))
    if not done.compacted:
        output.warn(words("purge.not_compacted"))


def _values(plan: PurgePlan) -> dict[str, Any]:
    return {
        "before": plan.before,
        "campaigns": [each.id for each in plan.campaigns],
        "rows": plan.rows,
        "left": [
            {"campaign": each.id, "state": each.state.code, "in_doubt": each.in_doubt} for each in plan.left
        ],
    }


def _done_values(done: Purged) -> dict[str, Any]:
    return {
        "campaigns": list(done.campaigns),
        "rows": done.rows,
        "inputs": done.inputs,
        "simulated": done.simulated,
        "compacted": done.compacted,
    }
