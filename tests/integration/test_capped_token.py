"""``run --capped-token``: the provider itself keeps a campaign to what was approved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher.accounts import AccountDesk
from dispatcher.application import Application
from dispatcher.campaign.prices import Funds
from dispatcher.gateway.account import Account
from dispatcher.gateway.models import Route
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.intake.own_token import arm
from dispatcher.ledger import CampaignState, Ledger
from dispatcher.settings import load
from dispatcher.wording import Wording
from tests.integration.inside import Inside
from tests.integration.processes import TOKEN, Cli, GatewayOutside, once_each, people, write_rows

Gateways = Callable[..., GatewayOutside]
PRICES = '[[price]]\nroute = "IT"\nper_part = 0.045\n[[price]]\nroute = "WW"\nper_part = 0.05\n'
CREDENTIALS = {"DISPATCHER_ACCOUNT_EMAIL": "simulator", "DISPATCHER_ACCOUNT_KEY": "simulator"}
BASIC = httpx.BasicAuth("simulator", "simulator")
LONDON = "+447400123456"


@pytest.fixture
def starting(inside: Inside) -> Iterator[Gateways]:
    """Starts a gateway whose account may be asked, for a file with prices beside it."""
    (inside.folder / "prices.toml").write_text(PRICES)
    inside.set({**CREDENTIALS, "DISPATCHER_PRICES": "prices.toml", "DISPATCHER_SENDER": "ClinicaSol"})
    with ExitStack() as stack:

        def start(**config: Any) -> GatewayOutside:
            values = {"token": TOKEN, "requests_per_minute": None, **config}
            thread = stack.enter_context(SimulatorThread(SimulatorConfig(**values)))
            inside.set({"DISPATCHER_GATEWAY": thread.url, "DISPATCHER_TOKEN": TOKEN})
            return GatewayOutside(thread)

        yield start


def file_of(inside: Inside, rows: list[tuple[str, str]]) -> Path:
    return write_rows(inside.folder / "people.csv", rows)


def tokens(gateway: GatewayOutside) -> list[dict[str, Any]]:
    """Those that were made."""
    listed = httpx.get(f"{gateway.url}/tokens", auth=BASIC).json()["data"]
    return [token for token in listed if token["name"].startswith("dispatcher")]


def test_a_campaign_sends_with_its_token_and_leaves_none_behind(inside: Inside, starting: Gateways) -> None:
    gateway = starting()
    rows = people(8)
    file_of(inside, rows)
    done = inside.json("run", "people.csv", "--yes", "--capped-token")
    assert (done["code"], done["state"]) == (0, "finished")
    assert done["capped_token"]["wallet_amount"] == "0.36"
    assert (done["capped_token"]["total_requests"], done["capped_token"]["deleted"]) == (28, True)
    assert gateway.sends() == once_each(rows)
    assert tokens(gateway) == []


def test_an_unknown_worldwide_price_counts_as_the_ledger_counts_it(
    inside: Inside, starting: Gateways
) -> None:
    starting()
    (inside.folder / "prices.toml").write_text(PRICES.partition('[[price]]\nroute = "WW"')[0])
    file_of(inside, [*people(2), (LONDON, "Hello")])
    done = inside.json("run", "people.csv", "--yes", "--capped-token", "--preflight", "none")
    assert done["capped_token"]["wallet_amount"] == "1.09"


def test_with_a_limit_it_is_that_limit(inside: Inside, starting: Gateways) -> None:
    starting()
    file_of(inside, people(2))
    began = datetime.now(UTC)
    done = inside.json("run", "people.csv", "--yes", "--capped-token", "--max-cost", "0.5")
    assert done["capped_token"]["wallet_amount"] == "0.5"
    # a low limit, windows or a pause keep a campaign busy for days
    assert datetime.fromisoformat(done["capped_token"]["expires_at"]) > began + timedelta(days=13)


def test_what_bundles_pay_needs_no_amount(inside: Inside, starting: Gateways) -> None:
    gateway = starting(bundles={Route.IT: 5})
    file_of(inside, people(2))
    done = inside.json("run", "people.csv", "--yes", "--capped-token")
    assert (done["code"], done["capped_token"]["wallet_amount"]) == (0, "0.01")
    assert len(gateway.accepted()) == 2


@pytest.mark.parametrize("status", [402, 403])
def test_the_limit_stops_what_the_price_book_did_not_foresee(
    inside: Inside, starting: Gateways, status: int
) -> None:
    gateway = starting(prices={Route.IT: Decimal("0.09")}, token_limit_status=status)
    rows = people(6)
    file_of(inside, rows)
    # no dry run says the price, and no limit of ours is in force: only the provider's is left
    ended = inside("run", "people.csv", "--yes", "--capped-token", "--preflight", "none")
    assert ended.code == 4
    assert "its limit is reached" in ended.out
    assert "That token has taken 0.27 EUR" in ended.out
    assert len(gateway.accepted()) == 3
    (token,) = tokens(gateway)
    assert token["limits"]["walletAmount"] == 0.27
    assert token["scopes"] == ["POST:sms.openapi.com/IT-messages"]

    done = inside.json("resume", "1", "--yes", "--max-cost", "5")
    assert (done["code"], done["state"]) == (0, "finished")
    assert done["capped_token"]["wallet_amount"] == "5"
    assert gateway.sends() == once_each(rows)
    assert tokens(gateway) == []


def test_a_halted_campaign_that_is_cancelled_leaves_no_token(inside: Inside, starting: Gateways) -> None:
    gateway = starting(prices={Route.IT: Decimal("0.09")})
    file_of(inside, people(4))
    assert inside("run", "people.csv", "--yes", "--capped-token", "--preflight", "none").code == 4
    assert len(tokens(gateway)) == 1
    assert inside("cancel", "1").code == 0
    assert tokens(gateway) == []


def test_one_that_was_deleted_meanwhile_is_made_again(inside: Inside, starting: Gateways) -> None:
    gateway = starting(prices={Route.IT: Decimal("0.09")})
    rows = people(4)
    file_of(inside, rows)
    assert inside("run", "people.csv", "--yes", "--capped-token", "--preflight", "none").code == 4
    (token,) = tokens(gateway)
    assert httpx.delete(f"{gateway.url}/tokens/{token['token']}", auth=BASIC).status_code == 200
    done = inside.json("resume", "1", "--yes", "--max-cost", "5")
    assert (done["code"], done["state"]) == (0, "finished")
    # what was sent with the first one is not the second one's to spend
    assert Decimal(done["capped_token"]["wallet_amount"]) == Decimal(5) - 2 * Decimal("0.09")
    assert gateway.sends() == once_each(rows)


def test_without_credentials_nothing_is_planned(inside: Inside, starting: Gateways) -> None:
    gateway = starting()
    for name in CREDENTIALS:
        inside.monkeypatch.delenv(name)
    file_of(inside, people(2))
    ended = inside.json("run", "people.csv", "--yes", "--capped-token")
    assert (ended["code"], ended["error"]["code"]) == (2, "settings_account_missing")
    assert gateway.received() == []


@pytest.mark.parametrize(
    ("config", "code", "error"),
    [
        ({"account_status": 503}, 5, "account_failed"),
        ({"limits_tokens": False}, 4, "account_token_not_capped"),
        ({"scopes_disabled": frozenset({"IT-messages"})}, 4, "account_token_not_made"),
    ],
)
def test_no_token_no_send(
    inside: Inside, starting: Gateways, config: dict[str, Any], code: int, error: str
) -> None:
    gateway = starting(**config)
    file_of(inside, people(2))
    ended = inside.json("run", "people.csv", "--yes", "--capped-token")
    assert (ended["code"], ended["error"]["code"]) == (code, error)
    assert gateway.accepted() == []
    assert inside.json("status", "1")["state"] == "planned"
    if not config.get("account_status"):
        assert tokens(gateway) == []


def test_what_a_killed_process_left_at_the_provider_goes_first(inside: Inside, starting: Gateways) -> None:
    gateway = starting()
    url = f"sqlite:///{inside.folder.parent / 'ledger' / 'ledger.db'}"
    ledger = Ledger.open(url, create=True)
    name = f"dispatcher {ledger.id} campaign 1"
    ledger.dispose()
    body = {"scopes": ["POST:sms.openapi.com/IT-messages"], "name": name}
    assert httpx.post(f"{gateway.url}/tokens", json=body, auth=BASIC).status_code == 200
    file_of(inside, people(2))
    assert inside.json("run", "people.csv", "--yes", "--capped-token")["code"] == 0
    assert tokens(gateway) == []


class Together:
    """The account, as two see it who both have made a token before either has written it down."""

    def __init__(self, desk: AccountDesk, made: threading.Barrier) -> None:
        self._desk = desk
        self._made: threading.Barrier | None = made

    def ask(self, question: Callable[[Account], Awaitable[Any]]) -> Any:
        answer = self._desk.ask(question)
        made, self._made = self._made, None
        if made is not None:
            made.wait(30)
        return answer


def test_of_two_that_arm_a_campaign_at_once_one_token_is_left(inside: Inside, starting: Gateways) -> None:
    gateway = starting()
    file_of(inside, people(2))
    planned = inside.json("run", "people.csv", "--capped-token")
    assert planned["error"]["code"] == "usage_needs_yes"
    both = threading.Barrier(2)

    def one(_: int) -> None:
        with Application(load({}), Wording("en")) as application:
            desk = application.account()
            assert desk is not None
            house = application.house(Funds({}, None))
            arm(replace(house, account=lambda: Together(desk, both)), 1)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(one, range(2)))
    (left,) = tokens(gateway)
    ledger = Ledger.open(f"sqlite:///{inside.folder.parent / 'ledger' / 'ledger.db'}")
    own = ledger.own_tokens.of(1)
    ledger.dispose()
    assert own is not None
    assert own.token is not None
    assert own.token.get_secret_value() == left["token"]
    assert inside.json("resume", "1", "--yes")["code"] == 0
    assert tokens(gateway) == []


# --- in processes of their own


@pytest.fixture
def outside(cli: Cli, gateways: Gateways) -> GatewayOutside:
    """A gateway for a person's machine whose campaign takes some seconds."""
    (cli.folder / "prices.toml").write_text(PRICES)
    cli.env |= {**CREDENTIALS, "DISPATCHER_PRICES": "prices.toml", "DISPATCHER_SENDER": "ClinicaSol"}
    cli.env |= {"DISPATCHER_RATE_PER_MINUTE": "1200"}
    return gateways()


