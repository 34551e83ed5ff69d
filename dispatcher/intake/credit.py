"""Whether the account can pay for what is about to be sent: nothing starts that would have to stop in the middle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from dispatcher.campaign.prices import Bill, Funds, Pricer
from dispatcher.intake.account import CURRENCY, Credit
from dispatcher.intake.planning import learnt_book
from dispatcher.sending.stops import Stop

if TYPE_CHECKING:  # a plan is held against an account without a house
    from dispatcher.intake.house import House


@dataclass(frozen=True)
class Shortfall:
    """What the wallet must hold at least for the rest of a campaign, and what it holds."""

    needed: Decimal
    wallet: Decimal
    row: int | None
    """The first row that it could not pay, row by row."""

    @property
    def missing(self) -> Decimal:
        """What has to be added at least."""
        return self.needed - self.wallet


def merged(said: Funds, credit: Credit, currency: str, now: datetime) -> Funds:
    """What the operator said, and what the account says about the rest."""
    funds = said
    if not said.bundles:
        funds = replace(funds, bundles=credit.parts_left(now))
    # prices in another currency cannot be held against it, nor can what a bundle of unknown size leaves to pay
    if said.wallet is None and currency == CURRENCY and (said.bundles or not credit.is_vague(now)):
        funds = replace(funds, wallet=credit.wallet)
    return funds


def hold_if_short(house: House, campaign_id: int) -> Shortfall | None:
    """Holds a campaign that the account cannot pay for; gives what is missing."""
    found = shortfall(house, campaign_id)
    if found is not None:
        house.ledger.campaigns.hold(campaign_id, str(Stop.CREDIT), house.clock.now())
    return found


def shortfall(house: House, campaign_id: int) -> Shortfall | None:
    """What the wallet lacks for the rows that are ready; None when it is enough, or nobody knows.

    Asked afresh, since a plan may be older than the last payment.  What the operator said stands, also where it is
    said to be too little.  Where nobody says now what bundles hold, what the plan found them to pay for stands, too:
    who goes on with a campaign names a wallet, and no bundles.
    """
    funds = house.funds
    if house.ask_funds is not None:
        funds = house.ask_funds(funds, house.book.currency)
    if funds.wallet is None:
        return None
    pricer = Pricer(learnt_book(house.book, house.ledger, house.gateway, house.clock.now()), funds)
    unheard_of = not funds.bundles and funds == house.funds
    for rows in house.ledger.unsent.payable(campaign_id, without_free=unheard_of):
        numbers, routes, countries, parts = (
            np.array(column, dtype=object) for column in zip(*rows, strict=True)
        )
        pricer.price(numbers, routes, countries, parts)
    return shortfall_of(pricer.bill())


def shortfall_of(bill: Bill) -> Shortfall | None:
    """What a bill says that the wallet lacks; None while it is not certain."""
    if bill.wallet_short is not True or bill.wallet is None:
        return None
    return Shortfall(bill.required_credit, bill.wallet, bill.wallet_empty_at_row)
