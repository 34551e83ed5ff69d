"""What the gateway's answers say about its prices: a price book may be out of date, and a limit has to hold all the
same.
"""

from __future__ import annotations

from decimal import Decimal

from dispatcher.errors import DispatcherError
from dispatcher.gateway.models import Message, Route
from dispatcher.sending.services import Services
from dispatcher.sending.settlements import actual_cost

# of a number, with its "+": it tells most countries apart, and the ledger knows the country
PREFIX_LENGTH = 4


class Prices:
    """The dearest answer so far, by route and the first digits of the number; each new one raises what rows like it
    are reckoned with.
    """

    def __init__(self, services: Services, campaign_id: int) -> None:
        self._services = services
        self._campaign_id = campaign_id
        self._dearest: dict[tuple[str, str], Decimal] = {}

    async def learn(self, row: int, route: str, recipient: str, parts: int, message: Message) -> None:
        """``parts`` as we count them: a gateway that counts more takes more for each of ours."""
        total = actual_cost(Route(route), message)
        if total is None or not total.is_finite() or parts < 1:
            return
        price, key = total / parts, (route, recipient[:PREFIX_LENGTH])
        before = self._dearest.get(key, Decimal(0))
        if price <= before:
            return
        # known before the ledger is told: many answers come while it looks through all rows that are ready
        self._dearest[key] = price
        ledger = self._services.ledger
        try:
            await ledger(ledger.ledger.rows.raise_reserves, self._campaign_id, row, price)
        except DispatcherError:  # a busy ledger hears of it with the next answer
            if self._dearest[key] == price:
                self._dearest[key] = before
