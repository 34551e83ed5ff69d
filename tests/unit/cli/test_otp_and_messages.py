"""One-time codes and the gateway's own view of messages, as a person and a script meet them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher.cli.app import run
from dispatcher.gateway.simulator import Fault, Faults, SimulatorConfig, SimulatorThread
from dispatcher.ledger import Ledger
from tests.integration.processes import TOKEN, Ended, GatewayOutside, number

Gateways = Callable[..., GatewayOutside]

POST = {"Authorization": f"Bearer {TOKEN}"}
SECRET = "s3cret-of-the-callback"


@dataclass
class Here:
    """Commands in this process, with a ledger and a working directory of their own."""

    ledger: Path
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *arguments: str, **env: str) -> Ended:
        with self.monkeypatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            self.capture.readouterr()
            code = run(arguments)
        said = self.capture.readouterr()
        return Ended(code, said.out, said.err)

    def json(self, *arguments: str, **env: str) -> dict[str, Any]:
        ended = self(*arguments, "--json", **env)
        return {**ended.json, "code": ended.code}


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    ledger = tmp_path / "ledger" / "ledger.db"
    monkeypatch.setenv("DISPATCHER_LEDGER", f"sqlite:///{ledger}")
    monkeypatch.setenv("DISPATCHER_RATE_PER_MINUTE", "60000")
    return Here(ledger, capsys, monkeypatch)


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateways]:
    with ExitStack() as stack:

        def start(**config: Any) -> GatewayOutside:
            values = {"token": TOKEN, "requests_per_minute": None, **config}
            thread = stack.enter_context(SimulatorThread(SimulatorConfig(**values)))
            monkeypatch.setenv("DISPATCHER_GATEWAY", thread.url)
            monkeypatch.setenv("DISPATCHER_TOKEN", TOKEN)
            return GatewayOutside(thread)

        yield start


@pytest.fixture
def gateway(gateways: Gateways) -> GatewayOutside:
    return gateways()


def send_text(gateway: GatewayOutside, recipient: str, text: str) -> str:
    callback = {"url": "http://127.0.0.1:9/", "headers": {"X-Secret": SECRET}}
    body = {"recipient": recipient, "message": text, "sender": "Studio", "callback": callback}
    answer = httpx.post(f"{gateway.url}/IT-messages", headers=POST, json=body)
    return str(answer.json()["data"]["id"])


# --- codes


def test_a_dry_run_prices_a_code_and_sends_none(cli: Here, gateway: GatewayOutside) -> None:
    tried = cli.json("otp", "send", "312 3400001", "--dry-run", "--length", "6", "--alphanumeric")
    assert (tried["code"], tried["outcome"], tried["dry_run"], tried["otp"]) == (0, "dry_run", True, None)
    assert (tried["recipient"], tried["parts"]) == (number(1), 1)
    assert gateway.accepted() == []
    said = cli("otp", "send", number(1), "-n")
    assert "nothing was sent" in said.out
    # neither counts against the limits
    assert cli("otp", "send", number(1), DISPATCHER_OTP_PER_NUMBER="1 per 1d").code == 0


def test_the_code_is_shown_only_when_asked_for(cli: Here, gateway: GatewayOutside) -> None:
    said = [
        cli("otp", "send", number(1), "--alphanumeric", "--length", "10", *more, DISPATCHER_LOG="debug")
        for more in ((), ("--json",), ("--show-code",), ("--show-code", "--json"))
    ]
    codes = [re.findall(r"[A-Z0-9]{10}", message.message)[0] for message in gateway.accepted()]
    assert len(codes) == 4
    for code, ended in zip(codes[:2], said[:2], strict=True):
        assert code not in ended.out + ended.err
    assert codes[2] in said[2].out
    assert said[3].json["otp"] == codes[3]
    assert codes[3] not in json.dumps({**said[3].json, "otp": None})
    for ended in said:
        logged = "\n".join(line for line in ended.err.splitlines() if line.startswith("20"))
        assert not any(code in logged for code in codes)
        assert number(1) not in logged


def test_the_gateway_and_the_price_are_said_before(cli: Here, gateway: GatewayOutside) -> None:
    book = 'currency = "EUR"\n[[price]]\nroute = "WW"\nper_part = "0.09"\n'
    Path("prices.toml").write_text(book, encoding="utf-8")
    known = cli("otp", "send", number(1), DISPATCHER_PRICES="prices.toml")
    assert gateway.url in known.out
    assert f"A code to {number(1)} costs 0.09 EUR a part." in known.out
    assert "not known before" in cli("otp", "send", number(1)).out


@pytest.mark.parametrize(
    ("setting", "value", "recipients", "code"),
    [
        ("OTP_PER_NUMBER", "2 per 1h", (1, 1, 1), "otp_too_many_to_number"),
        ("OTP_PER_PREFIX", "2 per 10m", (1, 2, 3), "otp_too_many_to_range"),
    ],
)
def test_limits_against_pumping(
    cli: Here, gateway: GatewayOutside, setting: str, value: str, recipients: tuple[int, ...], code: str
) -> None:
    env = {f"DISPATCHER_{setting}": value}
    assert [cli("otp", "send", number(n), **env).code for n in recipients[:2]] == [0, 0]
    refused = cli("otp", "send", number(recipients[2]), "--json", **env)
    assert (refused.code, refused.error["code"]) == (2, code)
    assert number(recipients[2]) not in refused.out
    assert len(gateway.accepted()) == 2
    assert cli("otp", "send", number(recipients[2]), **{f"DISPATCHER_{setting}": "none"}).code == 0


@pytest.mark.parametrize("value", ["many", "5", "0 per 1h", "5 per 1h,", "5 per 60d", "5 per year"])
def test_limits_that_are_none(cli: Here, value: str) -> None:
    refused = cli("otp", "send", number(1), "--json", DISPATCHER_OTP_PER_PREFIX=value)
    assert refused.code == 2
    assert refused.error["code"] in ("otp_limits", "timing_span")


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.RESET_AFTER, Fault.ERROR_BEFORE])
def test_a_lost_answer_is_told_as_one(cli: Here, gateway: GatewayOutside, fault: Fault) -> None:
    gateway.simulator.set_faults(Faults(rates={fault: 1}))
    lost = cli("otp", "send", number(1), "--json", "--show-code")
    assert (lost.code, lost.json["outcome"], lost.json["id"], lost.json["otp"]) == (1, "in_doubt", None, None)
    assert "It may have been" in lost.err
    received = len(gateway.received())
    assert received == (0 if fault is Fault.ERROR_BEFORE else 1)
    gateway.simulator.set_faults(Faults())
    again = cli("otp", "send", number(1), "--json", DISPATCHER_OTP_PER_NUMBER="1 per 1h")
    assert again.error["code"] == "otp_too_many_to_number"  # nobody knows, so it counts
    assert len(gateway.received()) == received


def test_a_stopped_account_gets_no_code(cli: Here, gateway: GatewayOutside) -> None:
    assert cli("otp", "send", number(1)).code == 0
    ledger = Ledger.open(f"sqlite:///{cli.ledger}")
    ledger.halts.stop(gateway.url, None, "account_blocklisted", datetime.now(UTC))
    ledger.dispose()
    refused = cli("otp", "send", number(2), "--json")
    assert (refused.code, refused.error["code"]) == (4, "otp_halted")
    assert len(gateway.received()) == 1
    assert "questo account è fermo" in cli("otp", "send", number(2), "--lang", "it").err


# --- messages


@pytest.fixture
def listed(cli: Here, gateway: GatewayOutside) -> dict[str, str]:
    """Messages by what is special about them."""
    sent = {
        "first": send_text(gateway, number(1), "Hello."),
        "formula": send_text(gateway, number(2), '=HYPERLINK("http://x.example","a, b")'),
        "control": send_text(gateway, number(1), "Bell\u001b[2J\nand more"),
    }
    assert cli("otp", "send", number(3), "--length", "8").code == 0
    return {**sent, "code": gateway.accepted()[-1].id}


def ids(cli: Here, *flags: str) -> list[str]:
    return [message["id"] for message in cli.json("messages", "list", *flags)["messages"]]


def test_messages_are_filtered(cli: Here, gateway: GatewayOutside, listed: dict[str, str]) -> None:
    newest_first = [listed[name] for name in ("code", "control", "formula", "first")]
    assert ids(cli) == newest_first
    assert ids(cli, "--limit", "2") == newest_first[:2]
    local = number(1).removeprefix("+39")
    for written in (number(1), f"{local[:3]} {local[3:]}", f"0039{local}"):
        assert ids(cli, "--to", written) == [listed["control"], listed["first"]]
    today = datetime.now(UTC).date()
    assert ids(cli, "--since", f"{today - timedelta(days=2)}", "--until", f"{today + timedelta(days=1)}")
    assert ids(cli, "--since", f"{today + timedelta(days=2)}") == []
    assert ids(cli, "--until", f"{today - timedelta(days=2)}") == []
    everything = cli.json("messages", "list", "--all")
    assert (everything["complete"], everything["limited"]) == (True, False)
    assert cli.json("messages", "list", "--limit", "1")["limited"] is True
    states = {message["state"] for message in everything["messages"]}
    by_state = [ids(cli, "--state", state.lower()) for state in ("NEW", "PENDING", "DELIVERED", "EXPIRED")]
    assert states <= {"NEW", "PENDING", "DELIVERED", "UNDELIVERABLE", "REJECTED"}
    assert by_state[3] == []


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--state", "GONE"), "message_state"),
        (("--to", "12"), "message_number"),
        (("--since", "yesterday"), "message_moment"),
        (("--until", "31/02/2026"), "message_moment"),
        (("--csv",), "usage_contradiction"),
    ],
)
def test_filters_that_make_no_sense(cli: Here, flags: tuple[str, ...], code: str) -> None:
    refused = cli("messages", "list", *flags, "--json")
    assert (refused.code, refused.error["code"]) == (2, code)


def test_messages_as_csv(cli: Here, listed: dict[str, str]) -> None:
    cut = cli("messages", "list", "--csv", "--limit", "1")
    assert len(cut.out.splitlines()) == 2
    assert "--all" in cut.err
    ended = cli("messages", "list", "--csv")
    lines = list(csv.DictReader(io.StringIO(ended.out)))
    by_id = {line["id"]: line for line in lines}
    assert set(by_id) == set(listed.values())
    assert by_id[listed["formula"]]["text"] == '\'=HYPERLINK("http://x.example","a, b")'
    assert by_id[listed["control"]]["text"] == "Bell\u001b[2J\nand more"
    assert by_id[listed["first"]]["recipient"] == number(1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", by_id[listed["first"]]["created_at"])
    assert (by_id[listed["code"]]["is_code"], by_id[listed["first"]]["is_code"]) == ("true", "false")
    assert "Gateway" not in ended.out


def test_what_is_shown_holds_no_secret(cli: Here, gateway: GatewayOutside, listed: dict[str, str]) -> None:
    code = re.findall(r"\d{8}", gateway.accepted()[-1].message)[0]
    shown = [
        *(cli("messages", "list", *flags) for flags in ((), ("--csv",), ("--json",))),
        *(cli("messages", "show", listed["code"], *flags) for flags in ((), ("--json",))),
        cli("messages", "show", listed["first"]),
    ]
    for ended in shown:
        assert ended.code == 0
        assert code not in ended.out + ended.err
        assert SECRET not in ended.out + ended.err
        assert TOKEN not in ended.out + ended.err
    assert "••••••••" in shown[0].out
    assert "\u001b" not in shown[0].out
    assert "Hello." in shown[0].out
    assert f"to: {number(1)}" in shown[5].out


def test_a_listing_that_breaks_off_is_still_one_object(cli: Here, gateways: Gateways) -> None:
    gateway = gateways(wallet=10_000)
    with httpx.Client(base_url=gateway.url, headers=POST) as client:
        for n in range(130):
            client.post("/IT-messages", json={"recipient": number(n), "message": "Hello."})
    lost = dict.fromkeys((2, 3, 4), Fault.ERROR_BEFORE)  # a page is asked for three times
    gateway.simulator.set_faults(Faults(schedule=lost, only_sends=False))
    broken = cli("messages", "list", "--all", "--json")
    assert broken.code == 5
    assert broken.json["error"]["code"] == "gateway_failed"
    assert (len(broken.json["messages"]), broken.json["complete"]) == (100, False)
    gateway.simulator.set_faults(Faults(schedule={1: Fault.ERROR_BEFORE}, only_sends=False))
    assert cli("messages", "list", "--all", "--json").error["code"] == "gateway_failed"
    whole = cli.json("messages", "list", "--all")
    assert len({message["id"] for message in whole["messages"]}) == len(whole["messages"]) == 130
