"""Price books, and a campaign priced in row order; the column way equals a walk row by row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.campaign.price_book import LearntPrice
from dispatcher.campaign.prices import Bill, Funds, PriceBook, PricedColumn, Pricer, parse_bundle, parse_money
from dispatcher.errors import UsageError
from dispatcher.wording import LANGUAGES, Wording

D = Decimal
BOOK = PriceBook.from_entries(
    [("IT", "*", D("0.0450")), ("ES", "ES", D("0.05251")), ("WW", "FR", D("0.1")), ("WW", "IT", D("0.07"))]
)
NOTHING = Funds({}, None)
Row = tuple[int, str, str, int]


def book(tmp_path: Path, text: str) -> PriceBook:
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return PriceBook.load(path)


def price(pricer: Pricer, rows: list[Row]) -> PricedColumn:
    columns = [np.array(column) for column in zip(*rows, strict=True)] if rows else [np.array([])] * 4
    return pricer.price(columns[0], columns[1].astype(object), columns[2].astype(object), columns[3])


def test_the_sample_price_book() -> None:
    sample = PriceBook.load(Path(__file__).parents[3] / "samples" / "prices.toml")
    assert sample.currency == "EUR"
    assert sample.price("IT", "IT") == sample.price("IT", "SM") == D("0.0450")
    assert str(sample.price("IT", "IT")) == "0.0450"
    assert (sample.price("WW", "FR"), sample.ceiling("WW", "FR")) == (D("0.0610"), D("0.0800"))
    assert (sample.price("WW", "JP"), sample.ceiling("WW", "JP")) == (None, D("0.2500"))
    assert sample.price("XX", "IT") is None


def test_numbers_in_the_file_are_exact_and_the_most_specific_entry_wins(tmp_path: Path) -> None:
    prices = book(
        tmp_path,
        """
        currency = "USD"
        [[price]]
        route = "ww"
        per_part = 0.1234567
        ceiling = 1
        [[price]]
        route = "WW"
        country = "fr"
        per_part = 2
        """,
    )
    assert prices.currency == "USD"
    assert prices.price("WW", "DE") == D("0.1234567")
    assert prices.price("WW", "FR") == 2
    assert prices.ceiling("WW", "FR") == 1
    assert prices.price("IT", "IT") is None


def test_the_routes_own_country_stands_for_the_route() -> None:
    assert BOOK.price("ES", "AD") == D("0.05251")
    assert BOOK.price("WW", "DE") is None


_ENTRY = '[[price]]\nroute = "IT"\nper_part = "0.05"\n'


@pytest.mark.parametrize(
    ("text", "code", "found"),
    [
        ("currency = ", "prices_syntax", None),
        ("[[price]]\nroute = IT", "prices_syntax", None),
        ("", "prices_empty", None),
        ('currency = "euro"\n' + _ENTRY, "prices_currency", "euro"),
        ("currency = 1\n" + _ENTRY, "prices_currency", "1"),
        ("[prices]\nIT = 1", "prices_layout", "prices"),
        ("price = 1", "prices_layout", "price"),
        ("price = [1]", "prices_layout", "price"),
        (_ENTRY + "per_parts = 1", "prices_unknown_key", "per_parts"),
        ('[[price]]\nper_part = "0.05"', "prices_route", ""),
        ('[[price]]\nroute = "FR"\nper_part = "0.05"', "prices_route", "FR"),
        (_ENTRY + 'country = "ITA"', "prices_country", "ITA"),
        ('[[price]]\nroute = "IT"', "prices_missing", "IT *"),
        ('[[price]]\nroute = "IT"\nper_part = "0,05"', "prices_amount", "per_part = 0,05"),
        ('[[price]]\nroute = "IT"\nper_part = -0.05', "prices_amount", "per_part = -0.05"),
        ('[[price]]\nroute = "IT"\nper_part = nan', "prices_amount", "per_part = NaN"),
        ('[[price]]\nroute = "IT"\nper_part = inf', "prices_amount", "per_part = Infinity"),
        ('[[price]]\nroute = "IT"\nper_part = true', "prices_amount", "per_part = True"),
        ('[[price]]\nroute = "IT"\nper_part = [1]', "prices_amount", "per_part = [1]"),
        ('[[price]]\nroute = "IT"\nper_part = 1000', "prices_amount", "per_part = 1000"),
        ('[[price]]\nroute = "IT"\nper_part = "0.123456789"', "prices_amount", "per_part = 0.123456789"),
        (_ENTRY + "ceiling = 0.01", "prices_ceiling", "0.01 < 0.05"),
        (_ENTRY + _ENTRY, "prices_twice", "IT *"),
    ],
)
def test_what_is_wrong_with_a_price_book(tmp_path: Path, text: str, code: str, found: str | None) -> None:
    with pytest.raises(UsageError) as raised:
        book(tmp_path, text)
    assert (raised.value.code, raised.value.file) == (code, "prices.toml")
    assert found is None or raised.value.found == found
    for language in LANGUAGES:
        assert "prices.toml" in (Wording(language).error(raised.value)["message"] or "")


def test_a_price_book_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        PriceBook.load(tmp_path / "none.toml")
    assert raised.value.code == "prices_file_missing"
    with pytest.raises(UsageError) as raised:
        PriceBook.load(tmp_path)
    assert raised.value.code == "prices_file_unreadable"
    (tmp_path / "latin.toml").write_bytes(b"# citt\xe0")
    with pytest.raises(UsageError) as raised:
        PriceBook.load(tmp_path / "latin.toml")
    assert raised.value.code == "prices_file_unreadable"


@pytest.mark.parametrize(
    ("text", "expected"), [("IT=5000", ("IT", 5000)), (" ww = 0 ", ("WW", 0)), ("es=1", ("ES", 1))]
)
def test_bundles(text: str, expected: tuple[str, int]) -> None:
    assert parse_bundle(text) == expected


@pytest.mark.parametrize(
    "text", ["", "IT", "IT=", "=5", "FR=5", "IT=-5", "IT=5.000", "IT=5,5", "IT=x", "IT:5"]
)
def test_bundles_that_are_none(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_bundle(text)
    assert (raised.value.code, raised.value.found) == ("bundle_not_readable", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20.00", "20.00"),
        ("20,00", "20.00"),
        (" 0 ", "0"),
        ("0.045", "0.045"),
        ("1000", "1000"),
        ("1.0000", "1.0000"),
    ],
)
def test_money(text: str, expected: str) -> None:
    assert str(parse_money(text)) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(
            (text, "money_not_readable")
            for text in ("", "-1", "1e3", "20 EUR", "nan", "1.000,00", ".5", "٣", "0.1234567")
        ),
        ("1.000", "money_ambiguous"),
        ("20,500", "money_ambiguous"),
    ],
)
def test_money_that_is_none(text: str, code: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_money(text)
    assert raised.value.code == code


def test_a_bundle_ends_inside_a_row_and_the_wallet_pays_the_rest() -> None:
    pricer = Pricer(BOOK, Funds({"IT": 5}, D("0.10")))
    priced = price(
        pricer,
        [(2, "IT", "IT", 2), (3, "IT", "IT", 2), (5, "IT", "IT", 3), (6, "IT", "SM", 1), (7, "IT", "IT", 1)],
    )
    assert priced.cost.tolist() == [0, 0, D("0.0900"), D("0.0450"), D("0.0450")]
    assert priced.bundle_parts.tolist() == [2, 2, 1, 0, 0]
    bill = pricer.bill()
    assert bill.bundle_ends_at_row == {"IT": 5}
    assert (bill.wallet_from_row, bill.wallet_from_row_by_route) == (5, {"IT": 5})
    assert (bill.wallet_short, bill.wallet_empty_at_row) == (True, 6)
    assert str(bill.estimated_cost) == "0.1800"
    italy = bill.routes["IT"]
    assert (italy.rows, italy.parts, italy.bundle_parts, italy.cost, italy.unpriced_rows) == (
        5,
        9,
        5,
        D("0.18"),
        0,
    )
    assert {country: of.rows for (_, country), of in bill.countries.items()} == {"IT": 4, "SM": 1}
    assert bill.ww_minimum_credit == 0


def test_worldwide_to_italy_draws_on_ww_then_on_it() -> None:
    pricer = Pricer(BOOK, Funds({"WW": 2, "IT": 3}, None))
    priced = price(
        pricer,
        [(2, "WW", "IT", 1), (3, "WW", "FR", 2), (4, "WW", "IT", 2), (5, "IT", "IT", 2), (6, "WW", "IT", 1)],
    )
    assert priced.bundle_parts.tolist() == [1, 1, 2, 1, 0]
    assert priced.cost.tolist() == [0, D("0.1"), 0, D("0.0450"), D("0.07")]
    assert pricer.bill().bundle_ends_at_row == {"WW": 3, "IT": 5}
    assert pricer.bill().ww_minimum_credit == 2  # the message of row 3 has two parts


def test_an_unknown_price_is_counted_not_zero() -> None:
    pricer = Pricer(BOOK, Funds({"WW": 1}, D(100)))
    priced = price(pricer, [(2, "WW", "JP", 1), (3, "WW", "JP", 4), (4, "WW", "FR", 1)])
    assert priced.cost.tolist() == [0, None, D("0.1")]
    bill = pricer.bill()
    assert (bill.estimated_cost, bill.unpriced_rows, bill.ceiling_cost) == (D("0.1"), 1, None)
    assert (bill.wallet_short, bill.wallet_empty_at_row) == (None, None)
    assert bill.ww_minimum_credit == 4


def test_ceilings_bound_the_cost(tmp_path: Path) -> None:
    prices = book(
        tmp_path,
        '[[price]]\nroute="WW"\nceiling=0.25\n[[price]]\nroute="WW"\ncountry="FR"\nper_part=0.1\n' + _ENTRY,
    )
    pricer = Pricer(prices, NOTHING)
    price(pricer, [(2, "WW", "JP", 2), (3, "WW", "FR", 1), (4, "IT", "IT", 1)])
    bill = pricer.bill()
    assert (bill.estimated_cost, bill.unpriced_rows, bill.ceiling_cost) == (D("0.15"), 1, D("0.80"))
    assert bill.wallet_short is None


def test_no_rows() -> None:
    pricer = Pricer(BOOK, Funds({"IT": 1}, D(1)))
    assert price(pricer, []).cost.tolist() == []
    bill = pricer.bill()
    assert (bill.estimated_cost, dict(bill.routes), bill.wallet_from_row) == (D(0), {}, None)
    assert bill.wallet_short is False


@dataclass
class Walk:
    """The rule, row by row."""

    funds: Funds
    left: dict[str, int] = field(init=False)
    spent: Decimal = field(default_factory=Decimal)
    cost: list[Decimal | None] = field(default_factory=list)
    bundle_parts: list[int] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)
    wallet_from: int | None = None
    empty_at: int | None = None
    wallet_rows: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    """What each row costs the wallet, and what that must hold before."""

    def __post_init__(self) -> None:
        self.left = dict(self.funds.bundles)

    def take(self, row: int, route: str, country: str, parts: int) -> None:
        rest = parts
        for bundle in [route] + ([country] if route == "WW" and country in ("IT", "ES") else []):
            used = min(rest, self.left.get(bundle, 0))
            if used:
                self.left[bundle] -= used
                rest -= used
                if not self.left[bundle]:
                    self.ends[bundle] = row
        each = BOOK.price(route, country)
        cost = D(0) if rest == 0 else None if each is None else each * rest
        self.bundle_parts.append(parts - rest)
        self.cost.append(cost)
        if rest and self.wallet_from is None:
            self.wallet_from = row
        held = max(cost or D(0), D(parts) if route == "WW" and rest else D(0))
        self.wallet_rows.append((cost or D(0), held))
        if self.funds.wallet is not None and self.spent + held > self.funds.wallet and self.empty_at is None:
            self.empty_at = row
        self.spent += cost or 0


_DESTINATIONS = st.sampled_from(
    [("IT", "IT"), ("IT", "SM"), ("ES", "ES"), ("WW", "IT"), ("WW", "ES"), ("WW", "FR"), ("WW", "JP")]
)
_ROWS = st.lists(st.tuples(_DESTINATIONS, st.integers(1, 5)), max_size=40)
_FUNDS = st.builds(
    Funds,
    st.dictionaries(st.sampled_from(["IT", "ES", "WW"]), st.integers(0, 40)),
    st.one_of(st.none(), st.integers(0, 400).map(lambda cents: D(cents) / 100)),
)


@settings(deadline=None)
@given(_ROWS, _FUNDS, st.lists(st.integers(0, 40), max_size=3).map(sorted))
def test_columns_in_chunks_equal_the_walk(
    destinations: list[tuple[tuple[str, str], int]], funds: Funds, cuts: list[int]
) -> None:
    rows: list[Row] = [(2 * i + 2, *where, parts) for i, (where, parts) in enumerate(destinations)]
    walk, pricer = Walk(funds), Pricer(BOOK, funds)
    for row in rows:
        walk.take(*row)
    costs: list[Decimal | None] = []
    covered: list[int] = []
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        priced = price(pricer, rows[start:end])
        costs += priced.cost.tolist()
        covered += priced.bundle_parts.tolist()
    bill = pricer.bill()
    assert (costs, covered) == (walk.cost, walk.bundle_parts)
    assert bill.estimated_cost == walk.spent == sum((cost for cost in costs if cost is not None), D(0))
    assert bill.unpriced_rows == costs.count(None)
    assert (bill.bundle_ends_at_row, bill.wallet_from_row) == (walk.ends, walk.wallet_from)
    assert bill.wallet_empty_at_row == walk.empty_at
    assert sum(route.rows for route in bill.routes.values()) == len(rows)
    assert sum(route.parts for route in bill.routes.values()) == sum(row[3] for row in rows)
    assert_short(bill, funds)


def assert_short(bill: Bill, funds: Funds) -> None:
    if funds.wallet is None:
        assert bill.wallet_short is None
    elif bill.required_credit > funds.wallet:
        assert bill.wallet_short is True
    else:
        assert bill.wallet_short is (None if bill.unpriced_rows else False)


@settings(deadline=None)
@given(st.lists(st.tuples(_DESTINATIONS, st.integers(1, 4)), max_size=5), _FUNDS)
def test_the_required_credit_is_that_of_the_best_order(
    destinations: list[tuple[tuple[str, str], int]], funds: Funds
) -> None:
    rows: list[Row] = [(i + 2, *where, parts) for i, (where, parts) in enumerate(destinations)]
    walk, pricer = Walk(funds), Pricer(BOOK, funds)
    for row in rows:
        walk.take(*row)
    price(pricer, rows)

    def needed(order: tuple[tuple[Decimal, Decimal], ...]) -> Decimal:
        before = list(accumulate((cost for cost, _ in order), initial=D(0)))
        return max((spent + held for spent, (_, held) in zip(before, order, strict=False)), default=D(0))

    best = min(needed(order) for order in permutations(walk.wallet_rows))
    assert pricer.bill().required_credit == best


@pytest.mark.parametrize(
    ("wallet", "short", "empty_at"),
    [("1.3", False, None), ("1.29", True, 5), ("0.99", True, 2), ("2", False, None)],
)
def test_worldwide_messages_need_one_euro_a_part_until_the_last(
    wallet: str, short: bool, empty_at: int | None
) -> None:
    pricer = Pricer(BOOK, Funds({}, D(wallet)))
    price(pricer, [(row, "WW", "FR", 1) for row in (2, 3, 4, 5)])
    bill = pricer.bill()
    assert (bill.wallet_short, bill.wallet_empty_at_row, bill.ww_minimum_credit) == (short, empty_at, 1)


SEEN = datetime(2026, 3, 2, tzinfo=UTC)


def learnt(messages: int = 132, low: str = "0.048", high: str = "0.052") -> LearntPrice:
    return LearntPrice(messages, Decimal("0.05"), Decimal(low), Decimal(high), SEEN)


def test_a_learnt_price_stands_where_the_book_says_nothing(tmp_path: Path) -> None:
    own = book(
        tmp_path,
        '[[price]]\nroute = "IT"\nper_part = "0.04"\n[[price]]\nroute = "WW"\ncountry = "DE"\nceiling = "0.051"',
    )
    places = [("IT", "IT"), ("IT", "VA"), ("WW", "FR"), ("WW", "DE")]
    prices = own.with_learnt({place: learnt() for place in places})
    assert [prices.price(*place) for place in places] == [
        Decimal(p) for p in ("0.04", "0.04", "0.05", "0.05")
    ]
    assert [prices.learnt(*place) is not None for place in places] == [False, False, True, True]
    # what was charged before may be charged again, whatever the book has for a ceiling
    assert [prices.ceiling(*place) for place in places] == [None, None, Decimal("0.052"), Decimal("0.052")]
    assert (prices.price("WW", "GB"), prices.ceiling("WW", "GB"), prices.learnt("WW", "GB")) == (
        None,
        None,
        None,
    )
    assert own.price("WW", "FR") is None


@pytest.mark.parametrize(
    ("messages", "high", "ceiling"),
    [(1, "0.052", "1"), (19, "0.052", "1"), (19, "1.3", "1.3"), (20, "0.052", "0.052")],
)
def test_a_limit_trusts_a_learnt_price_once_enough_was_seen(messages: int, high: str, ceiling: str) -> None:
    prices = PriceBook({}).with_learnt({("WW", "FR"): learnt(messages, high=high)})
    assert prices.ceiling("WW", "FR") == Decimal(ceiling)


def test_a_bill_says_which_prices_are_learnt() -> None:
    prices = PriceBook.from_entries([("IT", "*", Decimal("0.04"))]).with_learnt(
        {("WW", country): learnt() for country in ("FR", "GB", "DE")}
    )
    pricer = Pricer(prices, Funds({"WW": 2}, None))
    price(pricer, [(2, "WW", "DE", 2), (3, "WW", "FR", 1), (4, "IT", "IT", 1), (5, "WW", "FR", 3)])
    bill = pricer.bill()
    assert bill.learnt == {("WW", "FR"): learnt()}  # a bundle pays for Germany
    assert bill.unpriced_rows == 0
    assert bill.estimated_cost == Decimal("0.04") + 4 * Decimal("0.05")
    assert bill.ceiling_cost == Decimal("0.04") + 4 * Decimal("0.052")
