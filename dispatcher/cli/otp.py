"""``otp send``: one-time codes."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dispatcher.cli import options as o

if TYPE_CHECKING:
    from dispatcher.cli.output import Output
    from dispatcher.intake.codes import CodePlan
    from dispatcher.sending.codes import CodeAnswer

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="One mobile number, as people write it.")]
Length = Annotated[int, typer.Option("--length", min=4, max=10, help="Characters of the code.")]
Letters = Annotated[bool, typer.Option("--alphanumeric", help="Letters too, not only digits.")]
CacheSeconds = Annotated[
    int, typer.Option("--cache-seconds", min=0, max=600, help="Send the same code again within this time.")
]
ShowCode = Annotated[bool, typer.Option("--show-code", help="Print the code; it is shown nowhere else.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Have it checked and priced; nothing is sent.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(help="One-time codes.", rich_markup_mode=None)
    group.command("send", help="Have a code made and sent. Example: dispatcher otp send +393123456789")(send)
    app.add_typer(group, name="otp")


def send(
    number: Number,
    length: Length = 5,
    alphanumeric: Letters = False,
    cache_seconds: CacheSeconds = 0,
    dry_run: DryRun = False,
    show_code: ShowCode = False,
    default_region: o.Region = None,
    rate_per_minute: o.Rate = None,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """The provider writes the text, in the recipient's language, and chooses the code.

    One request, never made again by itself: where the answer is lost (exit code 1), the code may have been sent.
    """
    from dispatcher.application import Application
    from dispatcher.campaign.prices import Funds
    from dispatcher.cli.launching import announce_gateway
    from dispatcher.cli.session import configure
    from dispatcher.cli.signals import ended_like_ctrl_c
    from dispatcher.intake.codes import CodeOrder, code_limits, plan_code, send_code, try_code

    configuration, output = configure(
        as_json,
        gateway=gateway,
        ledger=ledger,
        lang=lang,
        default_region=default_region,
        rate_per_minute=rate_per_minute,
    )
    limits = code_limits(configuration.settings.otp_per_number, configuration.settings.otp_per_prefix)
    announce_gateway(configuration, output)
    order = CodeOrder(number=number, length=length, alphanumeric=alphanumeric, cache_seconds=cache_seconds)
    with ended_like_ctrl_c(), Application(configuration, output.wording) as application:
        house = application.house(Funds({}, None))
        plan = plan_code(house, order)
        if dry_run:
            return _tried(output, plan, try_code(house, plan), house.book.currency)
        _show_price(output, plan, house.book.currency)
        answer = send_code(house, plan, limits)
    return _sent(output, plan, answer, show_code=show_code)


def _show_price(output: Output, plan: CodePlan, currency: str) -> None:
    if plan.price is None:
        output.tell("otp.no_price", recipient=plan.request.recipient)
    else:
        price = output.wording.money(plan.price, currency)
        output.tell("otp.price", recipient=plan.request.recipient, price=price)


def _tried(output: Output, plan: CodePlan, message: Any, currency: str) -> int:
    from dispatcher.gateway.masking import shown

    n = message.message_count or 1
    parts = output.wording.count("plan.parts", n)
    # a worldwide price is 0 while nobody has named it
    if cost := message.total_price or (plan.price or Decimal(0)) * n:
        price = output.wording.money(cost, currency)
        output.tell("otp.tried_at", recipient=plan.request.recipient, parts=parts, price=price)
    else:
        output.tell("otp.tried", recipient=plan.request.recipient, parts=parts)
    output.result({**asdict(shown(message)), "otp": None, "outcome": "dry_run"})
    return 0


def _sent(output: Output, plan: CodePlan, answer: CodeAnswer, *, show_code: bool) -> int:
    from dispatcher.cli.exits import Exit
    from dispatcher.gateway.masking import shown

    recipient, message = plan.request.recipient, answer.message
    if message is None:
        output.warn(
            output.wording("otp.unknown", recipient=recipient, reason=output.wording.fact(answer.detail))
        )
        output.result({"id": None, "recipient": recipient, "otp": None, "outcome": "in_doubt"})
    else:
        output.tell("otp.sent", recipient=recipient, id=message.id)
        if show_code:
            output.tell("otp.code", code=message.otp or "")
        code = message.otp if show_code else None
        output.result({**asdict(shown(message)), "otp": code, "outcome": "accepted"})
    if answer.stopped:
        output.warn(output.wording("otp.account_blocked"))
        return Exit.HALTED
    return Exit.OK if message is not None else Exit.PROBLEMS
