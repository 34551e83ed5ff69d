"""``check FILE``: plan and price a spreadsheet; nothing is sent, nothing is written."""

from __future__ import annotations

import typer

from dispatcher.cli import options as o


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "check",
        help="Read, plan and price a spreadsheet. Example: dispatcher check clinic.xlsx --sender ClinicaSol",
    )(check)


def check(
    file: o.SpreadsheetFile,
    message: o.MessageText = None,
    message_file: o.MessageFile = None,
    sender: o.SenderName = None,
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
    forbid_file: o.ForbidFile = None,
    account: o.AskAccount = False,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Exit code 0 when every row can be sent or is left out by a rule, 1 when some row has a problem."""
    from dispatcher.application import Application
    from dispatcher.campaign.forbidden import ForbiddenWords
    from dispatcher.cli.inputs import FileFlags, TimingFlags, funds, plan_requests
    from dispatcher.cli.plan_values import is_clean, plan_values
    from dispatcher.cli.plan_view import show_first_text, show_plan
    from dispatcher.cli.planned import plan_file
    from dispatcher.cli.preflight_view import show_listed
    from dispatcher.cli.session import configure
    from dispatcher.cli.times_view import forecasts, show_times, times_values
    from dispatcher.intake.credit import merged
    from dispatcher.intake.planning import history_of, learnt_book
    from dispatcher.lazily import arrow_without_pandas
    from dispatcher.settings import choose_target

    arrow_without_pandas()
    configuration, output = configure(
        as_json,
        gateway=gateway,
        ledger=ledger,
        lang=lang,
        sender=sender,
        default_region=default_region,
        prices=prices,
        forbid_file=forbid_file,
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
    settings = configuration.settings
    words = ForbiddenWords.load_if_named(settings.forbid_file)
    with Application(configuration, output.wording) as application:
        now = application.now()
        target, days = choose_target(configuration).name, settings.guard_days
        ledger_there = application.existing_ledger()
        history = history_of(ledger_there, target, guard_days=days, now=now)
        ahead = 0 if ledger_there is None else ledger_there.traffic.rows_ahead(target)
        requests = plan_requests(flags, settings)
        book, credit = (
            learnt_book(application.price_book(), ledger_there, target, now),
            funds(flags, settings),
        )
        asked = None
        if account:
            from dispatcher.cli.account_view import asked_credit, credit_values

            found_credit = asked_credit(application, output)
            asked = credit_values(found_credit, now)
            credit = merged(credit, found_credit, book.currency, now)
        shown, clean = [], True
        for request in requests:  # one for each reminder
            planned = plan_file(request, book, credit, history, now, words)
            planner, bill, listed = planned.planner, planned.bill, planned.listed
            show_plan(output, planner, bill)
            found = forecasts(planner, now, settings.rate_per_minute, ahead)
            show_times(output, planner, found, ahead)
            if listed:
                output.say()
                show_listed(output, listed)
            show_first_text(output, planner)
            values = {**plan_values(planner, bill), "forbidden_by_list": dict(listed)}
            shown.append({**values, "times": times_values(planner, found, ahead)})
            clean = clean and is_clean(planner) and not listed and not bill.wallet_short
    if asked is not None:
        shown[0]["account"] = asked
    output.result(shown[0] if len(shown) == 1 else {**shown[0], "reminders": shown})
    return 0 if clean else 1
