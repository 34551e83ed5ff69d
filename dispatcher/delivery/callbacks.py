"""What was posted to us, read: the message, in whichever of the provider's ways it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from dispatcher.gateway.answers import read_message, read_object, says_blocklisted
from dispatcher.gateway.models import Message
from dispatcher.sending.listing import row_key

FIELD = "data"  # the provider's default
MOST_FIELDS = 10
LONGEST_NAME = 200
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class Callback:
    """A message as it was posted.  ``row_key`` is what it says it is about, None when it does not say."""

    message: Message
    row_key: str | None
    blocklisted: bool


async def read_callback(headers: Headers, body: bytes) -> Callback | None:
    """The callback in a request's body; None when it cannot be read as one.

    JSON, bare or as ``{"data": …}``, or a form whose field ``data`` holds it.  The field's name can be chosen when a
    callback is asked for: where there is a single field, it is that one, whatever it is called.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() in _FORMS:
        field = _field(await _form(headers, body))
        if field is None:
            return None
        body = field.encode(errors="replace")
    return _callback(read_object(body))


def _callback(document: dict[str, Any] | None) -> Callback | None:
    if document is None:
        return None
    data = document.get("data")
    message = read_message(data if isinstance(data, dict) else document)
    if message is None or not is_plain(message.id):
        return None
    return Callback(message, row_key(message), says_blocklisted(document))


def is_plain(name: str) -> bool:
    """Whether a name from outside is one that a ledger can keep: half of a surrogate pair is JSON, too."""
    return len(name) <= LONGEST_NAME and name.isprintable()


async def _form(headers: Headers, body: bytes) -> FormData:
    async def whole() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    request = Request({"type": "http", "method": "POST", "headers": headers.raw}, whole)
    try:
        return await request.form(max_files=0, max_fields=MOST_FIELDS)
    except (MultiPartException, FormParserError):
        return FormData()


def _field(form: FormData) -> str | None:
    fields = form.multi_items()
    chosen = [value for name, value in fields if name == FIELD] or [value for _, value in fields]
    return chosen[0] if len(chosen) == 1 and isinstance(chosen[0], str) else None
