"""What a person reads on the screen, in each language: what it says is so, and says what it means."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dispatcher.gateway.models import Route
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.wording import LANGUAGES, Wording
from tests.integration.inside import Inside
from tests.integration.processes import TOKEN, GatewayOutside, people, write_rows

Gateways = Callable[..., GatewayOutside]
LONDON, PARIS = "+447400123456", "+33612345678"
languages = pytest.mark.parametrize("lang", LANGUAGES)
# where a campaign has to be run for it: one language every time, the others in the long tests
languages_of_runs = pytest.mark.parametrize(
    "lang", ["it", *(pytest.param(other, marks=pytest.mark.long) for other in ("en", "es"))]
)


@pytest.fixture
def starting(inside: Inside) -> Iterator[Gateways]:
    """Starts a gateway that nobody has prices of."""
    with ExitStack() as stack:

        def start(**config: Any) -> GatewayOutside:
            values = {"token": TOKEN, "requests_per_minute": None, **config}
            thread = stack.enter_context(SimulatorThread(SimulatorConfig(**values)))
            inside.set({"DISPATCHER_GATEWAY": thread.url, "DISPATCHER_TOKEN": TOKEN})
            inside.set({"DISPATCHER_SENDER": "ClinicaSol"})
            return GatewayOutside(thread)

        yield start


def file_of(inside: Inside, rows: list[tuple[str, str]]) -> Path:
    return write_rows(inside.folder / "people.csv", rows)


def amounts(text: str) -> list[str]:
    return re.findall(r"\d[\d.,]* EUR", text)


# --- clocks


@pytest.mark.parametrize(
    ("lang", "machine", "setting", "clock"),
    [
        ("en", "Asia/Tokyo", None, "JST"),
        ("it", "Asia/Tokyo", "Asia/Kolkata", "IST"),
        ("es", "Nowhere/Atall", "Asia/Kolkata", "IST"),
    ],
)
def test_every_time_is_on_one_clock_that_is_named(
    inside: Inside, starting: Gateways, lang: str, machine: str, setting: str | None, clock: str
) -> None:
    starting(final_after=(86_400.0, 86_400.0))
    inside.set({"TZ": machine, "DISPATCHER_LANG": lang})
    if setting:
        inside.set({"DISPATCHER_TIMEZONE": setting})
    file_of(inside, people(2))
    assert inside("run", "people.csv", "--yes").code == 0
    for said in (inside("status"), inside("status", "1")):
        assert re.search(rf"\d\d:\d\d {clock}", said.out)
    zone = setting or machine
    assert zone in inside("messages", "list").out
    message = inside.json("messages", "list")["messages"][0]["id"]
    assert f"({zone})" in inside("messages", "show", message).out
    assert inside("purge", "--older-than", "9d", "--dry-run").out.count(clock) == 1
    later = inside("run", "people.csv", "--yes", "--again", "--send-at", "2030-01-02 09:00", "--dry-run")
    assert f"({zone})" in later.out


# --- long lists


@languages_of_runs
def test_rows_that_are_not_shown_are_counted(inside: Inside, starting: Gateways, lang: str) -> None:
    starting()
    file_of(inside, [*people(2), *((f"+39 06 {n}", "Ciao") for n in range(13))])
    inside("run", "people.csv", "--yes")
    shown = inside("status", "1", "--lang", lang).out
    problems = [
        line
        for line in shown.splitlines()
        if line.startswith(Wording(lang)("status.problem", row=0, state="", reason="").split("0")[0])
    ]
    assert len(problems) == 10
    assert Wording(lang).count("status.more_problems", 3) in shown


# --- money


@languages_of_runs
def test_a_wallet_said_to_be_too_small_holds_the_campaign(
    inside: Inside, starting: Gateways, lang: str
) -> None:
    gateway = starting()
    (inside.folder / "prices.toml").write_text('[[price]]\nroute = "IT"\nper_part = 0.05\n')
    inside.set({"DISPATCHER_PRICES": "prices.toml", "DISPATCHER_LANG": lang})
    file_of(inside, people(4))
    held = inside("run", "people.csv", "--yes", "--wallet", "0.15")
    assert held.code == 4
    missing = Wording(lang).money(Decimal("0.05"), "EUR")
    assert held.out.count(missing) >= 2  # in the plan, and where it ends
    assert gateway.accepted() == []
    asked = inside.json("resume", "1", "--yes", "--wallet", "0.19")
    assert (asked["code"], asked["reason"], asked["missing_credit"]) == (4, "not_enough_credit", "0.01")
    assert inside.json("resume", "1", "--yes", "--wallet", "0.20")["code"] == 0
    assert len(gateway.accepted()) == 4


def test_who_goes_on_need_not_name_the_bundles_again(inside: Inside, starting: Gateways) -> None:
    gateway = starting()
    (inside.folder / "prices.toml").write_text('[[price]]\nroute = "IT"\nper_part = 0.05\n')
    inside.set({"DISPATCHER_PRICES": "prices.toml", "DISPATCHER_WALLET": "0.04"})
    file_of(inside, people(4))
    held = inside.json("run", "people.csv", "--yes", "--bundle", "IT=3")
    assert (held["code"], held["missing_credit"]) == (4, "0.01")
    held = inside.json("resume", "1", "--yes")
    assert (held["code"], held["missing_credit"]) == (4, "0.01")
    assert gateway.accepted() == []
    assert inside.json("resume", "1", "--yes", "--wallet", "0.05")["code"] == 0
    assert len(gateway.accepted()) == 4


@languages_of_runs
def test_what_the_dry_runs_named_stands_in_the_question(
    inside: Inside, starting: Gateways, lang: str
) -> None:
    words = Wording(lang)
    starting(prices={Route.IT: Decimal("0.07")})
    file_of(inside, people(3))
    said = inside("run", "people.csv", "--yes", "--lang", lang).out
    (question,) = [line for line in said.splitlines() if line.endswith("?")]
    assert words("run.price_by_dry_runs", cost=words.money(Decimal("0.21"), "EUR")) in question
    assert words("run.unknown_price") not in said


@languages_of_runs
def test_a_price_the_dry_runs_named_for_some_leaves_the_others_open(
    inside: Inside, starting: Gateways, lang: str
) -> None:
    words = Wording(lang)
    starting(prices={Route.IT: Decimal("0.07")}, ww_prices={"GB": Decimal("0.09"), "FR": Decimal("0.09")})
    # one dry run of a text speaks for the country of the number it was made with, not for the other one
    file_of(inside, [*people(3), (LONDON, "Hello"), (PARIS, "Hello")])
    said = inside("run", "people.csv", "--yes", "--lang", lang).out
    (question,) = [line for line in said.splitlines() if line.endswith("?")]
    assert amounts(question) == [words.money(Decimal("0.30"), "EUR")]
    assert words.count("plan.unpriced", 1) in question


def test_after_a_canary_the_question_names_the_price_of_the_rest(inside: Inside, starting: Gateways) -> None:
    soon = {"pending_after": 0.0, "final_after": (0.0, 0.0)}
    starting(prices={Route.IT: Decimal("0.07")}, undeliverable_rate=1.0, **soon)
    file_of(inside, people(4))
    held = inside("run", "people.csv", "--yes", "--canary", "1", "--canary-wait", "30s")
    assert held.code == 4
    said = inside("resume", "1", "--yes", "--lang", "it").out
    (question,) = [line for line in said.splitlines() if line.endswith("?")]
    words = Wording("it")
    assert words("run.price_by_dry_runs", cost=words.money(Decimal("0.21"), "EUR")) in question


@languages_of_runs
def test_the_most_that_it_may_cost_explains_itself(inside: Inside, starting: Gateways, lang: str) -> None:
    words = Wording(lang)
    starting(wallet=Decimal(100), ww_price_delay=0.0)
    inside.set({"DISPATCHER_ACCOUNT_EMAIL": "simulator", "DISPATCHER_ACCOUNT_KEY": "simulator"})
    file_of(inside, [(PARIS, "Bonjour"), (LONDON, "Hello")])
    inside("run", "people.csv", "--yes")  # from now on a price of each country is known
    said = inside("run", "people.csv", "--yes", "--again", "--capped-token", "--lang", lang).out
    one = words.money(Decimal(1), "EUR")
    most = [line for line in said.splitlines() if words.money(Decimal(2), "EUR") in line]
    assert len(most) == 2
    assert all(one in line for line in most)  # why it is so much more than the estimate
    assert "20" in most[0]


@languages_of_runs
def test_a_cost_that_cannot_change_is_not_so_far(inside: Inside, starting: Gateways, lang: str) -> None:
    words = Wording(lang)
    so_far, final = (
        words(f"run.{name}", actual="", estimated="").split(":")[0] for name in ("cost", "final_cost")
    )
    starting(final_after=(0.0, 0.0))
    file_of(inside, people(2))
    ended = inside("run", "people.csv", "--yes", "--wait-delivery", "60s", "--lang", lang).out
    assert any(line.startswith(f"{final}:") for line in ended.splitlines())
    assert so_far not in ended


@languages
def test_a_code_is_priced_once(inside: Inside, starting: Gateways, lang: str) -> None:
    starting()
    tried = inside("otp", "send", LONDON, "--dry-run", "--lang", lang)
    (line,) = [line for line in tried.out.splitlines() if LONDON in line]
    assert len(amounts(line)) == 1


@languages_of_runs
def test_a_message_shows_its_price_with_its_currency(inside: Inside, starting: Gateways, lang: str) -> None:
    gateway = starting()
    file_of(inside, people(1))
    inside("run", "people.csv", "--yes")
    (message,) = gateway.accepted()
    shown = inside("messages", "show", message.id, "--lang", lang).out
    assert len(amounts(shown)) == 2  # of a part, of all
    assert "EUR" in inside("messages", "list", "--lang", lang).out


# --- ports


@languages
@pytest.mark.parametrize("command", [("simulator",), ("serve", "--gateway", "simulator")])
def test_a_busy_port_is_named_and_a_free_one_proposed(
    inside: Inside, lang: str, command: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = inside(*command, "--port", str(port), "--lang", lang)
        assert ended.code == 2
        message, _, hint = ended.err.splitlines()[-3:]
        assert str(port) in message
        assert "Errno" not in ended.err
        free = int(re.findall(r"--port (\d+)", hint)[0])
        assert free != port
        with socket.create_server(("127.0.0.1", free)):
            pass
