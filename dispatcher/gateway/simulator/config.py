"""What a simulator is told before it starts: accounts, prices, limits, fates of messages, faults.

Everything the provider leaves undocumented is a setting here, so that a test can have it both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from dispatcher.errors import UsageError
from dispatcher.gateway.models import FINAL_STATES, MessageState, Route
from dispatcher.gateway.simulator.faults import Faults
from dispatcher.gateway.simulator.prices import PART_PRICES, WORLD_DEFAULT, WORLD_PRICES

DEFAULT_FORBIDDEN = frozenset({"FORBIDDENWORD", "viagra", "casino"})
"""Words that block a message, as case-insensitive substrings of text and sender."""


@dataclass(frozen=True)
class SimulatorConfig:
    """One stand-in gateway.  Durations are seconds, rates are shares from 0 to 1, money is EUR.

    Raises UsageError ``simulator_setting`` for a value that makes no sense.
    """

    state: Path | None = None
    """SQLite file that keeps everything across restarts; processes may share it.  None: in memory."""

    token: str = "simulator"  # noqa: S105 - a stand-in's well-known token, worth nothing
    username: str = "simulator"
    accounts: Mapping[str, str] = field(default_factory=dict)
    """Further bearer tokens and the account each belongs to."""
    account_email: str = "simulator"
    account_key: str = "simulator"
    """Basic credentials of ``username`` for the account calls, which are answered at the same address."""

    prices: Mapping[Route, Decimal] = field(default_factory=lambda: PART_PRICES)
    """Price per part of the IT and ES routes."""
    ww_prices: Mapping[str, Decimal] = field(default_factory=lambda: WORLD_PRICES)
    """Price per part of the WW route by ISO country."""
    ww_default: Decimal = WORLD_DEFAULT
    wallet: Decimal = Decimal(100_000)
    """Credit of a new account."""
    bundles: Mapping[Route, int] = field(default_factory=dict)
    """Parts per route in a new account's bundles; WW to Italy or Spain draws on that country's too."""
    bundles_end: datetime | None = None
    """When they stop paying; None: at the end of the month after this one."""
    scopes_disabled: frozenset[str] = frozenset()
    """Endpoints (``IT-messages``) that the account may not have tokens for."""
    bare_tokens: bool = True
    """A token is answered by itself, as described; False: inside ``data`` like everything else."""
    account_status: int | None = None
    """Every account call gets this status: a desk that is closed."""
    limits_tokens: bool = True
    """False: tokens are made, and without the limits that were asked for."""
    token_limit_status: int = 402
    """What a request beyond its token's limits gets; not documented."""
    bundled_price: Literal["list", "zero"] = "list"
    """What ``price`` says when a bundle covers the whole message; documented is the list price only."""

    forbidden_words: frozenset[str] = DEFAULT_FORBIDDEN
    forbidden_answer: Literal[201, 422] = 422
    """A real send with a forbidden word: refused (documented), or accepted with ``blocklisted: true``."""

    requests_per_minute: int | None = 10_000
    """Above it in any 60 seconds of this process: ``limit_status`` with Retry-After.  None: no limit."""
    limit_status: int = 429

    listing_order: Literal["newest", "oldest"] = "newest"
    listing_lag: float = 0.0
    """A message is listed only when it is this old."""
    lists_dry_runs: bool = False
    limit_cap: int = 100
    """A larger ``limit`` is silently cut to this."""

    ww_price_delay: float = 1.0
    """``price`` of a WW message is 0 until this long after acceptance."""
    pending_after: float = 0.2
    final_after: tuple[float, float] = (1.0, 5.0)
    """DELIVERED, UNDELIVERABLE and REJECTED come after a time between these two."""
    expires_after: float = 48 * 3600.0
    undeliverable_rate: float = 0.0
    expired_rate: float = 0.0
    rejected_rate: float = 0.0
    forced_results: Mapping[str, MessageState] = field(default_factory=dict)
    """Final state of every message to a number that ends with this suffix; the longest suffix wins."""

    callback_backoff: float = 1.0
    """Before the first retry; doubled each time."""
    callback_poll: float = 0.05
    callbacks_lost_rate: float = 0.0
    callbacks_doubled_rate: float = 0.0
    callbacks_late: tuple[float, float] = (0.0, 0.0)
    """A callback leaves this long after the change it tells of, so that a later one may overtake it."""

    faults: Faults = field(default_factory=Faults)
    seed: int = 0
    arrivals_kept: int = 200_000

    def __post_init__(self) -> None:
        """Refuse what no gateway could be."""
        rates = (
            "undeliverable_rate",
            "expired_rate",
            "rejected_rate",
            "callbacks_lost_rate",
            "callbacks_doubled_rate",
        )
        for name in rates:
            self._require(name, 0 <= getattr(self, name) <= 1)
        self._require("rejected_rate", self.undeliverable_rate + self.expired_rate + self.rejected_rate <= 1)
        for name in ("listing_lag", "ww_price_delay", "pending_after", "expires_after", "callback_backoff"):
            self._require(name, getattr(self, name) >= 0)
        self._require("callback_poll", self.callback_poll > 0)
        self._require("final_after", 0 <= self.final_after[0] <= self.final_after[1])
        self._require("callbacks_late", 0 <= self.callbacks_late[0] <= self.callbacks_late[1])
        self._require("limit_cap", self.limit_cap >= 1)
        self._require(
            "requests_per_minute", self.requests_per_minute is None or self.requests_per_minute >= 1
        )
        for name in ("limit_status", "token_limit_status"):
            self._require(name, 400 <= getattr(self, name) <= 599)
        self._require("forced_results", all(state in FINAL_STATES for state in self.forced_results.values()))
        self._require("token", bool(self.token))
        self._require("forbidden_words", all(self.forbidden_words))

    def _require(self, name: str, holds: bool) -> None:
        if not holds:
            raise UsageError("simulator_setting", setting=name, found=str(getattr(self, name)))

    @property
    def usernames(self) -> Mapping[str, str]:
        """Every accepted bearer token with its account."""
        return MappingProxyType({self.token: self.username, **self.accounts})

    def price(self, route: Route, country: str) -> Decimal:
        """Price of one part."""
        if route is Route.WW:
            return self.ww_prices.get(country, self.ww_default)
        return self.prices[route]


def published_prices(config: SimulatorConfig) -> list[tuple[Route, str, Decimal]]:
    """This gateway's prices, EUR per part: ``(route, ISO country, price)``, ``*`` for any other country."""
    fixed = [(route, route.value, config.prices[route]) for route in (Route.IT, Route.ES)]
    world = [(Route.WW, country, price) for country, price in sorted(config.ww_prices.items())]
    return [*fixed, *world, (Route.WW, "*", config.ww_default)]
