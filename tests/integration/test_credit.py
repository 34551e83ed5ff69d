"""What the account can pay for, found out before anything is sent, and a wallet that runs dry all the same."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dispatcher.application import Application
from dispatcher.campaign.prices import Funds
from dispatcher.gateway.models import Route
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.settings import load
from dispatcher.wording import Wording
from tests.integration.inside import Inside
from tests.integration.processes import TOKEN, GatewayOutside, once_each, people, write_rows

Gateways = Callable[..., GatewayOutside]
PRICES = """
[[price]]
route = "IT"
per_part = 0.045
[[price]]
route = "WW"
per_part = 0.05
"""
LONDON = "+447400123456"


@pytest.fixture
def starting(inside: Inside) -> Iterator[Gateways]:
    """Starts a gateway, for a file with prices beside it."""
    (inside.folder / "prices.toml").write_text(PRICES)
    with ExitStack() as stack:

        def start(**config: Any) -> GatewayOutside:
            values = {"token": TOKEN, "requests_per_minute": None, **config}
            thread = stack.enter_context(SimulatorThread(SimulatorConfig(**values)))
            inside.set({"DISPATCHER_GATEWAY": thread.url, "DISPATCHER_TOKEN": TOKEN})
            inside.set({"DISPATCHER_PRICES": "prices.toml", "DISPATCHER_SENDER": "ClinicaSol"})
            return GatewayOutside(thread)

        yield start


@pytest.fixture
def asked(inside: Inside, starting: Gateways) -> Gateways:
    """The same, and its account may be asked."""
    inside.set({"DISPATCHER_ACCOUNT_EMAIL": "simulator", "DISPATCHER_ACCOUNT_KEY": "simulator"})
    return starting


def file_of(inside: Inside, rows: list[tuple[str, str]]) -> Path:
    return write_rows(inside.folder / "people.csv", rows)


def test_check_says_what_bundles_take_and_what_is_missing(inside: Inside, asked: Gateways) -> None:
    asked(wallet=Decimal("0.10"), bundles={Route.IT: 3})
    file_of(inside, people(8))
    found = inside.json("check", "people.csv", "--account")
    assert (found["code"], found["routes"]["IT"]["bundle_parts"], found["wallet_from_row"]) == (1, 3, 5)
    assert (found["required_credit"], found["missing_credit"]) == ("0.225", "0.125")
    assert (found["wallet_short"], found["wallet_empty_at_row"]) == (True, 7)
    assert found["account"]["wallet"] == "0.1"
    assert found["account"]["bundles"][0]["parts_left"] == 3
    shown = inside("check", "people.csv", "--account")
    assert "0.125 EUR are missing" in shown.out


def test_check_without_account_asks_nobody(inside: Inside, asked: Gateways) -> None:
    asked(wallet=Decimal(0), account_status=500)
    file_of(inside, people(2))
    found = inside.json("check", "people.csv")
    assert (found["code"], found["wallet_short"]) == (0, None)
    assert inside.json("check", "people.csv", "--account")["error"]["code"] == "account_failed"


def test_a_run_that_cannot_be_paid_for_is_held_before_it_sends(inside: Inside, asked: Gateways) -> None:
    gateway = asked(wallet=Decimal("0.10"), bundles={Route.IT: 3})
    rows = people(8)
    file_of(inside, rows)
    held = inside.json("run", "people.csv", "--yes")
    assert (held["code"], held["state"], held["reason"]) == (4, "held", "not_enough_credit")
    assert held["missing_credit"] == "0.125"
    assert gateway.accepted() == []

    again = inside("resume", str(held["campaign"]))
    assert again.code == 4
    assert "0.125 EUR are missing" in again.out
    assert "The account has 0.10 EUR in the wallet; bundles: IT 3 parts." in again.out

    gateway.simulator.top_up(Decimal("0.125"))
    done = inside.json("resume", str(held["campaign"]), "--yes")
    assert (done["code"], done["state"], done["missing_credit"]) == (0, "finished", None)
    assert gateway.sends() == once_each(rows)


@pytest.mark.parametrize(("wallet", "code"), [("1.05", 0), ("1.04", 4)])
def test_a_worldwide_message_needs_its_euro(inside: Inside, asked: Gateways, wallet: str, code: int) -> None:
    gateway = asked(wallet=Decimal(wallet))
    file_of(inside, [(LONDON, "Hello"), ("+447400123457", "Hello")])
    assert inside.json("run", "people.csv", "--yes")["code"] == code
    assert len(gateway.accepted()) == (2 if code == 0 else 0)


def test_worldwide_to_italy_draws_on_the_italian_bundle(inside: Inside, asked: Gateways) -> None:
    gateway = asked(wallet=Decimal(0), bundles={Route.IT: 2})
    file_of(inside, people(2))
    assert inside.json("run", "people.csv", "--yes", "--route", "ww")["code"] == 0
    assert len(gateway.accepted()) == 2


def test_an_account_that_cannot_be_asked_is_announced_and_stops_nothing(
    inside: Inside, asked: Gateways
) -> None:
    gateway = asked(account_status=503)
    rows = people(3)
    file_of(inside, rows)
    ended = inside("run", "people.csv", "--yes")
    assert ended.code == 0, ended.err
    assert "503" in ended.err
    assert gateway.sends() == once_each(rows)


def test_what_the_operator_says_about_the_wallet_stands(inside: Inside, asked: Gateways) -> None:
    gateway = asked(wallet=Decimal("0.09"))
    file_of(inside, people(4))
    ended = inside.json("run", "people.csv", "--yes", "--wallet", "100")
    assert (ended["code"], ended["reason"]) == (4, "payment_required")
    assert len(gateway.accepted()) == 2


def test_a_wallet_that_runs_dry_halts_and_goes_on_once_it_is_filled(
    inside: Inside, starting: Gateways
) -> None:
    gateway = starting(wallet=Decimal("0.225"))  # five of eight
    rows = people(8)
    file_of(inside, rows)
    ended = inside("run", "people.csv", "--yes")
    assert ended.code == 4
    assert "payment is required (402)" in ended.out
    assert len(gateway.accepted()) == 5
    gateway.simulator.top_up(Decimal(1))
    done = inside.json("resume", "1", "--yes")
    assert (done["code"], done["state"]) == (0, "finished")
    assert gateway.sends() == once_each(rows)


def test_whoever_sends_unattended_asks_too(
    inside: Inside, asked: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    asked(wallet=Decimal(3), bundles={Route.IT: 4})
    caplog.set_level(logging.WARNING, logger="dispatcher.accounts")
    with Application(load(), Wording("en")) as application:
        house = application.house(Funds({}, None))
        assert house.ask_funds is not None
        assert house.ask_funds(house.funds, "EUR") == Funds({"IT": 4}, Decimal(3))
    inside.monkeypatch.setenv("DISPATCHER_ACCOUNT_KEY", "wrong")
    with Application(load(), Wording("en")) as application:
        house = application.house(Funds({}, None))
        assert house.ask_funds is not None
        assert house.ask_funds(house.funds, "EUR") == house.funds
    said = [record.msg for record in caplog.records if record.name == "dispatcher.accounts"]
    assert said == ["account_not_asked"]
    inside.monkeypatch.setenv("DISPATCHER_GATEWAY", "simulator")
    with Application(load(), Wording("en")) as application:
        assert application.house(Funds({}, None)).ask_funds is None
