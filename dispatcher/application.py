"""The composition root: settings become a ledger, reports and, for what talks to a gateway, a house full of parts.

What only looks into the ledger must not pay for HTTP, spreadsheets and a broker: those are imported when a house is
built (:mod:`dispatcher.building`).
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url

from dispatcher.errors import UsageError
from dispatcher.ledger import Ledger
from dispatcher.settings import Configuration, GatewayKind, choose_target, masked
from dispatcher.wording import Wording

if TYPE_CHECKING:
    from dispatcher.campaign.prices import Funds, PriceBook
    from dispatcher.intake.house import House
    from dispatcher.report.campaign import Reporter


class Application:
    """One process's parts, closed together at the end of a ``with`` block."""

    def __init__(self, configuration: Configuration, wording: Wording) -> None:
        self.configuration = configuration
        self.settings = configuration.settings
        self.wording = wording
        self._stack = ExitStack()
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
    def folder(self) -> Path:
        """The folder of the ledger, where everything that belongs to it lies."""
        return ledger_folder(self.settings.ledger)

    def ledger(self) -> Ledger:
        """The ledger, created when there is none yet."""
        ledger = Ledger.open(self.settings.ledger, create=True)
        self._stack.callback(ledger.dispose)
        return ledger

    def existing_ledger(self) -> Ledger | None:
        """The ledger if there is one; looking never creates it."""
        ledger = Ledger.open_existing(self.settings.ledger)
        if ledger is not None:
            self._stack.callback(ledger.dispose)
        return ledger

    def required_ledger(self) -> Ledger:
        """The ledger; UsageError when there is none, for commands that only look back."""
        ledger = self.existing_ledger()
        if ledger is None:
            raise UsageError(
                "no_ledger", found=make_url(self.settings.ledger).render_as_string(hide_password=True)
            )
        return ledger

    def price_book(self) -> PriceBook:
        """The operator's own prices; against the simulator, unless there are any, the simulator's."""
        from dispatcher.campaign.prices import PriceBook
        from dispatcher.gateway.simulator import SimulatorConfig, published_prices

        if self.settings.prices is not None:
            return PriceBook.load(self.settings.prices)
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

    def house(self, funds: Funds) -> House:
        """Everything a launch works with."""
        from dispatcher.building import build_house

        return build_house(self, funds, self._stack)


def check_pairing(broker: str, ledger: str) -> None:
    """Only the embedded broker with a SQLite ledger: pace and owners are not shared by machines yet."""
    if broker != "embedded" or not ledger.startswith("sqlite:"):
        raise UsageError("settings_pairing", broker=masked(broker), ledger=masked(ledger))


def ledger_folder(url: str) -> Path:
    """The folder of a SQLite ledger."""
    database = make_url(url).database
    if not database or database == ":memory:":
        raise UsageError(
            "settings_invalid", setting="ledger", found=masked(url), source="", problem="not a file"
        )
    return Path(database).resolve().parent
