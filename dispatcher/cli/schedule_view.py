"""How schedules and what becomes of their ticks are shown: as objects that scripts read, and as lines for people."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dispatcher.application import Application
from dispatcher.campaign.forbidden import ForbiddenWords
from dispatcher.campaign.timing.forecast import CountryForecast
from dispatcher.cli.campaign_view import state_reason
from dispatcher.cli.output import Output
from dispatcher.cli.plan_values import plan_values
from dispatcher.cli.plan_view import show_first_text, show_plan
from dispatcher.cli.planned import Planned, plan_file
from dispatcher.cli.preflight_view import show_listed
from dispatcher.cli.times_view import forecasts, show_times, times_values
from dispatcher.errors import DispatcherError
from dispatcher.intake.planning import history_of, learnt_book
from dispatcher.ledger.schedule_tables import TickState
from dispatcher.ledger.schedules import Schedule, Tick
from dispatcher.schedules.options import BatchOptions
from dispatcher.schedules.scheduler import Happening
from dispatcher.schedules.timetable import Timetable
from dispatcher.wording import Wording

NEXT = 3

log = logging.getLogger(__name__)


def plan_once(application: Application, batch: BatchOptions, gateway: str) -> Planned:
    """Plan the file as a tick would.  Raises FileError or UsageError; nothing is written."""
    words = ForbiddenWords.load_if_named(batch.forbid_file)
    now, days = application.now(), application.settings.guard_days
    ledger = application.existing_ledger()
    history = history_of(ledger, gateway, guard_days=days, now=now)
    book = learnt_book(application.price_book(batch.prices), ledger, gateway, now)
    return plan_file(batch.request.plan, book, batch.funds, history, now, words)


@dataclass(frozen=True)
class Added:
    """One schedule of those that were added together, and the plan of today's file."""

    name: str
    batch: BatchOptions
    planned: Planned


def show_added(
    output: Output,
    name: str,
    added: Sequence[Added],
    timetable: Timetable,
    late_minutes: int,
    gateway: str,
    times: Sequence[datetime],
    now: datetime,
    rate_per_minute: int,
) -> None:
    """The plan of today's file, for each reminder, and when the schedule sends."""
    found = [forecasts(each.planned.planner, now, rate_per_minute) for each in added]
    for each, countries in zip(added, found, strict=True):
        _show_plan(output, each, countries)
    output.say()
    for each in added:
        output.tell("schedule.added", schedule=each.name, gateway=gateway)
    output.tell("schedule.next", times=_times(times, timetable.timezone), timezone=timetable.timezone)
    _show_limit(output, added)
    output.tell("schedule.start_it")
    plans = [
        {
            **plan_values(each.planned.planner, each.planned.bill),
            "forbidden_by_list": dict(each.planned.listed),
            "times": times_values(each.planned.planner, countries),
        }
        for each, countries in zip(added, found, strict=True)
    ]
    values = {
        "schedule": name,
        "file": str(added[0].batch.request.plan.file),
        "cron": timetable.cron,
        "timezone": timetable.timezone,
        "late_minutes": late_minutes,
        "gateway": gateway,
        "max_cost": added[0].batch.request.max_cost,
        "next": _local(times, timetable.timezone),
        "plan": plans[0],
    }
    if len(added) > 1:
        named = [{"schedule": each.name, "plan": plan} for each, plan in zip(added, plans, strict=True)]
        values["reminders"] = named
    output.result(values)


def _show_plan(output: Output, added: Added, countries: list[CountryForecast]) -> None:
    planned = added.planned
    show_plan(output, planned.planner, planned.bill)
    show_times(output, planned.planner, countries)
    if planned.listed:
        output.say()
        show_listed(output, planned.listed)
    show_first_text(output, planned.planner)


def _show_limit(output: Output, added: Sequence[Added]) -> None:
    words, limit = output.wording, added[0].batch.request.max_cost
    if limit is None:
        output.tell("schedule.no_limit")
        return
    output.tell("schedule.limit", limit=words.money(limit, added[0].planned.bill.currency))
    if any(each.planned.bill.estimated_cost > limit for each in added):
        output.warn(words("schedule.above_limit"))


