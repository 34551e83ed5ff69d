"""``schedule``: recurring batches, and the service that fires them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from dispatcher.cli import options as o

if TYPE_CHECKING:
    from dispatcher.cli.output import Output
    from dispatcher.errors import DispatcherError

SHOWN_TIMES = 3

log = logging.getLogger(__name__)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the schedule is called.")]
File = Annotated[str, typer.Option("--file", help="The spreadsheet; it is read again at each tick.")]
Cron = Annotated[
    str, typer.Option("--cron", help='When: minute hour day month weekday, e.g. "0 18 * * *" for 18:00.')
]
Timezone = Annotated[
    str | None, typer.Option("--timezone", help="By which clock, e.g. Atlantic/Canary; default: the setting.")
]
Late = Annotated[
    int,
    typer.Option(
        "--late", min=1, max=10_080, help="Minutes after which a missed tick is skipped, not caught up."
    ),
]
NoLimit = Annotated[
    bool, typer.Option("--no-limit", help="No limit on the cost of a tick; otherwise --max-cost is needed.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Recurring batches.", rich_markup_mode=None)
    group.command(
        "add",
        help="Send a file again and again, by itself. Example: dispatcher schedule add clinic --file clinic.xlsx "
        "--cron '0 18 * * *' --max-cost 20 --gateway sandbox",
    )(add)
    group.command("list", help="All schedules. Example: dispatcher schedule list")(listing)
    group.command("remove", help="End a schedule. Example: dispatcher schedule remove clinic")(remove)
    group.command("run", help="Send what the schedules say, until stopped. Example: dispatcher schedule run")(
        run
    )
    app.add_typer(group, name="schedule")


def add(
    name: Name,
    file: File,
    cron: Cron,
    timezone: Timezone = None,
    late: Late = 60,
    max_cost: o.MaxCost = None,
    no_limit: NoLimit = False,
    message: o.MessageText = None,
    message_file: o.MessageFile = None,
    sender: o.SenderName = None,
    preflight: o.PreflightMode = "auto",
    priority: o.PriorityName = None,
    phone_column: o.PhoneColumn = None,
    message_column: o.MessageColumn = None,
    sender_column: o.SenderColumn = None,
    sheet: o.SheetName = None,
    encoding: o.EncodingName = None,
    locale: o.LocaleName = None,
    default_region: o.Region = None,
    route: o.RouteName = None,
    gsm7: o.Gsm7 = False,
    single_part: o.SinglePart = False,
    duplicates: o.Duplicates = "skip",
    again: o.Again = False,
    remind_before: o.RemindBefore = None,
    date_column: o.DateColumn = None,
    time_column: o.TimeColumn = None,
    key_column: o.KeyColumn = None,
    useful_for: o.UsefulFor = None,
    recipient_time: o.RecipientTime = False,
    marketing: o.Marketing = False,
    cap: o.MostPerPerson = None,
    bundle: o.Bundle = None,
    wallet: o.Wallet = None,
    prices: o.Prices = None,
    forbid_file: o.ForbidFile = None,
    report_dir: o.ReportDir = None,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Checks the file as it is now and shows the plan; nothing is sent before the first tick."""
    from pathlib import Path

    from dispatcher.application import Application
    from dispatcher.cli.inputs import FileFlags, TimingFlags, chosen_priority, funds, money, plan_requests
    from dispatcher.cli.schedule_view import Added, plan_once, show_added
    from dispatcher.cli.session import configure
    from dispatcher.errors import UsageError
    from dispatcher.intake.requests import LaunchRequest
    from dispatcher.schedules.adding import check_name, check_new, new_schedule, one_per_reminder
    from dispatcher.schedules.options import BatchOptions, checked
    from dispatcher.schedules.timetable import Timetable
    from dispatcher.sending.preflight import PreflightChoice
    from dispatcher.settings import choose_target

    configuration, output = configure(
        as_json,
        gateway=gateway,
        ledger=ledger,
        lang=lang,
        sender=sender,
        default_region=default_region,
        prices=prices,
        forbid_file=forbid_file,
        max_cost=money(max_cost),
        cap=cap,
    )
    settings, target = configuration.settings, choose_target(configuration, must_be_named=True)
    if no_limit and max_cost is not None:
        raise UsageError("usage_contradiction", found="--max-cost, --no-limit")
    flags = FileFlags(
        file=Path(file).absolute(),  # not resolved: a link may point to another file every day
        sheet=sheet,
        encoding=encoding,
        locale=locale,
        phone_column=phone_column,
        message_column=message_column,
        sender_column=sender_column,
        message=message,
        message_file=message_file,
        route=route,
        gsm7=gsm7,
        single_part=single_part,
        duplicates=duplicates,
        again=again,
        bundle=bundle,
        wallet=wallet,
        timing=TimingFlags(
            remind_before=tuple(remind_before or ()),
            date_column=date_column,
            time_column=time_column,
            key_column=key_column,
            useful_for=useful_for,
            recipient_time=recipient_time,
            marketing=marketing,
        ),
    )
    credit = funds(flags, settings)
    batches = [
        checked(
            BatchOptions(
                request=LaunchRequest(
                    plan=plan,
                    preflight=PreflightChoice.from_text(preflight),
                    max_cost=None if no_limit else settings.max_cost,
                    report_dir=None if report_dir is None else report_dir.absolute(),
                    priority=chosen_priority(priority),
                ),
                prices=None if settings.prices is None else settings.prices.absolute(),
                forbid_file=None if settings.forbid_file is None else settings.forbid_file.absolute(),
                bundles=dict(credit.bundles),
                wallet=credit.wallet,
                no_limit=no_limit,
            )
        )
        for plan in plan_requests(flags, settings)
    ]
    check_name(name)
    with Application(configuration, output.wording) as application:
        timetable = Timetable.read(cron, timezone or settings.timezone, application.now())
        named = one_per_reminder(name, batches)
        added = [
            Added(each, batch, plan_once(application, batch, target.name)) for each, batch in named.items()
        ]
        schedules = application.ledger().schedules
        check_new(name, schedules.all())
        schedules.add(
            [new_schedule(each, target.name, batch, timetable, late) for each, batch in named.items()],
            application.now(),
        )
        now = application.now()
        times = timetable.next(now, SHOWN_TIMES)
        show_added(output, name, added, timetable, late, target.name, times, now, settings.rate_per_minute)
    return 0


