"""What the dry runs of a preflight say that a campaign will cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from dispatcher.gateway.models import Route
from dispatcher.ledger import DistinctText
from dispatcher.ledger.forecasts import Foretold


@dataclass
class DryRunPrices:
    """Adds up, by route, the prices that dry runs named for the rows of their texts."""

    routes: dict[str, Foretold] = field(default_factory=dict)

    def add(self, text: DistinctText, price: Decimal | None) -> None:
        """A dry run of ``text`` named ``price`` for one message; None, or 0 on a worldwide route, is no price.

        A worldwide price is that of the number which was tried: where the text goes to several countries it stands
        for that one message only.
        """
        if price is None or (not price and text.route == Route.WW):
            return
        rows = text.rows if text.route != Route.WW or text.one_country else 1
        before = self.routes.get(text.route, Foretold(rows=0, cost=Decimal(0)))
        self.routes[text.route] = Foretold(rows=before.rows + rows, cost=before.cost + price * rows)
