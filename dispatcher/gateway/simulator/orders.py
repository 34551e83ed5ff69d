"""A request's body, read and checked: what is asked for, or why it is refused.

The order of the checks is ours: form, sender, recipient, country, parts; content comes last, elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dispatcher.gateway.models import ErrorCode, Route
from dispatcher.gateway.simulator import answers
from dispatcher.gateway.simulator.answers import Refused
from dispatcher.gateway.simulator.numbers import Recipient, mobile
from dispatcher.gateway.simulator.segments import Size, measure

DEFAULT_SENDER = "Openapi"
_SENDER = re.compile(r"[A-Za-z0-9 ]{3,11}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_RETRY = 5


@dataclass(frozen=True, slots=True)
class Order:
    """A message somebody wants sent; every field has passed its check."""

    route: Route
    sender: str
    recipient: Recipient
    text: str
    size: Size
    options: Mapping[str, bool]
    callback: Mapping[str, Any] | None
    otp: Mapping[str, Any] | None = None
    """``otp`` and ``otpOptions`` of a one-time code."""

    @property
    def dry_run(self) -> bool:
        """Checked and priced, not sent."""
        return self.options["dryRun"]


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.  Raises Refused 400 when it is not JSON, 422 when it is no object."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise answers.unreadable() from error
    if not isinstance(data, dict):
        raise answers.invalid("body", "a JSON object")
    return data


def asks_dry_run(data: Mapping[str, Any]) -> bool:
    """Whether a body asks for a dry run, whatever else is wrong with it."""
    options = data.get("options")
    return isinstance(options, Mapping) and options.get("dryRun") is True


def read_order(route: Route, data: Mapping[str, Any]) -> Order:
    """The message a send asks for.  Raises Refused."""
    options, callback = read_options(data.get("options")), read_callback(data.get("callback"))
    text = _required_text(data, "message")
    number = _required_text(data, "recipient")
    sender = read_sender(data.get("sender"))
    recipient = read_recipient(number)
    if route is not Route.WW and recipient.country != route.value:
        raise Refused(422, ErrorCode.WRONG_COUNTRY, f"This call is for numbers of {route.value}")
    size = measure(text)
    if options["failOnMultipleMessages"] and size.parts > 1:
        raise Refused(422, answers.MULTIPLE_PARTS, f"The text needs {size.parts} parts")
    return Order(route, sender, recipient, text, size, options, callback)


def read_sender(value: object) -> str:
    """The alias in force.  Null and empty silently become the provider's default."""
    if value is None or value == "":
        return DEFAULT_SENDER
    if not isinstance(value, str):
        raise answers.invalid("sender", "a string or null")
    if not _SENDER.fullmatch(value) or not value.strip():
        raise Refused(422, ErrorCode.SENDER_LENGTH, "A sender has 3 to 11 letters, digits and spaces")
    if value.replace(" ", "").isdigit():
        raise Refused(422, ErrorCode.SENDER_NUMERIC, "A sender is not digits only")
    return value


def read_recipient(value: str) -> Recipient:
    """The mobile number.  Raises Refused 2011."""
    recipient = mobile(value)
    if recipient is None:
        raise Refused(422, ErrorCode.RECIPIENT, "Not a mobile number in E.164")
    return recipient


def read_options(value: object) -> dict[str, bool]:
    """Both options, their defaults filled in."""
    given = {} if value is None else value
    if not isinstance(given, Mapping):
        raise answers.invalid("options", "an object")
    options = {}
    for name in ("dryRun", "failOnMultipleMessages"):
        flag = given.get(name)
        if not isinstance(flag, bool | None):
            raise answers.invalid(f"options.{name}", "true or false")
        options[name] = bool(flag)
    return options


def read_callback(value: object) -> dict[str, Any] | None:
    """The callback with its defaults filled in."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise answers.invalid("callback", "an object")
    defaults = {"method": "JSON", "field": "data", "retry": 0}
    callback = {**defaults, **{name: entry for name, entry in value.items() if entry is not None}}
    for name, holds, expected in _callback_checks(callback):
        if not holds:
            raise answers.invalid(f"callback.{name}", expected)
    return callback


def _callback_checks(callback: Mapping[str, Any]) -> list[tuple[str, bool, str]]:
    retry = callback["retry"]
    return [
        ("url", _is_url(callback.get("url")), "an http or https address"),
        ("method", callback["method"] in ("JSON", "POST"), "JSON or POST"),
        ("field", isinstance(callback["field"], str) and callback["field"] != "", "a name"),
        ("retry", type(retry) is int and 0 <= retry <= _MAX_RETRY, f"a whole number from 0 to {_MAX_RETRY}"),
        ("headers", _are_headers(callback.get("headers", {})), "an object of strings"),
        ("custom", isinstance(callback.get("custom", {}), Mapping), "an object"),
    ]


def _is_url(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        address = urlsplit(value)
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.hostname)


def _are_headers(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        _HEADER_NAME.fullmatch(name) and isinstance(entry, str) and not re.search(r"[\r\n\0]", entry)
        for name, entry in value.items()
    )


def _required_text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise answers.invalid(name, "a text")
    return value