@pytest.mark.long
def test_the_token_outlives_a_killed_run_and_nothing_shows_it(cli: Cli, outside: GatewayOutside) -> None:
    rows = people(30)
    write_rows(cli.folder / "people.csv", rows)
    running = cli.start("run", "people.csv", "--yes", "--capped-token", DISPATCHER_LOG="debug")
    running.when(lambda: len(outside.accepted()) >= 5)
    running.process.kill()
    said = running.ended().out + running.said
    (token,) = tokens(outside)
    ledger = Ledger.open(f"sqlite:///{cli.ledger}")
    own = ledger.own_tokens.of(1)
    assert own is not None
    assert own.token is not None
    assert own.token.get_secret_value() == token["token"]
    assert token["token"] not in repr(own)

    # rows in doubt keep a campaign open: nobody waits for them here
    ended = cli("run", "people.csv", "--yes", "--no-wait", DISPATCHER_LOG="debug")
    assert ended.code in (0, 1), ended.err
    assert max(outside.sends().values()) == 1
    if ended.code:
        (same,) = tokens(outside)
        assert same["token"] == token["token"]
        assert same["stats"]["walletRequests"] == len(outside.accepted())
        assert cli("cancel", "1").code == 0
    assert token["token"] not in said + ended.out + ended.err
    kept = ledger.own_tokens.of(1)
    assert kept is not None
    assert kept.token is None
    assert all(token["token"] not in str(event.detail) for event in ledger.events.of(1))
    ledger.dispose()
    assert tokens(outside) == []


def test_a_worker_sends_with_it_and_deletes_it(cli: Cli, outside: GatewayOutside) -> None:
    rows = people(8)
    write_rows(cli.folder / "people.csv", rows)
    worker = cli.start("worker")
    ledger = Ledger.open(f"sqlite:///{cli.ledger}", create=True)
    worker.when(lambda: bool(ledger.processes.senders(outside.url, timedelta(hours=1), datetime.now(UTC))))
    left = cli.json("run", "people.csv", "--yes", "--capped-token", "--detach")
    assert left["code"] in (0, 6)
    worker.when(lambda: ledger.queries.campaign(1).state is CampaignState.FINISHED)
    worker.signal(signal.SIGTERM).ended()
    assert outside.sends() == once_each(rows)
    assert tokens(outside) == []
    ledger.dispose()
