"""``messages`` and ``otp``: the gateway's own view, and one-time codes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from dispatcher.cli import options as o

Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many messages to list.")]
MessageId = Annotated[str, typer.Argument(metavar="MESSAGE", help="The id, as sms_message_id in the report.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    messages = typer.Typer(help="What the gateway has.", rich_markup_mode=None)
    messages.command("list", help="The account's messages. Example: dispatcher messages list --limit 20")(
        listing
    )
    messages.command("show", help="One message. Example: dispatcher messages show 633aabe3e4a9a0e69811ad7f")(
        show
    )
    app.add_typer(messages, name="messages")
    otp = typer.Typer(help="One-time codes.", rich_markup_mode=None)
    otp.command("send", help="Have a code made and sent. Example: dispatcher otp send +393123456789")(send)
    app.add_typer(otp, name="otp")


def listing(
    limit: Limit = 100,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Pages through the listing, in the gateway's order."""
    from dispatcher.intake.lookup import list_messages

    def values(house: Any, output: Any, zone: ZoneInfo) -> dict[str, Any]:
        found = list_messages(house, limit)
        for message in found:
            shown = {**message_values(message), "created_at": _local(message.created_at, zone)}
            output.say(
                "  ".join(str(shown[name] or "-") for name in ("id", "state", "recipient", "created_at"))
            )
        return {"messages": [message_values(message) for message in found]}

    return _with_house(gateway, ledger, lang, as_json, values)


def show(
    message: MessageId,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Everything the gateway says about a message; codes and callback headers are masked."""
    from dispatcher.errors import UsageError
    from dispatcher.intake.lookup import find_message

    def values(house: Any, output: Any, zone: ZoneInfo) -> dict[str, Any]:
        found = find_message(house, message)
        if found is None:
            raise UsageError("no_message", found=message)
        shown = message_values(found)
        for name, value in shown.items():
            if value is not None:
                output.say(f"{name}: {_local(value, zone) if isinstance(value, datetime) else value}")
        return shown

    return _with_house(gateway, ledger, lang, as_json, values)


def send(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="One mobile number.")],
    length: Annotated[int, typer.Option("--length", min=4, max=10, help="Characters of the code.")] = 5,
    alphanumeric: Annotated[
        bool, typer.Option("--alphanumeric", help="Letters too, not only digits.")
    ] = False,
    cache_seconds: Annotated[
        int,
        typer.Option("--cache-seconds", min=0, max=600, help="Send the same code again within this time."),
    ] = 0,
    show_code: Annotated[bool, typer.Option("--show-code", help="Print the code.")] = False,
    default_region: o.Region = None,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """The provider writes the text and translates it; the code is printed only with --show-code."""
    from dispatcher.campaign.phones import read_phone
    from dispatcher.campaign.reasons import Reason
    from dispatcher.errors import UsageError
    from dispatcher.gateway.models import OtpRequest
    from dispatcher.intake.lookup import send_otp

    def values(house: Any, output: Any, zone: ZoneInfo) -> dict[str, Any]:
        phone = read_phone(number, house.default_region)
        if phone.recipient is None or phone.reason is not None:
            raise UsageError("otp_number", found=number, reason=str(phone.reason or Reason.PHONE_NOT_VALID))
        if phone.recipient in house.ledger.opt_outs.opted_out([phone.recipient]):
            raise UsageError("otp_opted_out", found=phone.recipient)
        request = OtpRequest(
            recipient=phone.recipient, length=length, alphanumeric=alphanumeric, cache_seconds=cache_seconds
        )
        sent = send_otp(house, request)
        output.tell("otp.sent", recipient=phone.recipient, id=sent.id)
        if show_code:
            output.tell("otp.code", code=sent.otp or "")
        return {**message_values(sent), "otp": sent.otp if show_code else None}

    return _with_house(gateway, ledger, lang, as_json, values, default_region=default_region)


def message_values(message: Any) -> dict[str, Any]:
    """A message for people and scripts.  Callback headers and codes are not in it, nor the digits of a code's text."""
    text = message.message or ""
    return {
        "id": message.id,
        "state": str(message.state) if message.state else None,
        "recipient": message.recipient,
        "country": message.country_code,
        "sender": message.sender,
        "text": "".join("•" if c.isdigit() else c for c in text) if message.is_otp else text,
        "encoding": message.encoding,
        "parts": message.message_count,
        "price": message.price,
        "total_price": message.total_price,
        "dry_run": message.is_dry_run,
        "created_at": message.created_at,
        "sent_at": message.sent_at,
        "delivered_at": message.delivered_at,
    }


def _local(moment: datetime | None, zone: ZoneInfo) -> str | None:
    """As the report shows it."""
    return None if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _with_house(
    gateway: str | None, ledger: str | None, lang: str | None, as_json: bool, work: Any, **flags: Any
) -> int:
    from dispatcher.application import Application
    from dispatcher.campaign.prices import Funds
    from dispatcher.cli.launching import announce_gateway
    from dispatcher.cli.session import configure

    configuration, output = configure(as_json, gateway=gateway, ledger=ledger, lang=lang, **flags)
    announce_gateway(configuration, output)
    with Application(configuration, output.wording) as application:
        values = work(application.house(Funds({}, None)), output, configuration.settings.zone)
    output.result(values)
    return 0
