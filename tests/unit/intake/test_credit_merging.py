"""What the operator says about money wins over what the account says; what is not certain stops nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np
import pytest

from dispatcher.accounts import Purse
from dispatcher.campaign.prices import Funds, PriceBook, Pricer
from dispatcher.errors import DispatcherError, Halted, Unreachable
from dispatcher.gateway.account import Account
from dispatcher.gateway.account_models import Subscription
from dispatcher.intake.account import Credit
from dispatcher.intake.credit import merged, shortfall_of

R = TypeVar("R")
D = Decimal
NOW = datetime(2026, 12, 5, tzinfo=UTC)
BOOK = PriceBook.from_entries([("IT", "IT", D("0.05"))])


def bundle(route: str, left: object, **other: Any) -> Subscription:
    read = Subscription.read(
        {"scope": f"POST:sms.openapi.com/{route}-messages", "availableRequests": left, **other}
    )
    assert read is not None
    return read


def credit(*bundles: Subscription, wallet: str = "7") -> Credit:
    return Credit(D(wallet), bundles)


@pytest.mark.parametrize(
    ("said", "found", "currency", "expected"),
    [
        (Funds({}, None), credit(bundle("IT", "9")), "EUR", Funds({"IT": 9}, D(7))),
        (Funds({"IT": 1}, None), credit(bundle("IT", "9")), "EUR", Funds({"IT": 1}, D(7))),
        (Funds({}, D(1)), credit(bundle("IT", "9")), "EUR", Funds({"IT": 9}, D(1))),
        # several of one route add up, those that are over or asleep do not count
        (Funds({}, None), credit(bundle("IT", "9"), bundle("IT", "2")), "EUR", Funds({"IT": 11}, D(7))),
        (Funds({}, None), credit(bundle("IT", "9", active=False)), "EUR", Funds({}, D(7))),
        (Funds({}, None), credit(bundle("IT", "9", expiresAt="2026-12-04")), "EUR", Funds({}, D(7))),
        # a bundle that does not say what is in it may pay for everything
        (Funds({}, None), credit(bundle("IT", "many"), bundle("ES", "3")), "EUR", Funds({"ES": 3}, None)),
        (Funds({"IT": 1}, None), credit(bundle("IT", "many")), "EUR", Funds({"IT": 1}, D(7))),
        # prices in another currency cannot be held against euro
        (Funds({}, None), credit(bundle("IT", "9")), "GBP", Funds({"IT": 9}, None)),
    ],
)
def test_what_is_planned_with(said: Funds, found: Credit, currency: str, expected: Funds) -> None:
    assert merged(said, found, currency, NOW) == expected


class Asked:
    """An account desk that answers, or fails."""

    def __init__(self, answer: Credit | DispatcherError) -> None:
        self.answer, self.times = answer, 0

    def ask(self, question: Callable[[Account], Awaitable[R]]) -> Any:
        self.times += 1
        if isinstance(self.answer, DispatcherError):
            raise self.answer
        return self.answer


def purse(desk: Asked) -> tuple[Purse, list[object]]:
    told: list[object] = []
    return Purse(desk, lambda: NOW, heard=told.append, failed=told.append), told  # type: ignore[arg-type]


def test_nobody_is_asked_when_everything_was_said() -> None:
    desk = Asked(credit())
    said = Funds({"IT": 1}, D(1))
    asked, told = purse(desk)
    assert asked(said, "EUR") == said
    assert (desk.times, told) == (0, [])


@pytest.mark.parametrize(
    "error", [Unreachable("account_failed", host="h", status=500), Halted("account_refused", host="h")]
)
def test_a_failure_is_told_and_leaves_what_was_said(error: DispatcherError) -> None:
    asked, told = purse(Asked(error))
    assert asked(Funds({}, D(3)), "EUR") == Funds({}, D(3))
    assert told == [error]


@pytest.mark.parametrize(
    ("wallet", "missing"), [(None, None), ("0.10", None), ("0.0999", D("0.0001")), ("-2", D("2.10"))]
)
def test_what_is_missing(wallet: str | None, missing: Decimal | None) -> None:
    pricer = Pricer(BOOK, Funds({"IT": 1}, None if wallet is None else D(wallet)))
    it = np.array(["IT"] * 3, dtype=object)
    pricer.price(np.array([2, 3, 4]), it, it, np.array([1, 1, 1]))
    lacking = shortfall_of(pricer.bill())
    assert (None if lacking is None else lacking.missing) == missing


def test_an_unknown_price_alone_lacks_nothing() -> None:
    pricer = Pricer(PriceBook.from_entries(()), Funds({}, D(0)))
    it = np.array(["IT"], dtype=object)
    pricer.price(np.array([2]), it, it, np.array([1]))
    assert shortfall_of(pricer.bill()) is None


def test_a_bundle_pays_from_its_first_moment_to_its_last() -> None:
    one = bundle("IT", "5", startsAt=NOW.isoformat(), expiresAt=(NOW + timedelta(days=1)).isoformat())
    pays = [one.pays_at(NOW + timedelta(seconds=seconds)) for seconds in (-1, 0, 86_399, 86_400)]
    assert pays == [False, True, True, False]
