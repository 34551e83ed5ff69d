"""Asking the account behind the gateway, from code that is not asynchronous."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from dispatcher.campaign.prices import Funds
from dispatcher.errors import DispatcherError, Halted, Unreachable
from dispatcher.gateway.account import Account, AccountConfig
from dispatcher.intake.account import Credit, credit_of
from dispatcher.intake.credit import merged
from dispatcher.simulating import embedded_simulator
from dispatcher.target import GatewayKind, choose_account, choose_target

if TYPE_CHECKING:
    from dispatcher.application import Application

R = TypeVar("R")

log = logging.getLogger(__name__)


class AccountDesk:
    """Opens a connection for as long as one question takes."""

    def __init__(self, config: AccountConfig) -> None:
        self._config = config

    @property
    def host(self) -> str:
        """Who is asked."""
        return urlsplit(self._config.base_url).netloc

    def ask(self, question: Callable[[Account], Awaitable[R]]) -> R:
        """What ``question`` finds out.  Raises Unreachable or Halted."""
        return asyncio.run(self._ask(question))

    async def _ask(self, question: Callable[[Account], Awaitable[R]]) -> R:
        async with Account(self._config) as account:
            return await question(account)


class Purse:
    """What the account can pay with, where the operator has not said it.

    ``heard`` hears what it answered, ``failed`` why it could not be asked: then what the operator said is all there is.
    """

    def __init__(
        self,
        desk: AccountDesk,
        now: Callable[[], datetime],
        *,
        heard: Callable[[Credit], None],
        failed: Callable[[DispatcherError], None],
    ) -> None:
        self._desk = desk
        self._now = now
        self._heard = heard
        self._failed = failed

    def __call__(self, said: Funds, currency: str) -> Funds:
        """``said`` and what is missing in it; nobody is asked when nothing is."""
        if said.bundles and said.wallet is not None:
            return said
        try:
            credit = self._desk.ask(credit_of)
        except (Unreachable, Halted) as error:
            self._failed(error)
            return said
        self._heard(credit)
        return merged(said, credit, currency, self._now())


def logged_purse(application: Application) -> Purse | None:
    """For a process that nobody watches; None where there is no account to ask."""

    def failed(error: DispatcherError) -> None:
        log.warning("account_not_asked", extra={"error": error.code})

    return open_purse(application, heard=lambda _: None, failed=failed)


def open_purse(
    application: Application, *, heard: Callable[[Credit], None], failed: Callable[[DispatcherError], None]
) -> Purse | None:
    """None where there is no account to ask: no credentials, or the embedded simulator, whose money is none."""
    if choose_target(application.configuration).kind is GatewayKind.SIMULATOR:
        return None
    desk = application.account()
    return None if desk is None else Purse(desk, application.now, heard=heard, failed=failed)


def open_desk(application: Application, stack: ExitStack) -> AccountDesk | None:
    """None where the account's credentials are not set; what has to be closed again goes onto ``stack``."""
    found = choose_account(application.configuration)
    if found is None:
        return None
    target = choose_target(application.configuration)
    return AccountDesk(
        AccountConfig(
            base_url=found.base_url or embedded_simulator(application, target, stack),
            email=found.email,
            key=found.key,
            proxy=application.settings.proxy,
            ca_file=application.settings.ca_file,
        )
    )
