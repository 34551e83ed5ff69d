"""Reading what the gateway wrote: JSON with exact money, messages, dates, waiting times.  Nothing here
raises on bad input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NoReturn

from pydantic import ValidationError

from dispatcher.gateway.models import Message

MAX_RETRY_AFTER = 900.0
"""Seconds; whoever asks for more is asked again after these."""

ANSWER_ESSENTIALS = frozenset({"id"})
"""What makes the answer to a send readable: its id proves that the gateway has the message, whatever else
is odd.
"""

LISTING_ESSENTIALS = frozenset({"id", "recipient", "message", "options", "callback", "createdAt"})
"""Fields by which a listed message is matched to a row.  One that cannot be read must not pass as absent."""

_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_DIGITS = re.compile(r"\d{1,9}", re.ASCII)
_NOT_BLOCKLISTED = (None, False, "", "0", "false", "False")


def read_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object of a body, None when it is not one.

    Money keeps its written digits: numbers with a point become Decimal from the text itself.  Pydantic's
    own JSON reader would make a binary float of them first (0.1000000000000000055 and 0.1 become the same
    number).
    """
    try:
        document = _DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, ArithmeticError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# json.loads would make one for every answer
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant)


def read_message(data: object, essentials: frozenset[str] = LISTING_ESSENTIALS) -> Message | None:
    """The message described by ``data``, None when it has no id or one of the ``essentials`` cannot be read.

    Another field that cannot be read (a new state, a price in words) is left out.  A ``blocklisted`` that
    cannot be read counts as true: the cautious reading.
    """
    if not isinstance(data, dict):
        return None
    message: Message | None
    try:
        message = Message.model_validate(data)
    except ValidationError as error:
        message = _without_unreadable(data, _fields(error), essentials)
    return message if message is not None and message.id.strip() else None


def _fields(error: ValidationError) -> frozenset[str]:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return frozenset(str(detail["loc"][0]) for detail in details)


def _without_unreadable(
    data: Mapping[str, Any], unreadable: frozenset[str], essentials: frozenset[str]
) -> Message | None:
    if unreadable & essentials or "id" in unreadable:
        return None
    rest = {name: value for name, value in data.items() if name not in unreadable}
    if "blocklisted" in unreadable:
        rest["blocklisted"] = True
    try:
        return Message.model_validate(rest)
    except ValidationError:
        return None


def error_code(document: Mapping[str, Any] | None) -> int | None:
    """The provider's error code; its presence is what makes an error "in the API's form".

    Digits in quotes are taken too: a forbidden-content code must not be missed for its quotes.
    """
    code = document.get("code") if document else None
    if isinstance(code, str) and _DIGITS.fullmatch(code):
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def says_blocklisted(document: Mapping[str, Any] | None) -> bool:
    """Whether an answer of any kind says that the account is blocklisted, at its top or in its ``data``."""
    if not document:
        return False
    data = document.get("data")
    places = (document, data) if isinstance(data, dict) else (document,)
    return any(place.get("blocklisted") not in _NOT_BLOCKLISTED for place in places)


@lru_cache(maxsize=64)  # answers of one second bear the same date
def read_date(value: str | None) -> datetime | None:
    """An HTTP date (any of its three forms) as aware UTC, None when there is none or it cannot be read."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait, from either form of ``Retry-After``, between 0 and MAX_RETRY_AFTER; None when not
    given.
    """
    if not value:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER)
    moment = read_date(text)
    return None if moment is None else min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER)
