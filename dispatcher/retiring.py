"""Deletes the tokens of campaigns that ended while a worker sent them: nobody else is there when they do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dispatcher.errors import DispatcherError
from dispatcher.intake.own_token import retire
from dispatcher.ledger import Ledger

if TYPE_CHECKING:
    from dispatcher.application import Application

EVERY_SECONDS = 30.0

log = logging.getLogger(__name__)


@contextmanager
def retiring(application: Application, ledger: Ledger, gateway: str) -> Iterator[None]:
    """Looks now and then while the block lasts, and once more at its end."""
    over = threading.Event()
    thread = threading.Thread(
        target=_look_on, args=(application, ledger, gateway, over), name="tokens", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _look_on(application: Application, ledger: Ledger, gateway: str, over: threading.Event) -> None:
    last = told = False
    while not last:
        last = over.wait(EVERY_SECONDS)
        code: str | None = None
        try:
            done = retire(ledger, application.account, gateway, application.now())
        except DispatcherError as error:  # the next look goes on
            done, code = False, error.code
        if not done and not told:
            log.warning("own_token_not_deleted", extra={"gateway": gateway, "error": code})
        told = not done
