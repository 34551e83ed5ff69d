"""``account`` from the outside: over real HTTP, with the exit codes that scripts see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dispatcher.cli.app import run
from dispatcher.gateway.models import Route
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.wording import LANGUAGES

Capture = pytest.CaptureFixture[str]
TOKEN = "sending-token"
KEY = "k3y-never-shown"
END = datetime(2031, 12, 5, tzinfo=UTC)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatorThread]:
    config = SimulatorConfig(
        token=TOKEN,
        account_email="ann@clinic.example",
        account_key=KEY,
        wallet=Decimal("12.34"),
        bundles={Route.IT: 4_500, Route.WW: 0},
        bundles_end=END,
    )
    with SimulatorThread(config) as stand_in:
        credentials(monkeypatch, stand_in.url)
        yield stand_in


def credentials(monkeypatch: pytest.MonkeyPatch, url: str, key: str = KEY, token: str = TOKEN) -> None:
    monkeypatch.setenv("DISPATCHER_GATEWAY", url)
    monkeypatch.setenv("DISPATCHER_TOKEN", token)
    monkeypatch.setenv("OPENAPI_USERNAME", "ann@clinic.example")
    monkeypatch.setenv("DISPATCHER_ACCOUNT_KEY", key)


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(("language", "shown"), [("en", "4,500"), ("it", "4.500"), ("es", "4.500")])
def test_what_a_person_sees(capsys: Capture, language: str, shown: str) -> None:
    assert run(["account", "--lang", language]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert ("12.34 EUR" if language == "en" else "12,34 EUR") in out
    assert shown in out
    assert "2031-12-05" in out
    assert "POST:sms.openapi.com/WW-messages" in out
    assert KEY not in out
    assert TOKEN not in out


@pytest.mark.usefixtures("gateway")
def test_what_a_script_reads(capsys: Capture) -> None:
    assert run(["account", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["wallet"], document["currency"]) == ("12.34", "EUR")
    assert [(one["route"], one["parts_left"], one["active"]) for one in document["bundles"]] == [
        ("IT", 4_500, True),
        ("WW", 0, True),
    ]
    scopes = {one["scope"]: one for one in document["token"]["scopes"]}
    assert scopes["POST:sms.openapi.com/IT-messages"]["token"] is True
    assert scopes["POST:sms.openapi.com/IT-messages"]["prices"] == {"it-messages": "0.045"}


def test_a_token_of_another_account_is_said(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, gateway: SimulatorThread
) -> None:
    credentials(monkeypatch, gateway.url, token="of-somebody-else")
    assert run(["account", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["token"] is None
    assert "another account" in err


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_credentials_the_settings_are_named(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("DISPATCHER_GATEWAY", "sandbox")
    monkeypatch.setenv("DISPATCHER_TOKEN", TOKEN)
    assert run(["account", "--lang", language]) == 2
    shown = capsys.readouterr().err
    assert "DISPATCHER_ACCOUNT_EMAIL" in shown
    assert "DISPATCHER_ACCOUNT_KEY" in shown


def test_a_wrong_key_ends_with_a_clear_error(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, gateway: SimulatorThread
) -> None:
    credentials(monkeypatch, gateway.url, key="wrong-key")
    assert run(["account", "--json"]) == 4
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == "account_refused"
    assert "wrong-key" not in out + err


def test_nobody_at_home_ends_with_exit_five(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatorThread(SimulatorConfig()) as stand_in:
        url = stand_in.url
    credentials(monkeypatch, url)
    assert run(["account", "--json"]) == 5
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "account_not_reached"


def test_the_account_may_live_at_an_address_of_its_own(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, gateway: SimulatorThread
) -> None:
    with SimulatorThread(SimulatorConfig()) as only_messages:
        credentials(monkeypatch, only_messages.url)
        monkeypatch.setenv("DISPATCHER_ACCOUNT_URL", gateway.url)
        assert run(["account", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["wallet"] == "12.34"


def test_the_embedded_simulator_has_an_account_too(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_ACCOUNT_KEY", KEY)  # a real key beside it is neither needed nor used
    assert run(["account", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["currency"] == "EUR"
