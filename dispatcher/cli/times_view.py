"""The times of a plan, for people and for scripts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date

from dispatcher.campaign.plan import Planner
from dispatcher.campaign.timing.forecast import CountryForecast, forecast
from dispatcher.cli.moment_text import moment_text
from dispatcher.cli.output import Output


def forecasts(planner: Planner, now: datetime, rate_per_minute: int, ahead: int = 0) -> list[CountryForecast]:
    """When each country is done, by the limit, the due times and the windows; nothing where no row has a time.

    ``ahead``: rows of other campaigns that are being sent.
    """
    if planner.schedule is None:
        return []
    return forecast(planner.summary.due, now, rate_per_minute / 60, planner.schedule.openings, ahead)


def show_times(output: Output, planner: Planner, found: list[CountryForecast], ahead: int = 0) -> None:
    """Where the times come from, how a doubtful date was read, and when each country will be done."""
    schedule, words = planner.schedule, output.wording
    if schedule is None:
        return
    options, reader = schedule.options, schedule.reader
    zone = ZoneInfo(options.zone)
    clock = words("plan.clock_of_recipients", zone=zone) if options.recipient_time else str(zone)
    output.say()
    if reader.date is not None:
        output.tell("plan.column_reminder", offset=options.remind_before, heading=reader.date, zone=clock)
    elif reader.send_at is not None:
        output.tell("plan.column_send_at", heading=reader.send_at, zone=clock)
    if reader.fixed.at is not None:
        output.tell("plan.fixed_time", at=moment_text(words, reader.fixed.at, zone), zone=clock)
    if schedule.example is not None:
        example = schedule.example
        date = format_date(example.date, "EEEE d MMMM yyyy", locale=words.language)
        output.tell("plan.date_read_as", row=example.row, before=example.before, date=date)
    if options.windows is not None:
        output.tell("plan.windows", windows=options.windows)
    if options.cap is not None:
        output.tell("plan.cap", cap=options.cap)
    if found:
        output.tell("plan.finish_title", zone=zone)
        if ahead:
            output.say(words.count("plan.rows_ahead", ahead))
    for country in found:
        _show_country(output, country, zone)


def _show_country(output: Output, country: CountryForecast, zone: ZoneInfo) -> None:
    words = output.wording
    facts = {
        "country": country.country,
        "rows": words.count("plan.rows", country.rows),
        "done": moment_text(words, country.done, zone),
    }
    if country.waits_until is None:
        output.tell("plan.finish_done", **facts)
        return
    waiting = words.count("plan.waiting_rows", country.waiting)
    output.tell(
        "plan.finish_waits", **facts, waiting=waiting, until=moment_text(words, country.waits_until, zone)
    )


def times_values(planner: Planner, found: list[CountryForecast], ahead: int = 0) -> dict[str, Any] | None:
    """The same for scripts; times are ISO 8601 in UTC.  None where every row goes out at once."""
    schedule = planner.schedule
    if schedule is None:
        return None
    options, reader, example = schedule.options, schedule.reader, schedule.example
    return {
        "timezone": options.zone,
        "recipient_time": options.recipient_time,
        "send_at": _iso(reader.fixed.at),
        "send_at_column": reader.send_at,
        "remind_before": options.remind_before,
        "date_column": reader.date,
        "time_column": reader.time,
        "windows": options.windows,
        "cap": options.cap,
        "read_by_locale": None
        if example is None
        else {"row": example.row, "found": example.before, "date": example.date.isoformat()},
        "rows_ahead": ahead,
        "countries": {
            each.country: {
                "rows": each.rows,
                "waiting": each.waiting,
                "waits_until": _iso(each.waits_until),
                "done": _iso(each.done),
            }
            for each in found
        },
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
