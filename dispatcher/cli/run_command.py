"""``run FILE``: from a spreadsheet to sent messages and the report."""

from __future__ import annotations

import typer

from dispatcher.cli import options as o


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "run", help="Plan, screen, ask, send, report. Example: dispatcher run clinic.xlsx --gateway sandbox"
    )(run)


def run(
    file: o.SpreadsheetFile,
    message: o.MessageText = None,
    message_file: o.MessageFile = None,
    sender: o.SenderName = None,
    dry_run: o.DryRun = False,
    yes: o.Yes = False,
    preflight: o.PreflightMode = "auto",
    max_cost: o.MaxCost = None,
    capped_token: o.CappedToken = False,
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
    send_at: o.SendAt = None,
    send_at_column: o.SendAtColumn = None,
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
    no_wait: o.NoWait = False,
    wait_delivery: o.WaitDelivery = None,
    canary: o.CanaryRows = None,
    canary_wait: o.CanaryWait = None,
    detach: o.Detach = False,
    forbid_file: o.ForbidFile = None,
    report_dir: o.ReportDir = None,
    rate_per_minute: o.Rate = None,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """See the exit codes in the README."""
    from dispatcher.cli.inputs import FileFlags, TimingFlags, chosen_priority, duration, money, plan_requests
    from dispatcher.cli.launching import Ways, check_waiting, chosen_canary, launch_file
    from dispatcher.cli.session import configure
    from dispatcher.intake.requests import LaunchRequest
    from dispatcher.lazily import arrow_without_pandas
    from dispatcher.sending.preflight import PreflightChoice

    arrow_without_pandas()
    check_waiting(wait_delivery, canary, canary_wait, elsewhere=_elsewhere(detach, dry_run, remind_before))
    configuration, output = configure(
        as_json,
        gateway=gateway,
        ledger=ledger,
        lang=lang,
        sender=sender,
        default_region=default_region,
        prices=prices,
        forbid_file=forbid_file,
        rate_per_minute=rate_per_minute,
        max_cost=money(max_cost),
        cap=cap,
    )
    flags = FileFlags(
        file=file,
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
            send_at=send_at,
            send_at_column=send_at_column,
            remind_before=tuple(remind_before or ()),
            date_column=date_column,
            time_column=time_column,
            key_column=key_column,
            useful_for=useful_for,
            recipient_time=recipient_time,
            marketing=marketing,
        ),
    )
    requests = [
        LaunchRequest(
            plan=plan,
            preflight=PreflightChoice.from_text(preflight),
            dry_run=dry_run,
            max_cost=configuration.settings.max_cost,
            report_dir=report_dir,
            capped_token=capped_token,
            priority=chosen_priority(priority),
        )
        for plan in plan_requests(flags, configuration.settings)
    ]
    stay = duration("--wait-delivery", wait_delivery)
    first = chosen_canary(canary, canary_wait)
    ways = Ways(yes=yes, wait=not no_wait, wait_delivery=stay, canary=first, detach=detach)
    return launch_file(configuration, output, requests, flags, ways)


def _elsewhere(detach: bool, dry_run: bool, reminders: list[str] | None) -> dict[str, bool]:
    """What a person cannot wait for here, by the flag that says so."""
    return {"--detach": detach, "--dry-run": dry_run, "--remind-before": len(reminders or ()) > 1}
