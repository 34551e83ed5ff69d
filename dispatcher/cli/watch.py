"""``watch FOLDER``: send what is dropped into a folder; ``approve`` and ``reject`` what waits for it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dispatcher.cli import options as o

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dispatcher.cli.output import Output
    from dispatcher.errors import DispatcherError
    from dispatcher.ledger import CampaignView, Ledger
    from dispatcher.settings import Configuration
    from dispatcher.watch.orders import Orders

log = logging.getLogger(__name__)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder into which files are dropped.")]
Settle = Annotated[
    float | None,
    typer.Option(
        "--settle",
        min=0,
        max=3_600,
        help="Seconds for which a file must not change before it is taken; default 5, on network drives 15.",
    ),
]
Poll = Annotated[
    bool,
    typer.Option("--poll", help="Look by the clock, for drives that tell of no changes (network drives)."),
]
NeedsApproval = Annotated[
    bool, typer.Option("--approval", help="Every file waits until somebody approves it.")
]
ApprovedDir = Annotated[
    Path | None,
    typer.Option("--approved-dir", help="Where a file is moved to approve it, instead of FOLDER/approved."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "watch",
        help="Send every file dropped into a folder. Example: dispatcher watch /srv/sms --gateway sandbox",
    )(watch)
    app.command("approve", help="Let a campaign go that waits for approval. Example: dispatcher approve 12")(
        approve
    )
    app.command("reject", help="Cancel a campaign that waits for approval. Example: dispatcher reject 12")(
        reject
    )


def watch(
    folder: Folder,
    message: o.MessageText = None,
    message_file: o.MessageFile = None,
    sender: o.SenderName = None,
    approval: NeedsApproval = False,
    approved_dir: ApprovedDir = None,
    settle: Settle = None,
    poll: Poll = False,
    preflight: o.PreflightMode = "auto",
    max_cost: o.MaxCost = None,
    phone_column: o.PhoneColumn = None,
    message_column: o.MessageColumn = None,
    sender_column: o.SenderColumn = None,
    locale: o.LocaleName = None,
    default_region: o.Region = None,
    gsm7: o.Gsm7 = False,
    single_part: o.SinglePart = False,
    marketing: o.Marketing = False,
    bundle: o.Bundle = None,
    wallet: o.Wallet = None,
    prices: o.Prices = None,
    forbid_file: o.ForbidFile = None,
    rate_per_minute: o.Rate = None,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Runs until Ctrl-C or SIGTERM; what was under way then goes on at the next start."""
    from dispatcher.application import Application
    from dispatcher.cli.inputs import FileFlags, TimingFlags, funds, money
    from dispatcher.cli.session import configure
    from dispatcher.cli.signals import ended_like_ctrl_c
    from dispatcher.lazily import arrow_without_pandas
    from dispatcher.watch.building import WatchRequest, build_watch

    arrow_without_pandas()
    configuration, output = configure(
        as_json,
        service=True,
        gateway=gateway,
        ledger=ledger,
        lang=lang,
        sender=sender,
        default_region=default_region,
        prices=prices,
        forbid_file=forbid_file,
        rate_per_minute=rate_per_minute,
        max_cost=money(max_cost),
    )
    flags = FileFlags(
        file=folder,
        locale=locale,
        phone_column=phone_column,
        message_column=message_column,
        sender_column=sender_column,
        message=message,
        message_file=message_file,
        gsm7=gsm7,
        single_part=single_part,
        bundle=bundle,
        wallet=wallet,
        timing=TimingFlags(marketing=marketing),
    )
    request = WatchRequest(
        folder,
        _orders(configuration, flags, preflight, approval=approval),
        funds(flags, configuration.settings),
        approved=approved_dir,
        settle=settle,
        poll=poll,
    )
    told = _Told(output)
    with ended_like_ctrl_c(), Application(configuration, output.wording) as application:
        try:
            with build_watch(application, request, told, told.waits) as serve:
                serve()
        except KeyboardInterrupt:
            pass
    told("ended")
    return 0


def approve(
    campaign: o.CampaignId, ledger: o.LedgerUrl = None, lang: o.Lang = None, as_json: o.Json = False
) -> int:
    """The watcher sends it, now or when it is started, unless it has changed for the worse since it was shown."""
    return _decide("approve", campaign, ledger, lang, as_json)


def reject(
    campaign: o.CampaignId, ledger: o.LedgerUrl = None, lang: o.Lang = None, as_json: o.Json = False
) -> int:
    """Nothing of it is ever sent."""
    return _decide("reject", campaign, ledger, lang, as_json)


def _decide(verb: str, campaign_id: int, ledger_url: str | None, lang: str | None, as_json: bool) -> int:
    from dispatcher.cli.deciding import decide
    from dispatcher.watch.approval import Approvals

    def say(ledger: Ledger, campaign: CampaignView, now: datetime) -> None:
        getattr(Approvals(ledger), verb)(campaign.id, now, "command")

    return decide(say, f"watch.{verb}", campaign_id, ledger=ledger_url, lang=lang, as_json=as_json)


def _orders(configuration: Configuration, flags: Any, preflight: str, *, approval: bool) -> Orders:
    """What ``watch`` was started with, and which of it ``campaign.toml`` must leave as it is."""
    from dispatcher.campaign.timing.windows import marketing_windows
    from dispatcher.cli.inputs import plan_requests
    from dispatcher.sending.preflight import PreflightChoice
    from dispatcher.settings import Origin
    from dispatcher.watch.orders import Orders

    (plan,) = plan_requests(flags, configuration.settings)
    named = {
        "sender": configuration.settings.sender,
        "message": plan.options.message,
        "locale": flags.locale,
        "columns.phone": flags.phone_column,
        "columns.message": flags.message_column,
        "columns.sender": flags.sender_column,
        "region": configuration.origin("default_region") is not Origin.DEFAULT or None,
    }
    return Orders(
        plan=plan,
        preflight=PreflightChoice.from_text(preflight),
        max_cost=configuration.settings.max_cost,
        approval=approval,
        fixed=frozenset(name for name, value in named.items() if value is not None),
        marketing=marketing_windows(configuration.settings.windows).text,
    )


class _Told:
    """Tells what happens: a line for people, an object a line for scripts, and the log."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __call__(self, event: str, error: DispatcherError | None = None, **facts: Any) -> None:
        values = {"event": event, **facts}
        level = logging.INFO if error is None else logging.WARNING
        log.log(level, f"watch_{event}", extra=_logged(facts, error))
        if error is not None:
            values["error"] = error.code
            facts["error"] = self._output.wording.in_short(error)
        self._output.tell(f"watch.{event}", **facts)
        self._output.result(values)

    def waits(self, error: DispatcherError | None) -> None:
        """What the worker beside it says of a server that is away."""
        if error is None:
            self("goes_on")
        else:
            self("waits", error=error)


def _logged(facts: Mapping[str, Any], error: DispatcherError | None) -> dict[str, Any]:
    """No names of files: people put names of people into them."""
    named = {name: facts[name] for name in ("campaign", "state", "reason", "rows", "code") if name in facts}
    return named if error is None else {**named, "error": error.code}
