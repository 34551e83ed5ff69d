"""``worker``: send for every campaign of a ledger, without a person watching, until told to stop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import typer

from dispatcher.cli import options as o

if TYPE_CHECKING:
    from dispatcher.cli.output import Output
    from dispatcher.errors import DispatcherError

log = logging.getLogger(__name__)


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
    from dispatcher.cli.session import configure
    from dispatcher.cli.signals import ended_like_ctrl_c

    configuration, output = configure(
        as_json, service=True, gateway=gateway, ledger=ledger, lang=lang, rate_per_minute=rate_per_minute
    )
    teller = _Teller(output)
    with ended_like_ctrl_c(), Application(configuration, output.wording) as application:
        try:
            with application.worker() as service:
                teller.event("started", gateway=service.gateway)
                service.serve(teller.waits)
        except KeyboardInterrupt:
            pass
    teller.event("ended")
    return 0


class _Teller:
    """Tells the log, whoever reads ``--json``, and people."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def event(self, name: str, **values: str) -> None:
        log.info(f"worker_{name}", extra=values)
        self._output.tell(f"worker.{name}", **values)
        self._output.result({"event": name, **values})

    def waits(self, error: DispatcherError | None) -> None:
        """A server does not answer, or (None) it does again."""
        if error is None:
            self.event("goes_on")
            return
        log.warning("worker_waits", extra={"error": error.code})
        words = self._output.wording
        self._output.warn(words("worker.waits", error=words.in_short(error)))
        self._output.result({"event": "waits", "error": error.code})
