"""``status``, ``report`` and ``health``: look back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dispatcher.cli import options as o

OptionalId = Annotated[
    int | None, typer.Argument(metavar="[ID]", help="The campaign's number; none lists them all.")
]
Refresh = Annotated[
    bool, typer.Option("--refresh", help="Ask the gateway first what became of messages on their way.")
]

Html = Annotated[bool, typer.Option("--html", help="One HTML file to look at, instead of the spreadsheet.")]
OutputFile = Annotated[Path | None, typer.Option("--output", help="Where the HTML file goes, e.g. page.html")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status", help="All campaigns, or one in full. Example: dispatcher status 12")(status)
    app.command(
        "report", help="Write a campaign's report again, or a page. Example: dispatcher report 12 --html"
    )(report)
    app.command("health", help="Check settings, ledger and queue. Example: dispatcher health")(health)


def status(
    campaign: OptionalId = None, ledger: o.LedgerUrl = None, lang: o.Lang = None, as_json: o.Json = False
) -> int:
    """Exit code 0 for the list; with an ID the code that `run` would give for the campaign's state."""
    from dispatcher.application import Application
    from dispatcher.cli.bill_view import bill_values
    from dispatcher.cli.campaign_view import campaign_values, show_campaign, show_campaigns
    from dispatcher.cli.exits import campaign_exit
    from dispatcher.cli.funnel_view import funnel_values, show_funnel
    from dispatcher.cli.session import configure
    from dispatcher.cli.standing_view import next_time, show_standing, standing_values
    from dispatcher.report.bill import bill_of
    from dispatcher.report.funnel import funnel_of

    configuration, output = configure(as_json, ledger=ledger, lang=lang)
    with Application(configuration, output.wording) as application:
        opened = application.required_ledger() if campaign is not None else application.existing_ledger()
        if campaign is None:
            views = opened.queries.campaigns() if opened else []
            times = [next_time(opened, view) for view in views] if opened else []
            show_campaigns(output, views, application.settings.zone, times)
            shown = [
                {**campaign_values(view, opened.queries.counts(view.id)), **standing_values(opened, view)}
                for view in views
                if opened
            ]
            output.result({"campaigns": shown})
            return 0
        assert opened is not None
        view = opened.queries.campaign(campaign)
        counts = opened.queries.counts(campaign)
        bill = bill_of(opened, view)
        show_campaign(output, opened, view, counts, bill, application.settings.zone)
        show_standing(output, opened, view, application.settings.zone)
        funnel = funnel_of(bill.groups)
        show_funnel(output, funnel)
        output.result(
            {
                **campaign_values(view, counts),
                **standing_values(opened, view),
                "delivery": funnel_values(funnel),
                "bill": bill_values(bill),
            }
        )
        return campaign_exit(view.state, view.state_reason, counts)


def report(
    campaign: o.CampaignId,
    report_dir: o.ReportDir = None,
    refresh: Refresh = False,
    html: Html = False,
    output_file: OutputFile = None,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """From the kept copy of the file and what the ledger knows now (a page needs only that); exit codes as for
    `status ID`.
    """
    from dispatcher.application import Application
    from dispatcher.cli.campaign_view import campaign_values, show_report
    from dispatcher.cli.exits import campaign_exit
    from dispatcher.cli.funnel_view import funnel_values, show_funnel
    from dispatcher.cli.session import configure
    from dispatcher.errors import UsageError
    from dispatcher.report.funnel import funnel_of

    if output_file is not None and not html:
        raise UsageError("usage_output_without_html")
    configuration, output = configure(as_json, gateway=gateway, ledger=ledger, lang=lang)
    with Application(configuration, output.wording) as application:
        opened = application.required_ledger()
        view = opened.queries.campaign(campaign)
        if refresh:
            from dispatcher.cli.refreshing import refresh_deliveries

            refresh_deliveries(application, output, view)
            view = opened.queries.campaign(campaign)
        reporter, page = application.reporter(opened), {}
        funnel = funnel_of(opened.bills.groups(campaign))
        if html:
            page = {"page": reporter.page(view, report_dir, output_file)}
            show_funnel(output, funnel)
            output.tell("page.written", path=page["page"])
        else:
            written = reporter.write(view, report_dir, now=application.now())
            show_funnel(output, funnel)
            show_report(output, written)
        view, counts = opened.queries.campaign(campaign), opened.queries.counts(campaign)
        output.result({**campaign_values(view, counts), "delivery": funnel_values(funnel), **page})
        return campaign_exit(view.state, view.state_reason, counts)


def health(ledger: o.LedgerUrl = None, lang: o.Lang = None, as_json: o.Json = False) -> int:
    """Opens the ledger, never creating one, and asks the queue's server where there is one.

    Exit code 5 when one of them does not answer.
    """
    from dispatcher.application import Application
    from dispatcher.cli.session import configure
    from dispatcher.settings import masked

    configuration, output = configure(as_json, ledger=ledger, lang=lang)
    with Application(configuration, output.wording) as application:
        opened = application.existing_ledger()
        queue = masked(configuration.settings.broker) if application.distributed else None
        if queue is not None:
            from jobs.broker import check

            check(configuration.settings.broker)
        if opened is not None:
            opened.check()
        values = {
            "ok": True,
            "ledger": opened.url if opened else None,
            "ledger_id": opened.id if opened else None,
            "queue": queue,
            "inbox": opened.inbox.size() if opened else None,
        }
        if opened is None:
            output.tell("health.no_ledger", ledger=masked(configuration.settings.ledger))
        else:
            output.tell("health.ok", ledger=opened.url)
            if values["inbox"]:
                output.tell("health.inbox", n=values["inbox"])
        if queue is not None:
            output.tell("health.queue", queue=queue)
        output.result(values)
    return 0
