"""What the simulator charges, and when it refuses for want of money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import UsageError
from dispatcher.gateway.models import MessageState, Route
from dispatcher.gateway.simulator import Fault, Faults, SimulatorConfig, published_prices
from dispatcher.gateway.simulator.accounts import Account, admit
from dispatcher.gateway.simulator.answers import Refused
from dispatcher.gateway.simulator.messages import Kind, make_message, micros, view
from dispatcher.gateway.simulator.orders import Order, read_order
from dispatcher.wording import LANGUAGES, Wording

NUMBERS = {"IT": "+393123456789", "ES": "+34612345678", "GB": "+447400123456"}
CONFIG = SimulatorConfig(prices={Route.IT: Decimal("0.04"), Route.ES: Decimal("0.05")}, ww_prices={})
SECOND = 1_000_000


def order(route: str, country: str, parts: int = 1, *, dry_run: bool = False, text: str = "a") -> Order:
    body = {"recipient": NUMBERS[country], "message": text if parts == 1 else text * (153 * parts)}
    return read_order(Route(route), {**body, "options": {"dryRun": dry_run}})


def account(wallet: str, bundles: Mapping[str, int] | None = None) -> Account:
    return Account("acme", micros(Decimal(wallet)), False, dict(bundles or {}))


@pytest.mark.parametrize(
    ("route", "country", "parts", "bundles", "wallet", "left_wallet", "left_bundles"),
    [
        ("IT", "IT", 1, {}, "1", "0.96", {}),
        ("IT", "IT", 3, {"IT": 2}, "1", "0.96", {"IT": 0}),
        ("IT", "IT", 3, {"IT": 9, "WW": 5}, "0", "0", {"IT": 6, "WW": 5}),
        ("ES", "ES", 2, {"IT": 9}, "0.10", "0", {"IT": 9}),
        ("WW", "GB", 2, {}, "2", "1.70", {}),
        ("WW", "GB", 2, {"WW": 1}, "2", "1.85", {"WW": 0}),
        ("WW", "IT", 3, {"WW": 1, "IT": 5}, "0", "0", {"WW": 0, "IT": 3}),
        ("WW", "GB", 1, {"IT": 5}, "1", "0.85", {"IT": 5}),
    ],
)
def test_bundles_are_used_before_the_wallet(
    route: str,
    country: str,
    parts: int,
    bundles: dict[str, int],
    wallet: str,
    left_wallet: str,
    left_bundles: object,
) -> None:
    holder = account(wallet, bundles)
    admission = admit(order(route, country, parts), holder, CONFIG)
    assert admission.kind is Kind.SENT
    assert (holder.wallet, holder.bundles) == (micros(Decimal(left_wallet)), left_bundles)


@pytest.mark.parametrize(
    ("route", "country", "parts", "bundles", "wallet"),
    [
        ("IT", "IT", 1, {}, "0.03"),
        ("IT", "IT", 3, {"IT": 1}, "0.07"),
        ("WW", "GB", 2, {}, "1.99"),
        ("WW", "GB", 2, {"WW": 1}, "1.99"),
    ],
)
def test_too_little_money_takes_nothing(
    route: str, country: str, parts: int, bundles: dict[str, int], wallet: str
) -> None:
    holder = account(wallet, bundles)
    before = replace(holder, bundles=dict(bundles))
    with pytest.raises(Refused) as refused:
        admit(order(route, country, parts), holder, CONFIG)
    assert refused.value.status == 402
    assert holder == before


@pytest.mark.parametrize(
    ("route", "country", "dry_run", "code", "penalty"),
    [
        ("WW", "GB", False, 2044, "2"),
        ("IT", "IT", False, 2050, "0.08"),
        ("ES", "ES", False, 2050, "0.10"),
        ("WW", "GB", True, 2044, "0"),
        ("IT", "IT", True, 2044, "0"),
        ("ES", "ES", True, 2044, "0"),
    ],
)
def test_forbidden_words(route: str, country: str, dry_run: bool, code: int, penalty: str) -> None:
    holder = account("0")
    bad = order(route, country, 2, dry_run=dry_run, text="Viagra ")
    bad = replace(bad, size=bad.size._replace(parts=2))
    try:
        refused = admit(bad, holder, CONFIG).refused
    except Refused as raised:
        refused = raised
    assert refused is not None
    assert (refused.status, refused.code) == (422, code)
    assert holder.wallet == -micros(Decimal(penalty))
    assert holder.blocklisted is not dry_run


def test_a_forbidden_word_in_the_sender_counts() -> None:
    holder = account("1")
    bad = read_order(Route.IT, {"recipient": NUMBERS["IT"], "message": "Ciao", "sender": "ViagraShop"})
    assert admit(bad, holder, CONFIG).kind is Kind.BLOCKED


@given(
    st.lists(st.tuples(st.sampled_from(["IT", "WW"]), st.integers(1, 4), st.booleans()), max_size=30),
    st.integers(0, 10),
    st.integers(0, 8),
)
def test_nothing_is_spent_that_is_not_there(
    sends: list[tuple[str, int, bool]], bundle: int, euros: int
) -> None:
    holder = account(str(euros), {"IT": bundle, "WW": bundle})
    spent = bundled = 0
    for route, parts, dry_run in sends:
        before = sum(holder.bundles.values())
        try:
            admission = admit(order(route, "IT", parts, dry_run=dry_run), holder, CONFIG)
        except Refused:
            continue
        covered = before - sum(holder.bundles.values())
        bundled += covered
        spent += 0 if dry_run else admission.price * (parts - covered)
    assert holder.wallet == micros(euros) - spent >= 0
    assert sum(holder.bundles.values()) == 2 * bundle - bundled
    assert all(left >= 0 for left in holder.bundles.values())


@pytest.mark.parametrize(
    ("at", "state", "price"),
    [(0, "NEW", 0), (2, "NEW", 0), (3, "PENDING", 0.15), (4, "PENDING", 0.15), (5, "DELIVERED", 0.15)],
)
def test_a_worldwide_message_gets_its_price_and_state_with_time(at: int, state: str, price: float) -> None:
    config = replace(CONFIG, ww_price_delay=3, pending_after=3, final_after=(5, 5))
    message = make_message(1, "acme", order("WW", "GB"), Kind.SENT, 150_000, 150_000, 0, config)
    seen = view(message, at * SECOND)
    assert (seen["state"], seen["price"], seen["totalPrice"]) == (state, price, price)
    assert (seen["sentAt"] is None, seen["deliveredAt"] is None) == (at < 3, at < 5)
    assert (
        seen["updatedAt"] == f"1970-01-01T00:00:0{max(moment for moment in (0, 3, 5) if moment <= at)}.000Z"
    )


def test_a_dry_run_predicts_its_price_and_never_changes() -> None:
    message = make_message(
        1, "acme", order("WW", "GB", dry_run=True), Kind.DRY_RUN, 150_000, 150_000, 0, CONFIG
    )
    assert view(message, 0)["totalPrice"] == 0.15
    assert view(message, 10**15) == view(message, 0)


@given(st.integers(0, 5), st.text(min_size=1, max_size=20))
def test_the_fate_of_a_message_depends_on_seed_and_words_only(seed: int, text: str) -> None:
    config = replace(CONFIG, seed=seed, undeliverable_rate=0.3, expired_rate=0.2, rejected_rate=0.2)
    sent = order("IT", "IT", text=text)
    one = make_message(1, "acme", sent, Kind.SENT, 1, 1, 0, config)
    two = make_message(7, "other", sent, Kind.SENT, 1, 1, 5 * SECOND, config)
    assert one.final_state is two.final_state
    assert two.final - one.final == 5 * SECOND
    assert one.created <= one.pending <= one.final
    if one.final_state is MessageState.EXPIRED:
        assert one.final == 48 * 3600 * SECOND


def test_rates_are_met_over_many_messages() -> None:
    config = replace(CONFIG, undeliverable_rate=0.2, expired_rate=0.1, rejected_rate=0.1)
    sends = (order("IT", "IT", text=f"n {n}") for n in range(2000))
    states = [make_message(1, "acme", sent, Kind.SENT, 1, 1, 0, config).final_state for sent in sends]
    assert 340 <= states.count(MessageState.UNDELIVERABLE) <= 460
    assert 150 <= states.count(MessageState.EXPIRED) <= 250
    assert 150 <= states.count(MessageState.REJECTED) <= 250


def test_the_longest_forced_suffix_wins() -> None:
    forced = {"789": MessageState.REJECTED, "6789": MessageState.UNDELIVERABLE}
    config = replace(CONFIG, forced_results=forced)
    assert make_message(1, "a", order("IT", "IT"), Kind.SENT, 1, 1, 0, config).final_state == "UNDELIVERABLE"


def test_the_price_list_is_the_one_that_is_charged() -> None:
    config = SimulatorConfig()
    prices = published_prices(config)
    world = {country: price for route, country, price in prices if route is Route.WW}
    assert len(world) > 40
    assert world["*"] == config.price(Route.WW, "ZZ")
    assert all(config.price(route, country) == price for route, country, price in prices if country != "*")
    assert min(world.values()) == Decimal("0.05")


@pytest.mark.parametrize(
    ("named", "wrong"),
    [
        ("undeliverable_rate", {"undeliverable_rate": 1.5}),
        ("rejected_rate", {"undeliverable_rate": 0.6, "expired_rate": 0.6}),
        ("limit_cap", {"limit_cap": 0}),
        ("requests_per_minute", {"requests_per_minute": 0}),
        ("final_after", {"final_after": (5, 1)}),
        ("forced_results", {"forced_results": {"1": MessageState.NEW}}),
        ("token", {"token": ""}),
        ("forbidden_words", {"forbidden_words": frozenset({""})}),
    ],
)
def test_impossible_settings_are_refused_in_every_language(named: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        SimulatorConfig(**wrong)
    for language in LANGUAGES:
        assert named in str(Wording(language).error(refused.value)["message"])


@pytest.mark.parametrize("rates", [{Fault.LATE: -0.1}, {Fault.LATE: 0.6, Fault.GARBAGE: 0.6}], ids=str)
def test_impossible_faults_are_refused_in_every_language(rates: dict[Fault, float]) -> None:
    with pytest.raises(UsageError) as refused:
        Faults(rates=rates)
    for language in LANGUAGES:
        assert "{" in str(Wording(language).error(refused.value)["hint"])
