"""``resume``, ``pause``, ``cancel``: decisions about a campaign that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from dispatcher.cli import options as o

if TYPE_CHECKING:
    from datetime import datetime

    from dispatcher.ledger import CampaignView, Ledger


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("resume", help="Go on with a campaign. Example: dispatcher resume 12")(resume)
    app.command("pause", help="Send nothing more until `resume`. Example: dispatcher pause 12")(pause)
    app.command(
        "cancel", help="End a campaign; what was not sent never will be. Example: dispatcher cancel 12"
    )(cancel)


def resume(
    campaign: o.CampaignId,
    without_refused: o.WithoutRefused = False,
    yes: o.Yes = False,
    max_cost: o.MaxCost = None,
    wallet: o.Wallet = None,
    priority: o.PriorityName = None,
    no_wait: o.NoWait = False,
    wait_delivery: o.WaitDelivery = None,
    canary_wait: o.CanaryWait = None,
    forbid_file: o.ForbidFile = None,
    report_dir: o.ReportDir = None,
    rate_per_minute: o.Rate = None,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Goes on exactly where the campaign stopped; exit codes as for `run`."""
    from dispatcher.cli.inputs import chosen_priority, duration, money
    from dispatcher.cli.launching import Ways, chosen_canary, resume_campaign
    from dispatcher.cli.session import configure
    from dispatcher.intake.requests import ResumeRequest

    configuration, output = configure(
        as_json,
        gateway=gateway,
        ledger=ledger,
        lang=lang,
        forbid_file=forbid_file,
        rate_per_minute=rate_per_minute,
    )
    request = ResumeRequest(
        campaign,
        without_refused=without_refused,
        max_cost=money(max_cost),
        report_dir=report_dir,
        priority=chosen_priority(priority),
    )
    stay = duration("--wait-delivery", wait_delivery)
    first = chosen_canary(None, canary_wait)
    ways = Ways(yes=yes, wait=not no_wait, wait_delivery=stay, canary=first)
    return resume_campaign(configuration, output, request, ways, wallet)


def pause(
    campaign: o.CampaignId, ledger: o.LedgerUrl = None, lang: o.Lang = None, as_json: o.Json = False
) -> int:
    """What is on its way is settled; nothing more is claimed."""
    return _move("pause", campaign, ledger, lang, as_json)


def cancel(
    campaign: o.CampaignId, ledger: o.LedgerUrl = None, lang: o.Lang = None, as_json: o.Json = False
) -> int:
    """Rows that are ready become cancelled."""
    return _move("cancel", campaign, ledger, lang, as_json)


def _move(verb: str, campaign_id: int, ledger_url: str | None, lang: str | None, as_json: bool) -> int:
    from dispatcher.cli.deciding import decide
    from dispatcher.errors import UsageError

    def move(ledger: Ledger, campaign: CampaignView, now: datetime) -> None:
        if not getattr(ledger.campaigns, verb)(campaign.id, now):
            raise UsageError(f"campaign_cannot_{verb}", found=campaign.state.code, campaign=campaign.id)

    return decide(move, f"operate.{verb}", campaign_id, ledger=ledger_url, lang=lang, as_json=as_json)
