"""``messages``: what the gateway has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from dispatcher.cli import options as o

if TYPE_CHECKING:
    from dispatcher.cli.output import Output
    from dispatcher.intake.house import House
    from dispatcher.settings import Configuration

T = TypeVar("T")

States = Annotated[
    list[str] | None,
    typer.Option("--state", help="Only these: NEW, PENDING, DELIVERED …; may be repeated."),
]
To = Annotated[str | None, typer.Option("--to", help="Only to this number, as people write it.")]
Since = Annotated[
    str | None, typer.Option("--since", help='Made then or later: 2026-12-01, or "2026-12-01 09:30".')
]
Until = Annotated[
    str | None, typer.Option("--until", help="Made on that day or earlier, or before that time.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many messages to show.")]
All = Annotated[bool, typer.Option("--all", help="Every message, however many there are.")]
Csv = Annotated[bool, typer.Option("--csv", help="CSV on standard output; all else goes to standard error.")]
MessageId = Annotated[str, typer.Argument(metavar="MESSAGE", help="The id, as sms_message_id in the report.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What the gateway has.", rich_markup_mode=None)
    group.command(
        "list",
        help="The account's messages. Example: dispatcher messages list --state EXPIRED --since 2026-12-01",
    )(listing)
    group.command("show", help="One message. Example: dispatcher messages show 633aabe3e4a9a0e69811ad7f")(
        show
    )
    app.add_typer(group, name="messages")


def listing(
    state: States = None,
    to: To = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    everything: All = False,
    as_csv: Csv = False,
    default_region: o.Region = None,
    rate_per_minute: o.Rate = None,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Pages through the listing, in the gateway's order; one-time codes are masked."""
    from dispatcher.cli.listing_view import CsvView, JsonView, TableView, View
    from dispatcher.cli.session import configure
    from dispatcher.errors import DispatcherError, UsageError
    from dispatcher.intake.listed import Wanted, list_messages, read_bound, read_recipient, read_states

    if as_csv and as_json:
        raise UsageError("usage_contradiction", found="--csv, --json")
    configuration, output = configure(
        as_json,
        gateway=gateway,
        ledger=ledger,
        lang=lang,
        default_region=default_region,
        rate_per_minute=rate_per_minute,
    )
    output.data = as_csv or as_json
    settings = configuration.settings
    wanted = Wanted(
        states=read_states(state or []),
        recipient=None if to is None else read_recipient(to, settings.default_region),
        since=None if since is None else read_bound(since, "--since", settings.zone),
        until=None if until is None else read_bound(until, "--until", settings.zone, end=True),
        limit=None if everything else limit,
    )
    kind = CsvView if as_csv else JsonView if as_json else TableView
    view: View = kind(output, settings.zone)
    try:
        found = _with_house(configuration, output, lambda house: list_messages(house, wanted, view.show))
    except DispatcherError as error:
        if not view.failed(error):
            raise
        return error.exit_code
    view.end(found)
    return 0


def show(
    message: MessageId,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Everything the gateway says about a message; codes and callback headers are masked."""
    from dataclasses import asdict
    from decimal import Decimal

    from dispatcher.cli.listing_view import local, plain
    from dispatcher.cli.session import configure
    from dispatcher.errors import UsageError
    from dispatcher.intake.account import CURRENCY
    from dispatcher.intake.listed import find_message

    configuration, output = configure(as_json, gateway=gateway, ledger=ledger, lang=lang)
    found = _with_house(configuration, output, lambda house: find_message(house, message))
    if found is None:
        raise UsageError("no_message", found=message)
    zone = configuration.settings.zone
    for name, value in asdict(found).items():
        if value is None or value is False:
            continue
        if isinstance(value, datetime):
            said = f"{local(value, zone)} ({zone})"
        elif isinstance(value, Decimal):
            said = output.wording.money(value, CURRENCY)
        else:
            said = output.wording("account.yes") if value is True else plain(value)
        output.say(f"{output.wording(f'message_fields.{name}')}: {said}")
    output.result(asdict(found))
    return 0


def _with_house(configuration: Configuration, output: Output, work: Callable[[House], T]) -> T:
    from dispatcher.application import Application
    from dispatcher.campaign.prices import Funds
    from dispatcher.cli.launching import announce_gateway

    announce_gateway(configuration, output)
    with Application(configuration, output.wording) as application:
        return work(application.house(Funds({}, None)))
