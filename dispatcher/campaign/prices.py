"""What a campaign costs before it is sent: price book, bundles and wallet, walked in row order.

Bundles pay before the wallet, part by part.  A worldwide message to an Italian or Spanish number draws on the
WW bundle first and then on that country's (the provider's own data says that it does).  A price nobody knows
is None and counted, never zero.  All money is exact: Decimal, with as many decimals as the price book has.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from dispatcher.campaign.coded import Coded
from dispatcher.campaign.price_book import Funds, LearntPrice, PriceBook, parse_bundle, parse_money

__all__ = ["Bill", "Funds", "PriceBook", "PricedColumn", "Pricer", "RouteBill", "parse_bundle", "parse_money"]

#: Countries whose bundles also pay for worldwide messages to them.
_OWN_BUNDLE = ("IT", "ES")
_WORLD = "WW"
#: What the wallet must hold for each part of a worldwide message that no bundle covers.
_WORLD_CREDIT_PER_PART = Decimal(1)
#: Costs are summed up along the rows as whole numbers of this many decimals; price books have no more.
_DECIMALS = 8

Objects = np.ndarray[Any, Any]
Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class PricedColumn:
    """Per row: ``cost`` (Decimal, 0 where bundles cover it all, None where the price is not known) and the
    parts that bundles pay for (int32)."""

    cost: Coded
    bundle_parts: np.ndarray[Any, np.dtype[np.int32]]


@dataclass(slots=True)
class RouteBill:
    """``cost`` is the sum of the known prices; ``unpriced_rows`` are those it leaves out."""

    rows: int = 0
    parts: int = 0
    bundle_parts: int = 0
    cost: Decimal = Decimal(0)
    unpriced_rows: int = 0

    def add(self, other: RouteBill) -> None:
        """Count in more rows."""
        self.rows += other.rows
        self.parts += other.parts
        self.bundle_parts += other.bundle_parts
        self.cost += other.cost
        self.unpriced_rows += other.unpriced_rows


@dataclass(frozen=True)
class Bill:
    """What the rows priced so far cost; ``routes`` and ``countries`` have an entry for what has rows."""

    currency: str
    routes: Mapping[str, RouteBill]
    countries: Mapping[tuple[str, str], RouteBill]
    """By route and country."""
    estimated_cost: Decimal
    """The sum of the known prices."""
    ceiling_cost: Decimal | None
    """The same with the book's ceilings for its prices, where it has them; None when some row has neither."""
    unpriced_rows: int
    bundle_ends_at_row: Mapping[str, int]
    """By route: the row that takes the last part of its bundle."""
    wallet_from_row: int | None
    """The first row that bundles do not cover entirely."""
    wallet_from_row_by_route: Mapping[str, int]
    wallet_short: bool | None
    """None when it cannot be known: no wallet given, or it holds what is required but not all costs are known."""
    wallet_empty_at_row: int | None
    """The first row that the wallet cannot pay, row by row."""
    ww_minimum_credit: Decimal
    """What the wallet must hold for the largest worldwide message that bundles do not cover entirely
    (1 for each of its parts); 0 when there is none."""
    required_credit: Decimal
    """The least the wallet must hold for every row to be sent, in the order that needs least: the known costs, and for
    each worldwide message 1 for each part on top of what was paid before it."""
    wallet: Decimal | None
    """What it holds, as far as is known."""
    learnt: Mapping[tuple[str, str], LearntPrice]
    """By route and country, where money is reckoned with a price that was learnt."""