def show_schedules(
    output: Output, schedules: Sequence[Schedule], last: Mapping[int, Sequence[Tick]], now: datetime
) -> None:
    """Each with its next times and the outcome of its last tick."""
    shown = []
    if not schedules:
        output.tell("schedule.none")
    for schedule in schedules:
        times = Timetable.read(schedule.cron, schedule.timezone, now).next(now, NEXT)
        output.tell(
            "schedule.line",
            schedule=schedule.name,
            file=schedule.file,
            cron=schedule.cron,
            gateway=schedule.gateway,
        )
        next_times = _times(times, schedule.timezone)
        output.tell("schedule.next", times=next_times, timezone=schedule.timezone)
        values = {name: getattr(schedule, name) for name in ("file", "cron", "timezone", "late_minutes")}
        values |= {"schedule": schedule.name, "gateway": schedule.gateway}
        values |= {"next": _local(times, schedule.timezone), "last": None}
        for tick in last[schedule.id]:
            said = _said(output.wording, tick)
            at = _times([tick.at], schedule.timezone)
            output.tell("schedule.last", at=at, outcome=said)
            values["last"] = _tick_values(schedule, tick)
        shown.append(values)
    output.result({"schedules": shown})


def show_happening(output: Output, happening: Happening) -> None:
    """One line, or one object with ``--json``, for something that became of a tick; and the log."""
    words, error, facts = output.wording, happening.error, dict(happening.facts)
    logged = {name: facts.get(name) for name in ("campaign", "rows", "outcome")}
    logged |= {"schedule": happening.schedule.name, "error": None if error is None else error.code}
    log.log(logging.INFO if error is None else logging.WARNING, f"schedule_{happening.name}", extra=logged)
    ticks = [] if happening.tick is None else [happening.tick]
    name, timezone = happening.schedule.name, happening.schedule.timezone
    values: dict[str, Any] = {"event": happening.name, "schedule": name}
    values |= {"tick": next(iter(_local(ticks, timezone)), None), **facts}
    if error is not None:
        values["error"] = {"code": error.code, **Wording("en").error(error)}
    line: dict[str, Any] = {"schedule": name, "at": _times(ticks, timezone)}
    line["error"] = "" if error is None else words.in_short(error)
    line["campaign"] = facts.get("campaign") or "-"
    line["rows"] = words.count("plan.rows", int(facts.get("rows") or 0))
    line["n"] = words.number(int(facts.get("count") or 0))
    line["outcome"] = _ended(words, str(facts.get("outcome")), facts) if happening.name == "ended" else ""
    output.say(words(f"schedule_events.{happening.name}", **line))
    output.result(values)


def _tick_values(schedule: Schedule, tick: Tick) -> dict[str, Any]:
    (at,) = _local([tick.at], schedule.timezone)
    values = {"tick": at, "state": tick.state.code, "outcome": tick.outcome, "campaign": tick.campaign_id}
    values |= {"why": _said(Wording("en"), tick)}
    if tick.state is TickState.DONE:
        values |= {
            name: tick.detail.get(name) for name in ("reason", "unchanged", "rows", "counts", "report")
        }
    if tick.state is TickState.MISSED:
        values |= {"missed": tick.detail.get("count")}
    return values


def _said(words: Wording, tick: Tick) -> str:
    """What became of a tick, and why."""
    match tick.state:
        case TickState.RUNNING:
            return words("schedule.under_way", campaign=tick.campaign_id or "-")
        case TickState.MISSED:
            return words.count("schedule.missed", int(tick.detail["count"]))
        case TickState.FAILED:
            error = DispatcherError(str(tick.outcome), **tick.detail["facts"])
            return words("schedule.failed", error=words.error(error)["message"])
    return _ended(words, str(tick.outcome), {**tick.detail, "campaign": tick.campaign_id})


def _ended(words: Wording, state: str, facts: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{words.number(n)} {words(f'states.{code}')}" for code, n in facts["counts"].items())
    said = words(
        "schedule.campaign",
        campaign=facts["campaign"],
        state=words(f"campaign_states.{state}"),
        counts=counts or words.count("plan.rows", 0),
    )
    if facts.get("reason"):
        said += f" ({state_reason(words, facts['reason'])})"
    return said + (" " + words("schedule.unchanged") if facts.get("unchanged") else "")


def _times(moments: Sequence[datetime], timezone: str) -> str:
    return ", ".join(f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}" for moment in moments)


def _local(moments: Sequence[datetime], timezone: str) -> list[str]:
    return [moment.astimezone(ZoneInfo(timezone)).isoformat() for moment in moments]
