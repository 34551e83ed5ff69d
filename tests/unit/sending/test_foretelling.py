"""What dry runs say that a campaign will cost."""

from __future__ import annotations

from decimal import Decimal

from dispatcher.ledger import DistinctText
from dispatcher.ledger.forecasts import Foretold
from dispatcher.sending.foretelling import DryRunPrices


def text(route: str, rows: int, one_country: bool = True) -> DistinctText:
    return DistinctText(
        route=route,
        sender="ACME",
        text="Hello",
        first_row=2,
        rows=rows,
        parts=1,
        encoding=1,
        one_country=one_country,
    )


def test_a_price_stands_for_all_rows_it_can_stand_for() -> None:
    prices = DryRunPrices()
    prices.add(text("IT", 3), Decimal("0.05"))
    prices.add(text("IT", 2, one_country=False), Decimal("0.10"))
    prices.add(text("WW", 4), Decimal("0.07"))
    prices.add(text("WW", 5, one_country=False), Decimal("0.08"))
    assert prices.routes == {
        "IT": Foretold(rows=5, cost=Decimal("0.35")),
        "WW": Foretold(rows=5, cost=Decimal("0.36")),
    }


def test_no_price_is_not_zero() -> None:
    prices = DryRunPrices()
    prices.add(text("IT", 3), None)
    prices.add(text("WW", 3), Decimal(0))
    assert prices.routes == {}
