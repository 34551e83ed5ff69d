"""``serve``: receive what the gateway posts about messages, and write it into the ledger."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from dispatcher.cli import options as o

if TYPE_CHECKING:
    from dispatcher.cli.output import Output
    from dispatcher.serving import Figures

log = logging.getLogger(__name__)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "serve",
        help="Receive delivery callbacks, behind your TLS proxy. Example: dispatcher serve --gateway production",
    )(serve)


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port; 0 takes a free one.")] = 8080,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Answers at /callbacks once it is stored; Ctrl-C or SIGTERM ends it when what is in hand is stored."""
    from dispatcher.application import Application
    from dispatcher.cli.session import configure
    from dispatcher.cli.signals import ended_like_ctrl_c

    configuration, output = configure(as_json, service=True, gateway=gateway, ledger=ledger, lang=lang)
    with ended_like_ctrl_c(), Application(configuration, output.wording) as application:
        figures: Figures | None = None
        try:
            with application.callback_service(host, port, lambda told: _tell(output, told)) as service:
                figures = service.figures
                service.serve(lambda: _listening(output, service.url, service.gateway))
        except KeyboardInterrupt:
            if figures is None:  # nothing was received yet: interrupted like any other command
                raise
    _tell(output, figures, "ended")
    return 0


def _listening(output: Output, url: str, gateway: str) -> None:
    log.info("serve_listening", extra={"gateway": gateway})
    output.tell("serve.listening", url=url, gateway=gateway)
    output.result({"event": "listening", "url": url, "gateway": gateway})


def _tell(output: Output, figures: Figures, event: str = "summary") -> None:
    values, statuses = figures.values(), _statuses(figures)
    log.info(f"serve_{event}", extra={"rows": values["changed"], "found": values["stored"]})
    if statuses:
        log.warning("callbacks_turned_away", extra={"found": statuses})
    turned_away = values["received"] - values["stored"]
    output.tell(f"serve.{event}", **values, turned_away=turned_away, statuses=statuses or "-")
    output.result({"event": event, **values})


def _statuses(figures: Figures) -> str:
    """How those were answered that were not stored: ``401: 3, 413: 1``."""
    return ", ".join(f"{status}: {count}" for status, count in figures.turned_away().items())
