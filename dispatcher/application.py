"""The composition root: settings become a ledger, reports and, for what talks to a gateway, a house full of parts.

What only looks into the ledger must not pay for HTTP, spreadsheets and a broker: those are imported when a house is
built (:mod:`dispatcher.building`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from platformdirs import user_data_path

from dispatcher.errors import UsageError
from dispatcher.settings import Configuration, GatewayKind, choose_target, masked
from dispatcher.target import callback_url
from dispatcher.wording import Wording

if TYPE_CHECKING:
    from pydantic import SecretStr

    from dispatcher.accounts import AccountDesk
    from dispatcher.campaign.prices import Funds, PriceBook
    from dispatcher.gateway.models import Callback
    from dispatcher.gateway.signing import Signer
    from dispatcher.intake.house import House
    from dispatcher.ledger import Ledger
    from dispatcher.report.campaign import Reporter
    from dispatcher.schedules.scheduler import Happening
    from dispatcher.schedules.service import ScheduleService
    from dispatcher.serving import CallbackService, Figures
    from jobs.service import WorkerService

SHORTEST_SECRET = 16  # characters; what is shorter can be guessed


class Application:
    """One process's parts, closed together at the end of a ``with`` block."""

    def __init__(self, configuration: Configuration, wording: Wording) -> None:
        self.configuration = configuration
        self.settings = configuration.settings
        self.wording = wording
        self._stack = ExitStack()
        self._desk: AccountDesk | None = None
        check_pairing(self.settings.broker, self.settings.ledger)

    def __enter__(self) -> Application:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def now(self) -> datetime:
        """The wall clock's time."""
        return datetime.now(UTC)

    @property
    def distributed(self) -> bool:
        """Whether several machines share the work."""
        return is_distributed(self.settings.broker)

    @property
    def folder(self) -> Path:
        """The folder of the ledger, where everything that belongs to it lies."""
        return ledger_folder(self.settings.ledger)

    def ledger(self) -> Ledger:
        """The ledger, created when there is none yet."""
        from dispatcher.ledger import Ledger

        ledger = Ledger.open(self.settings.ledger, create=True, busy_seconds=self.settings.busy_seconds)
        self._stack.callback(ledger.dispose)
        return ledger

    def existing_ledger(self) -> Ledger | None:
        """The ledger if there is one; looking never creates it."""
        if _is_missing_file(self.settings.ledger):
            return None
        from dispatcher.ledger import Ledger

        ledger = Ledger.open_existing(self.settings.ledger, busy_seconds=self.settings.busy_seconds)
        if ledger is not None:
            self._stack.callback(ledger.dispose)
        return ledger

    def required_ledger(self) -> Ledger:
        """The ledger; UsageError when there is none, for commands that only look back."""
        ledger = self.existing_ledger()
        if ledger is None:
            raise UsageError("no_ledger", found=masked(self.settings.ledger))
        return ledger

    def signer(self, ledger: Ledger) -> Signer:
        """Signs the callbacks of this ledger's messages, and knows its own again.

        Where the settings have no secret, one is made and kept in the ledger: all its processes need the same.
        """
        from dispatcher.gateway.signing import Signer

        given, before = self._callback_secret("callback_secret"), self._callback_secret("callback_secret_old")
        if given is None:
            given = ledger.agreement("callback_secret").reach(secrets.token_hex(32), replace=False)
        return Signer(given, before)

    def _callback_secret(self, name: str) -> str | None:
        secret: SecretStr | None = getattr(self.settings, name)
        if secret is None:
            return None
        if len(secret.get_secret_value()) < SHORTEST_SECRET:
            raise UsageError(
                "settings_callback_secret", setting=f"DISPATCHER_{name.upper()}", shortest=SHORTEST_SECRET
            )
        return secret.get_secret_value()

    def callbacks(self, ledger: Ledger) -> Callable[[str], Callback] | None:
        """The callback to ask for with the message of a row, by its key; None where no address is set."""
        url = callback_url(self.settings)
        return None if url is None else partial(self.signer(ledger).callback, url)

    def price_book(self, prices: Path | None = None) -> PriceBook:
        """The operator's own prices (``prices``, else those of the settings); against the simulator, unless there are
        any, the simulator's.
        """
        from dispatcher.campaign.prices import PriceBook
        from dispatcher.gateway.simulator import SimulatorConfig, published_prices

        own = prices or self.settings.prices
        if own is not None:
            return PriceBook.load(own)
        if choose_target(self.configuration).kind is GatewayKind.SIMULATOR:
            return PriceBook.from_entries(
                (str(route), country, price) for route, country, price in published_prices(SimulatorConfig())
            )
        return PriceBook.from_entries(())

    def reporter(self, ledger: Ledger) -> Reporter:
        """Writes reports."""
        from dispatcher.report.campaign import Reporter

        return Reporter(
            ledger, self.wording, self.settings.zone, simulated=frozenset({GatewayKind.SIMULATOR})
        )

    def account(self) -> AccountDesk | None:
        """Whom to ask about the account behind the chosen gateway; None where its credentials are not set."""
        from dispatcher.accounts import open_desk

        if self._desk is None:  # the embedded simulator's is opened once
            self._desk = open_desk(self, self._stack)
        return self._desk

    def house(self, funds: Funds) -> House:
        """Everything a launch works with."""
        from dispatcher.building import build_house

        return build_house(self, funds, self._stack)

    def worker(self) -> AbstractContextManager[WorkerService]:
        """What sends for every campaign of the ledger, while its ``with`` block lasts."""
        from dispatcher.building import build_worker

        return build_worker(self)

    def callback_service(
        self, host: str, port: int, told: Callable[[Figures], None]
    ) -> AbstractContextManager[CallbackService]:
        """What receives the callbacks of the ledger's messages, listening while its ``with`` block lasts."""
        from dispatcher.serving import build_callback_service

        return build_callback_service(self, host, port, told)

    def scheduler(self, tell: Callable[[Happening], None]) -> AbstractContextManager[ScheduleService]:
        """What fires the ticks of schedules and sends what they begin, while its ``with`` block lasts."""
        from dispatcher.schedules.building import build_scheduler

        return build_scheduler(self, tell)


def check_pairing(broker: str, ledger: str) -> None:
    """Embedded with a file, Redis with PostgreSQL: any other pair would share the work and not the limit, or the
    limit and not the work.  UsageError for those.
    """
    served = ledger.startswith("postgresql")
    if not (served if is_distributed(broker) else broker == "embedded" and not served):
        raise UsageError("settings_pairing", broker=masked(broker), ledger=masked(ledger))


def is_distributed(broker: str) -> bool:
    """Whether several machines share the work."""
    return broker.startswith(("redis://", "rediss://"))


def _is_missing_file(url: str) -> bool:
    """Whether the ledger is a plain file that is not there; to know so much takes no SQLAlchemy."""
    scheme, separator, name = url.partition(":///")
    plain = bool(separator and name) and scheme == "sqlite" and not name.startswith((":", "file:"))
    return plain and "?" not in name and not Path(name).exists()


def ledger_folder(url: str) -> Path:
    """Where what belongs to a ledger lies on this machine: the folder of its file, or the user's, for a server's."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return user_data_path("dispatcher", appauthor=False)
    if not parsed.database or parsed.database == ":memory:":
        raise UsageError(
            "settings_invalid", setting="ledger", found=masked(url), source="default", kind="ledger", range=""
        )
    return Path(parsed.database).resolve().parent