@dataclass
class _Totals:
    countries: dict[tuple[str, str], RouteBill] = field(default_factory=dict)
    paid_parts: Counter[tuple[str, str]] = field(default_factory=Counter)
    bundle_ends: dict[str, int] = field(default_factory=dict)
    wallet_from: dict[str, int] = field(default_factory=dict)
    wallet_empty_at: int | None = None
    largest_world: int = 0
    world: defaultdict[Decimal, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    """Costs of worldwide messages, by what the wallet must hold beyond the cost of each."""


@dataclass(frozen=True)
class Destinations:
    """Where rows go: ``names`` are the different (route, country), ``codes`` which of them each row has."""

    codes: Integers
    names: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, routes: Coded, countries: Coded) -> Destinations:
        """From a column of routes and one of countries; a missing one is the empty name."""
        pairs = routes.paired(countries)
        return cls(
            pairs.codes, tuple((str(route or ""), str(country or "")) for route, country in pairs.names)
        )

    @property
    def world(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows go by the worldwide route."""
        return np.array([route == _WORLD for route, _ in self.names], np.bool_)[self.codes]

    def sums(self, amounts: Integers) -> Integers:
        """The sum of the rows' ``amounts`` for each name."""
        return np.bincount(self.codes, amounts, len(self.names)).astype(np.int64)


class Pricer:
    """Prices a campaign in row order, chunk by chunk, holding what is left of bundles and wallet."""

    def __init__(self, book: PriceBook, funds: Funds) -> None:
        self._book = book
        self._funds = funds
        self._left = dict(funds.bundles)
        self._wallet = None if funds.wallet is None else _whole(funds.wallet)
        self._totals = _Totals()

    def price(self, rows: Objects, routes: Objects, countries: Objects, parts: Objects) -> PricedColumn:
        """Price the next rows of the campaign that will be sent; ``rows`` are their row numbers."""
        return self.price_to(
            rows.astype(np.int64),
            Destinations.of(Coded.of(routes), Coded.of(countries)),
            parts.astype(np.int64),
        )

    def price_to(self, rows: Integers, to: Destinations, parts: Integers) -> PricedColumn:
        """:meth:`price`, where the destinations are known."""
        covered = self._draw_on_bundles(rows, to, parts)
        rest = parts - covered
        cost, whole = self._costs(to, rest)
        self._charge_wallet(rows, whole, np.where(to.world & (rest > 0), parts, 0))
        self._count(rows, to, parts, rest)
        return PricedColumn(cost, covered.astype(np.int32))

    def _draw_on_bundles(self, rows: Integers, to: Destinations, parts: Integers) -> Integers:
        """The parts of each row that bundles pay for.

        Each bundle is walked by itself: WW first, since what it leaves open goes on to the country's bundle.
        """
        rest = parts.copy()
        for bundle in (_WORLD, *_OWN_BUNDLE):
            if self._left.get(bundle, 0) == 0:
                continue
            asking = np.array([bundle in _bundles(*name) for name in to.names], np.bool_)[to.codes]
            asked = np.where(asking, rest, 0)
            before = np.cumsum(asked) - asked
            taken = np.clip(self._left[bundle] - before, 0, asked)
            rest -= taken
            self._left[bundle] -= int(taken.sum())
            if self._left[bundle] == 0:
                self._totals.bundle_ends[bundle] = int(rows[np.flatnonzero(taken)[-1]])
        return parts - rest

    def _costs(self, to: Destinations, rest: Integers) -> tuple[Coded, Integers]:
        """Each row's cost, and the same as a whole number (0 where not known) to sum up along the rows."""
        width = int(rest.max(initial=0)) + 1
        combination = to.codes * width + rest
        costs: list[Decimal | None] = [None] * (len(to.names) * width)
        whole = np.zeros(len(costs), dtype=np.int64)
        for used in np.flatnonzero(np.bincount(combination)).tolist():
            open_parts = used % width
            price = self._book.price(*to.names[used // width])
            cost = Decimal(0) if not open_parts else None if price is None else price * open_parts
            costs[used], whole[used] = cost, 0 if cost is None else _whole(cost)
        return Coded.renamed(combination, costs), whole[combination]

    def _charge_wallet(self, rows: Integers, whole: Integers, world_parts: Integers) -> None:
        if self._wallet is None:
            return
        if self._totals.wallet_empty_at is None:
            held = np.maximum(whole, world_parts * _whole(_WORLD_CREDIT_PER_PART))
            empty = np.flatnonzero(np.cumsum(whole) - whole + held > self._wallet)
            if len(empty):
                self._totals.wallet_empty_at = int(rows[empty[0]])
        self._wallet -= int(whole.sum())

    def _count(self, rows: Integers, to: Destinations, parts: Integers, rest: Integers) -> None:
        unpaid = np.flatnonzero(rest)
        there = np.bincount(to.codes, minlength=len(to.names))
        all_parts, open_parts = to.sums(parts), to.sums(rest)
        unpaid_rows = np.bincount(to.codes[unpaid], minlength=len(to.names))
        first = np.zeros(len(to.names), np.int64)
        first[to.codes[unpaid[::-1]]] = rows[unpaid[::-1]]  # of several the last one stays
        for code in np.flatnonzero(there).tolist():
            name, price = to.names[code], self._book.price(*to.names[code])
            counted = RouteBill(
                rows=int(there[code]),
                parts=int(all_parts[code]),
                bundle_parts=int(all_parts[code] - open_parts[code]),
                cost=Decimal(0) if price is None else price * int(open_parts[code]),
                unpriced_rows=int(unpaid_rows[code]) if price is None else 0,
            )
            self._totals.countries.setdefault(name, RouteBill()).add(counted)
            self._totals.paid_parts[name] += int(open_parts[code])
            if unpaid_rows[code]:
                known = self._totals.wallet_from.get(name[0], int(first[code]))
                self._totals.wallet_from[name[0]] = min(int(first[code]), known)
        self._count_world(to, parts, rest)

    def _count_world(self, to: Destinations, parts: Integers, rest: Integers) -> None:
        open_rows = np.flatnonzero(to.world & (rest > 0))
        if not len(open_rows):
            return
        # their destination, parts and parts to pay as one number, of which there are few
        width = int(parts[open_rows].max()) + 1
        alike = (to.codes[open_rows] * width + parts[open_rows]) * width + rest[open_rows]
        times = np.bincount(alike)
        for size in np.flatnonzero(times).tolist():
            others, open_parts = divmod(size, width)
            code, all_parts = divmod(others, width)
            cost = (self._book.price(*to.names[code]) or Decimal(0)) * open_parts
            self._totals.world[_WORLD_CREDIT_PER_PART * all_parts - cost] += int(times[size]) * cost
            self._totals.largest_world = max(self._totals.largest_world, all_parts)

    @property
    def has_bundles(self) -> bool:
        """Whether something is left of a bundle."""
        return any(self._left.values())

    def price_of(self, route: str, country: str) -> Decimal | None:
        """The price of a part that no bundle pays."""
        return self._book.price(route, country)

    def bill(self) -> Bill:
        """The bill of all rows priced so far."""
        totals = self._totals
        routes: dict[str, RouteBill] = {}
        for (route, _), of_country in sorted(totals.countries.items()):
            routes.setdefault(route, RouteBill()).add(of_country)
        cost = sum((route.cost for route in routes.values()), Decimal(0))
        unpriced = sum(route.unpriced_rows for route in routes.values())
        required = max(cost, self._world_credit())
        return Bill(
            currency=self._book.currency,
            routes=routes,
            countries=dict(sorted(totals.countries.items())),
            estimated_cost=cost,
            ceiling_cost=self._ceiling_cost(),
            unpriced_rows=unpriced,
            bundle_ends_at_row=dict(totals.bundle_ends),
            wallet_from_row=min(totals.wallet_from.values(), default=None),
            wallet_from_row_by_route=dict(totals.wallet_from),
            wallet_short=self._short(required, unpriced),
            wallet_empty_at_row=totals.wallet_empty_at,
            ww_minimum_credit=_WORLD_CREDIT_PER_PART * totals.largest_world,
            required_credit=required,
            wallet=self._funds.wallet,
            learnt={
                name: learnt
                for name, parts in sorted(totals.paid_parts.items())
                if parts and (learnt := self._book.learnt(*name)) is not None
            },
        )

    def _world_credit(self) -> Decimal:
        """Least is needed when the message goes first that needs most beyond its cost."""
        needed = spent = Decimal(0)
        for beyond, cost in sorted(self._totals.world.items(), reverse=True):
            spent += cost
            needed = max(needed, spent + beyond)
        return needed

    def _short(self, required: Decimal, unpriced: int) -> bool | None:
        if self._funds.wallet is None:
            return None
        if required > self._funds.wallet:
            return True
        return None if unpriced else False

    def _ceiling_cost(self) -> Decimal | None:
        total = Decimal(0)
        for name, parts in self._totals.paid_parts.items():
            ceiling = self._book.ceiling(*name)
            limit = self._book.price(*name) if ceiling is None else ceiling
            if limit is None and parts:
                return None
            total += (limit or Decimal(0)) * parts
        return total


def _bundles(route: str, country: str) -> tuple[str, ...]:
    return (route, country) if route == _WORLD and country in _OWN_BUNDLE else (route,)


def _whole(money: Decimal) -> int:
    return int(money.scaleb(_DECIMALS))