def listing(ledger: o.LedgerUrl = None, lang: o.Lang = None, as_json: o.Json = False) -> int:
    """Each with its next times, and with what became of its last tick and why."""
    from dispatcher.application import Application
    from dispatcher.cli.schedule_view import show_schedules
    from dispatcher.cli.session import configure

    configuration, output = configure(as_json, ledger=ledger, lang=lang)
    with Application(configuration, output.wording) as application:
        opened = application.existing_ledger()
        found = opened.schedules.all() if opened else []
        last = {each.id: opened.schedules.history(each.id, 1) for each in found} if opened else {}
        show_schedules(output, found, last, application.now())
    return 0


def remove(name: Name, ledger: o.LedgerUrl = None, lang: o.Lang = None, as_json: o.Json = False) -> int:
    """Campaigns that it has begun go on."""
    from dispatcher.application import Application
    from dispatcher.cli.session import configure
    from dispatcher.errors import UsageError
    from dispatcher.schedules.adding import called

    configuration, output = configure(as_json, ledger=ledger, lang=lang)
    with Application(configuration, output.wording) as application:
        schedules = application.required_ledger().schedules
        there = schedules.all()
        removed = [
            each.name for each in called(name, there) if schedules.remove(each.name, application.now())
        ]
        if not removed:
            known = ", ".join(each.name for each in there) or "-"
            raise UsageError("schedule_unknown", found=name, known=known)
    for each in removed:
        output.tell("schedule.removed", schedule=each)
    output.result({"removed": name, "schedules": removed})
    return 0


def run(
    rate_per_minute: o.Rate = None,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Also sends what is due of other campaigns; Ctrl-C or SIGTERM settles what is in flight."""
    from dispatcher.application import Application
    from dispatcher.cli.schedule_view import show_happening
    from dispatcher.cli.session import configure
    from dispatcher.cli.signals import ended_like_ctrl_c
    from dispatcher.lazily import arrow_without_pandas

    arrow_without_pandas()
    configuration, output = configure(
        as_json, service=True, gateway=gateway, ledger=ledger, lang=lang, rate_per_minute=rate_per_minute
    )
    with ended_like_ctrl_c(), Application(configuration, output.wording) as application:
        try:
            with application.scheduler(lambda happening: show_happening(output, happening)) as service:
                log.info("schedule_run_started", extra={"gateway": service.gateway})
                output.tell("schedule.started", gateway=service.gateway)
                output.result({"event": "started", "gateway": service.gateway})
                service.serve(lambda error: _waits(output, error))
        except KeyboardInterrupt:
            pass
    log.info("schedule_run_ended")
    output.tell("schedule.ended_all")
    output.result({"event": "ended"})
    return 0


def _waits(output: Output, error: DispatcherError | None) -> None:
    if error is None:
        log.info("schedule_run_goes_on")
        output.tell("schedule.goes_on")
        output.result({"event": "goes_on"})
    else:
        log.warning("schedule_run_waits", extra={"error": error.code})
        output.warn(output.wording("schedule.away", error=output.wording.in_short(error)))
        output.result({"event": "waits", "error": error.code})
