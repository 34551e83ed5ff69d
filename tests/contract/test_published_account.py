"""The facts of the published account API, held against the simulator and, if a copy is here, the description."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher.gateway.models import Route
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.target import ACCOUNT_HOSTS

HERE = Path(__file__).parent
FACTS: dict[str, Any] = tomllib.loads((HERE / "account_facts.toml").read_text(encoding="utf-8"))
DESCRIPTION = Path(
    os.environ.get("DISPATCHER_TEST_OAUTH_OPENAPI")
    or HERE.parents[2] / "shared" / "reference" / "oauthv2.openapi.json"
)
JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "object": (dict,),
    "array": (list,),
}  # fmt: skip
SCOPE = "POST:sms.openapi.com/IT-messages"
TOKEN = {"scopes": [SCOPE], "name": "one", "ttl": 60, "limits": {"totalRequests": 5, "walletAmount": 1.5}}


@pytest.fixture
def api() -> Iterator[httpx.Client]:
    with (
        SimulatorThread(SimulatorConfig(bundles={Route.IT: 5})) as stand_in,
        httpx.Client(base_url=stand_in.url, auth=("simulator", "simulator")) as client,
    ):
        yield client


def ask(api: httpx.Client, call: str, body: object = None) -> httpx.Response:
    method, path = call.split(" ")
    return api.request(method, path, json=body)


def check(thing: dict[str, Any], name: str) -> None:
    """Every documented field is there, none besides, each of its type."""
    types = FACTS[name]
    assert thing.keys() == types.keys()
    for field, value in thing.items():
        assert isinstance(value, tuple(kind for one in types[field] for kind in JSON_TYPES[one])), field
        assert isinstance(value, bool) is (types[field] == ["boolean"]), field


def test_every_call_answers_as_described(api: httpx.Client) -> None:
    made = ask(api, "POST /tokens", TOKEN)
    scope = ask(api, "GET /scopes").json()["data"][0]["id"]
    names = {"{token}": made.json()["token"], "{id}": scope}
    for call, status in FACTS["success"].items():
        path = call
        for name, value in names.items():
            path = path.replace(name, value)
        body = {"POST": TOKEN, "PATCH": {"name": "two"}}.get(call.split(" ")[0])
        assert ask(api, path, body).status_code == status, call


def test_wallet_subscriptions_and_scopes_have_the_documented_fields(api: httpx.Client) -> None:
    check(ask(api, "GET /wallet").json()["data"], "wallet")
    for bundle in ask(api, "GET /subscriptions").json()["data"]:
        check(bundle, "subscription")
    for scope in ask(api, "GET /scopes").json()["data"]:
        check(scope, "scope")
        detail = ask(api, f"GET /scopes/{scope['id']}").json()["data"]
        assert {name: detail[name] for name in scope} == scope
        assert all(isinstance(price, float) for price in detail["prices"].values())


def test_tokens_have_the_documented_fields(api: httpx.Client) -> None:
    made = ask(api, "POST /tokens", TOKEN).json()
    listed = ask(api, "GET /tokens").json()["data"]
    for token in (made, ask(api, f"GET /tokens/{made['token']}").json(), *listed):
        check(token, "token")
        check(token["stats"], "stats")
        assert token["limits"].keys() <= FACTS["limits"].keys()
    assert made["limits"] == TOKEN["limits"]
    assert made["scopes"] == TOKEN["scopes"]
    assert made["token"] in {token["token"] for token in listed}


@pytest.mark.parametrize("case", FACTS["refusals"], ids=lambda case: str(case["error"]))
def test_documented_refusals(api: httpx.Client, case: dict[str, Any]) -> None:
    answer = ask(api, case["call"], case["body"])
    assert (answer.status_code, answer.json()["error"]) == (case["status"], case["error"])
    assert (answer.json()["success"], answer.json()["data"]) == (False, None)


@pytest.mark.parametrize("case", FACTS["missing"], ids=lambda case: str(case["call"]))
def test_what_is_not_there(api: httpx.Client, case: dict[str, Any]) -> None:
    answer = ask(api, case["call"], {})
    assert (answer.status_code, answer.json()["error"]) == (case["status"], case["error"])


def test_our_own_hosts_are_those() -> None:
    assert FACTS["hosts"] == ACCOUNT_HOSTS


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    if not DESCRIPTION.is_file():
        pytest.skip("no copy of the published description here: name one in DISPATCHER_TEST_OAUTH_OPENAPI")
    loaded: dict[str, Any] = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    return loaded


def test_the_facts_are_those_of_the_description(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    published = {
        f"{method.upper()} {path}": min(int(status) for status in call["responses"])
        for path, calls in description["paths"].items()
        for method, call in calls.items()
    }
    assert FACTS["success"].items() <= published.items()
    assert sorted(FACTS["hosts"].values()) == sorted(server["url"] for server in description["servers"])
    for name, schema in (
        ("wallet", "Wallet"),
        ("subscription", "SubscriptionListElement"),
        ("scope", "UserScope"),
        ("token", "TokenDetail"),
        ("limits", "TokenLimits"),
        ("stats", "TokenStats"),
    ):
        fields = schemas[schema]["properties"]
        assert FACTS[name] == {field: [value.get("type", "object")] for field, value in fields.items()}, name
    assert FACTS["request"]["required"] == schemas["TokenCreate"]["required"]
    assert FACTS["request"]["fields"] == sorted(schemas["TokenCreate"]["properties"])
    for case in (*FACTS["refusals"], *FACTS["missing"]):
        assert (case["status"], case["error"]) in published_errors(description, case["call"]), case["call"]


def published_errors(description: dict[str, Any], call: str) -> set[tuple[int, int]]:
    method, path = call.split(" ")
    known = [one for one in description["paths"] if one.split("{")[0].rstrip("/") == path.rpartition("/0")[0]]
    operation = description["paths"][known[-1] if known else path][method.lower()]
    found = set()
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get("application/json", {})
        examples = [entry["value"] for entry in content.get("examples", {}).values()]
        for example in [*examples, *([content["example"]] if "example" in content else [])]:
            if example.get("error") is not None:
                found.add((int(status), int(example["error"])))
    return found
