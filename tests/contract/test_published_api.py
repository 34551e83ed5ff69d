"""The facts of the published API, held against the simulator and, if a copy is here, the description."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher.gateway.models import ErrorCode, MessageState
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread

HERE = Path(__file__).parent
FACTS: dict[str, Any] = tomllib.loads((HERE / "facts.toml").read_text(encoding="utf-8"))
DESCRIPTION = Path(
    os.environ.get("DISPATCHER_TEST_OPENAPI")
    or HERE.parents[2] / "shared" / "reference" / "smsv2.openapi.json"
)
GOOD: dict[str, dict[str, Any]] = {
    "POST /IT-messages": {"recipient": "+393123456789", "message": "Ciao"},
    "POST /ES-messages": {"recipient": "+34612345678", "message": "Hola"},
    "POST /WW-messages": {"recipient": "+447400123456", "message": "Hello"},
    "POST /otp": {"recipient": "+393123456789"},
}
CALLBACK = {"url": "http://127.0.0.1:9/nobody", "headers": {"X-Key": "k"}, "custom": {"row": "r1"}}
JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "object": (dict,),
    "null": (type(None),),
}  # fmt: skip


@pytest.fixture
def api() -> Iterator[httpx.Client]:
    with (
        SimulatorThread(SimulatorConfig()) as stand_in,
        httpx.Client(base_url=stand_in.url, headers={"Authorization": "Bearer simulator"}) as client,
    ):
        yield client


def ask(api: httpx.Client, call: str, body: dict[str, Any] | None = None) -> httpx.Response:
    method, path = call.split(" ")
    return api.request(method, path, json=body)


def is_typed(value: object, names: list[str]) -> bool:
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, JSON_TYPES[name]) for name in names)


def messages_in(api: httpx.Client) -> list[dict[str, Any]]:
    answers = [ask(api, call, {**body, "callback": CALLBACK}).json()["data"] for call, body in GOOD.items()]
    listed = ask(api, "GET /messages").json()["data"]
    one = ask(api, f"GET /messages/{answers[0]['id']}").json()["data"]
    return [*answers, *listed, one]


@pytest.mark.parametrize("call", GOOD)
def test_a_good_send_is_created(api: httpx.Client, call: str) -> None:
    assert ask(api, call, GOOD[call]).status_code == FACTS["success"][call]


def test_every_message_has_the_documented_fields_and_types(api: httpx.Client) -> None:
    seen = messages_in(api)
    for message in seen:
        assert message.keys() <= FACTS["message"].keys()
        wrong = {
            name: value for name, value in message.items() if not is_typed(value, FACTS["message"][name])
        }
        assert wrong == {}
        assert message["state"] in FACTS["states"]["names"]
        assert message["encoding"] in FACTS["encodings"]["names"]
    codes_only = {"otp", "otpOptions"}
    assert seen[0].keys() == FACTS["message"].keys() - codes_only
    assert seen[3].keys() == FACTS["message"].keys()


@pytest.mark.parametrize("case", FACTS["refusals"], ids=lambda case: f"{case['call']} {case['change']}")
def test_documented_refusals(api: httpx.Client, case: dict[str, Any]) -> None:
    answer = ask(api, case["call"], {**GOOD[case["call"]], **case["change"]})
    assert (answer.status_code, answer.json()["code"]) == (case["status"], case["code"])
    assert is_typed(answer.json()["message"], ["string"])


def test_a_blocked_account_is_refused_from_then_on(api: httpx.Client) -> None:
    ask(api, "POST /IT-messages", {**GOOD["POST /IT-messages"], "message": "FORBIDDENWORD"})
    for call, body in GOOD.items():
        answer = ask(api, call, body)
        assert (answer.status_code, answer.json()["code"]) == tuple(FACTS["blocked_account"].values())


@pytest.mark.parametrize("call", FACTS["success"])
def test_no_call_without_a_token(api: httpx.Client, call: str) -> None:
    api.headers["Authorization"] = "Bearer wrong"
    assert ask(api, call, {}).status_code == 401
    del api.headers["Authorization"]
    assert ask(api, call, {}).status_code == 401


def test_an_unknown_message_is_not_found(api: httpx.Client) -> None:
    assert ask(api, "GET /messages/633aabe3e4a9a0e69811ad7f").status_code == 404


@pytest.mark.parametrize("call", GOOD)
def test_required_fields(api: httpx.Client, call: str) -> None:
    for name in FACTS["required"]["otp" if call == "POST /otp" else "send"]:
        body = {key: value for key, value in GOOD[call].items() if key != name}
        assert ask(api, call, body).status_code == 422
    assert ask(api, call, {**GOOD[call], "callback": {"custom": {}}}).status_code == 422


def test_bounds_hold_on_both_sides(api: httpx.Client) -> None:
    def status(name: str, value: object) -> int:
        if name == "sender":
            return ask(
                api, "POST /IT-messages", {**GOOD["POST /IT-messages"], name: "a" * int(str(value))}
            ).status_code
        change = {"callback": {**CALLBACK, name: value}} if name == "retry" else {name: value}
        return ask(api, "POST /otp", {**GOOD["POST /otp"], **change}).status_code

    for name, (low, high) in FACTS["bounds"].items():
        assert [status(name, value) for value in (low, high)] == [201, 201], name
        assert [status(name, value) for value in (low - 1, high + 1)] == [422, 422], name


def test_defaults_are_filled_in(api: httpx.Client) -> None:
    defaults = FACTS["defaults"]
    sent = ask(api, "POST /IT-messages", {**GOOD["POST /IT-messages"], "callback": CALLBACK}).json()["data"]
    assert sent["sender"] == defaults["sender"]
    assert sent["options"] == {name: defaults[name] for name in ("dryRun", "failOnMultipleMessages")}
    assert sent["callback"] == {**CALLBACK, **{name: defaults[name] for name in ("method", "field", "retry")}}
    otp = ask(api, "POST /otp", GOOD["POST /otp"]).json()["data"]
    assert otp["otpOptions"] == {name: defaults[name] for name in ("length", "alphanumeric", "cacheSeconds")}
    assert len(otp["otp"]) == defaults["length"]


def test_our_own_enums_say_the_same() -> None:
    assert sorted(MessageState) == sorted(FACTS["states"]["names"])
    codes = {value for name, value in vars(ErrorCode).items() if name.isupper()}
    assert codes == {case["code"] for case in FACTS["refusals"]} | {FACTS["blocked_account"]["code"]}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    if not DESCRIPTION.is_file():
        pytest.skip("no copy of the published description here: name one in DISPATCHER_TEST_OPENAPI")
    loaded: dict[str, Any] = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    return loaded


def test_the_facts_are_those_of_the_description(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    send, otp = schemas["SendMessageRequest"], schemas["SendOTPRequest"]
    callback, options = schemas["CallbackOptions"]["properties"], schemas["MessageOptions"]["properties"]
    paging = {
        p["name"]: p["schema"]["default"] for p in description["paths"]["/messages"]["get"]["parameters"]
    }
    assert FACTS["success"] == published_successes(description)
    assert sorted(FACTS["states"]["names"]) == sorted(
        schemas["MessageResponse"]["properties"]["state"]["enum"]
    )
    assert FACTS["encodings"]["names"] == schemas["MessageResponse"]["properties"]["encoding"]["enum"]
    assert FACTS["message"] == published_types(schemas["MessageResponse"]["properties"])
    assert FACTS["required"] == {
        "send": sorted(send["required"]),
        "otp": sorted(otp["required"]),
        "callback": sorted(schemas["CallbackOptions"]["required"]),
    }
    fields = {**otp["properties"], **callback, **options, **send["properties"]}
    published_defaults = {name: field["default"] for name, field in fields.items() if "default" in field}
    assert FACTS["defaults"] == {**published_defaults, **paging}
    assert FACTS["bounds"] == {
        name: bounds for name, field in fields.items() if (bounds := published_bounds(field))
    }
    refusals = {(case["call"], case["status"], case["code"]) for case in FACTS["refusals"]}
    blocked = {(call, *FACTS["blocked_account"].values()) for call in GOOD}
    assert published_refusals(description) <= refusals | blocked | same_on_every_route(refusals)


def published_successes(description: dict[str, Any]) -> dict[str, int]:
    return {
        f"{method.upper()} {path}": min(int(status) for status in call["responses"])
        for path, calls in description["paths"].items()
        for method, call in calls.items()
    }


def published_types(properties: dict[str, Any]) -> dict[str, list[str]]:
    return {
        name: [field.get("type", "object"), *(["null"] if field.get("nullable") else [])]
        for name, field in properties.items()
    }


def published_bounds(field: dict[str, Any]) -> list[int] | None:
    low, high = field.get("minimum", field.get("minLength")), field.get("maximum", field.get("maxLength"))
    return None if high is None else [low, high]


def published_refusals(description: dict[str, Any]) -> set[tuple[str, int, int]]:
    found = set()
    for path, calls in description["paths"].items():
        for status, answer in calls.get("post", {}).get("responses", {}).items():
            content = answer.get("content", {}).get("application/json", {})
            examples = [entry["value"] for entry in content.get("examples", {}).values()]
            for example in [*examples, *([content["example"]] if "example" in content else [])]:
                found.add((f"POST {path}", int(status), example["code"]))
    return found


def same_on_every_route(refusals: set[tuple[str, int, int]]) -> set[tuple[str, int, int]]:
    """2011 stands for every call in the table once; the description repeats it per call."""
    return {
        (call, status, code) for call in GOOD for _, status, code in refusals if code == ErrorCode.RECIPIENT
    }
