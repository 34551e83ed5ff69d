"""``worker``: send for every campaign of a ledger, without a person watching, until told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from dispatcher.cli import options as o

if TYPE_CHECKING:
    from dispatcher.cli.output import Output
    from dispatcher.errors import DispatcherError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "worker",
        help="Send for every campaign of the ledger. Example: dispatcher worker --gateway production",
    )(worker)


def worker(
    rate_per_minute: o.Rate = None,
    gateway: o.GatewayName = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Run as many as you like, here or on other machines; Ctrl-C or SIGTERM settles what is in flight."""
    from dispatcher.application import Application
    from dispatcher.cli.launching import ended_like_ctrl_c
    from dispatcher.cli.session import configure

    configuration, output = configure(
        as_json, gateway=gateway, ledger=ledger, lang=lang, rate_per_minute=rate_per_minute
    )
    with ended_like_ctrl_c(), Application(configuration, output.wording) as application:
        try:
            with application.worker() as service:
                _event(output, "started", gateway=service.gateway)
                service.serve(lambda error: _waits(output, error))
        except KeyboardInterrupt:
            pass
    _event(output, "ended")
    return 0


def _waits(output: Output, error: DispatcherError | None) -> None:
    if error is None:
        _event(output, "goes_on")
    else:
        text = output.wording.error(error)["message"] or error.code
        output.warn(output.wording("worker.waits", error=text))
        output.result({"event": "waits", "error": error.code})


def _event(output: Output, name: str, **values: str) -> None:
    output.tell(f"worker.{name}", **values)
    output.result({"event": name, **values})
