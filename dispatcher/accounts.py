"""Asking the account behind the gateway, from code that is not asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from dispatcher.gateway.account import Account, AccountConfig
from dispatcher.simulating import embedded_simulator
from dispatcher.target import choose_account, choose_target

if TYPE_CHECKING:
    from dispatcher.application import Application

R = TypeVar("R")


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
