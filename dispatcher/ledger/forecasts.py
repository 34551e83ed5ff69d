"""What was foretold about a campaign's money before it was sent: by the plan's bundles, and by the dry runs' prices.

Both are told once, as entries of the journal; the rows do not hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dispatcher.ledger.database import Database
from dispatcher.ledger.journal import Events
from dispatcher.ledger.values import rounded

_BUNDLES = "bundles_planned"
_PRICED = "dry_runs_priced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """What dry runs said that ``rows`` messages of a route will cost, bundles not taken into account."""

    rows: int
    cost: Decimal


class Forecasts:
    """Remembers forecasts for the bill that comes afterwards."""

    def __init__(self, database: Database) -> None:
        self._events = Events(database)

    def tell_bundles(self, campaign_id: int, parts: Mapping[str, int], now: datetime) -> None:
        """By route, the parts that the plan takes out of bundles; nothing is written where there are none."""
        taken = {route: n for route, n in parts.items() if n}
        if taken:
            self._events.add(_BUNDLES, now, campaign_id=campaign_id, parts=taken)

    def bundles(self, campaign_id: int) -> dict[str, int]:
        """By route, the parts that the plan took out of bundles; empty where there were none."""
        return {
            str(route): int(n)
            for event in self._events.of(campaign_id, _BUNDLES)
            for route, n in event.detail["parts"].items()
        }

    def tell_dry_runs(self, campaign_id: int, routes: Mapping[str, Foretold], now: datetime) -> None:
        """By route, what a preflight's dry runs said; nothing is written where they named no price."""
        said = {route: [each.rows, str(rounded(each.cost))] for route, each in routes.items() if each.rows}
        if said:
            self._events.add(_PRICED, now, campaign_id=campaign_id, routes=said)

    def dry_runs(self, campaign_id: int) -> dict[str, Foretold]:
        """By route, what the dry runs said, of the preflight that spoke of the most rows: a later one is about what
        was left.
        """
        best: dict[str, Foretold] = {}
        for routes in self._priced(campaign_id):
            for route, said in routes.items():
                if route not in best or said.rows > best[route].rows:
                    best[route] = said
        return best

    def last_dry_runs(self, campaign_id: int) -> dict[str, Foretold]:
        """The same of the last preflight that heard of any price: about what was left then."""
        return next(iter(reversed(self._priced(campaign_id))), {})

    def _priced(self, campaign_id: int) -> list[dict[str, Foretold]]:
        return [
            {
                route: Foretold(rows=rows, cost=Decimal(cost))
                for route, (rows, cost) in event.detail["routes"].items()
            }
            for event in self._events.of(campaign_id, _PRICED)
        ]
