"""``reconcile [ID]``: settle rows in doubt by the gateway's listing, by time, or by a person's word."""

from __future__ import annotations

from typing import Annotated

import typer

from dispatcher.cli import options as o

OptionalId = Annotated[
    int | None, typer.Argument(metavar="[ID]", help="The campaign's number; none takes all.")
]
Row = Annotated[int | None, typer.Option("--row", min=1, help="Decide about this row yourself.")]
Sent = Annotated[bool, typer.Option("--sent", help="With --row: it was sent; never send it again.")]
SendAgain = Annotated[
    bool, typer.Option("--send-again", help="With --row: it was not sent; send it on resume.")
]
AbsentAfter = Annotated[
    str | None,
    typer.Option(
        "--absent-after",
        help="Accept as not sent what is not listed so long after, e.g. 30m, when nothing newer proves it.",
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Look once; do not wait for quiet periods to end.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reconcile", help="Find out what became of rows in doubt. Example: dispatcher reconcile 12")(
        reconcile
    )


def reconcile(
    campaign: OptionalId = None,
    row: Row = None,
    sent: Sent = False,
    send_again: SendAgain = False,
    absent_after: AbsentAfter = None,
    no_wait: NoWait = False,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Exit code 0 when nothing is in doubt any more, 1 when something is."""
    from dispatcher.application import Application
    from dispatcher.campaign.prices import Funds
    from dispatcher.cli.inputs import duration
    from dispatcher.cli.launching import announce_gateway
    from dispatcher.cli.session import configure
    from dispatcher.cli.terminal import Terminal
    from dispatcher.errors import UsageError
    from dispatcher.intake.doubts import decide_row, settle_doubts

    configuration, output = configure(as_json, gateway=gateway, ledger=ledger, lang=lang)
    if (
        (row is None) == (sent or send_again)
        or (sent and send_again)
        or (row is not None and campaign is None)
    ):
        raise UsageError("reconcile_flags")
    with Application(configuration, output.wording) as application, Terminal(output, yes=True) as terminal:
        if row is not None and campaign is not None:
            opened = application.required_ledger()
            decide_row(opened, campaign, row, sent=sent, now=application.now())
            output.tell(
                "reconcile.decided_sent" if sent else "reconcile.decided_again", row=row, campaign=campaign
            )
            output.result({"campaign": campaign, "row": row, "decision": "sent" if sent else "send_again"})
            return 0
        announce_gateway(configuration, output)
        house = application.house(Funds({}, None))
        left = settle_doubts(
            house, terminal, campaign, absent_after=duration("--absent-after", absent_after), wait=not no_wait
        )
    for doubt in left.open:
        reason = output.wording(f"doubts.{doubt.obstacle}")
        output.tell("reconcile.open", campaign=doubt.campaign, row=doubt.row, reason=reason)
    output.tell("reconcile.result", found=left.found, absent=left.absent, open=len(left.open))
    output.result(
        {
            "found": left.found,
            "absent": left.absent,
            "in_doubt": [
                {"campaign": doubt.campaign, "row": doubt.row, "why": str(doubt.obstacle)}
                for doubt in left.open
            ],
        }
    )
    return 1 if left.open else 0
