"""The Gateway SMS API as six calls; each is exactly one HTTP request.

How fast requests may follow each other is not decided here: every call takes a slot of the pace first, at
the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import httpx
from pydantic import SecretStr

from dispatcher import __version__
from dispatcher.errors import DispatcherError, Halted, Unreachable, UsageError
from dispatcher.gateway.answers import read_date, read_message, read_object
from dispatcher.gateway.connecting import Connected, check_base_url, open_transport
from dispatcher.gateway.models import Message, OtpRequest, Route, SendRequest
from dispatcher.gateway.outcomes import Outcome, Verdict, judge_answer, judge_exception
from dispatcher.gateway.transport import Head
from dispatcher.gateway.wire import Answer

_MAX_ANSWER = 1024 * 1024
_MAX_LISTING = 32 * 1024 * 1024
_MAX_ID = 200


def utc_now() -> datetime:
    """The machine's wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class GatewayConfig:
    """Where the gateway is and how to call it.  ``timeout``: seconds for a request as a whole, waiting to
    connect included.

    ``ca_file`` (PEM) is trusted in addition to the public authorities.  ``proxy`` is not used for loopback
    addresses.
    """

    base_url: str
    token: SecretStr
    timeout: float = 30.0
    connections: int = 512
    proxy: str | None = field(default=None, repr=False)  # may hold a password
    ca_file: Path | None = None
    user_agent: str = f"dispatcher/{__version__}"


@dataclass(frozen=True)
class Page:
    """One page of the listing.  ``count`` is what the gateway listed: ``messages`` and the ``unreadable``
    ones.

    Only a page with ``count`` 0 is behind the last one.  While something is unreadable, absence proves
    nothing.
    """

    messages: tuple[Message, ...]
    server_date: datetime | None
    unreadable: int
    count: int


class Gateway(Connected):
    """The API of one gateway and account, as an async context manager.

    ``now`` tells the wall clock's time, for a ``Retry-After`` given as a date.  Raises UsageError for a
    configuration that cannot work or would send the token in the clear.
    """

    def __init__(self, config: GatewayConfig, *, now: Callable[[], datetime] = utc_now) -> None:
        check_base_url(config.base_url)
        self._host = urlsplit(config.base_url).netloc
        self._now = now
        self._transport = open_transport(
            config.base_url,
            connections=config.connections,
            timeout=config.timeout,
            proxy=config.proxy,
            ca_file=config.ca_file,
        )
        self._user_agent = config.user_agent
        self._use(config.token)

    def _use(self, token: SecretStr) -> None:
        self._headers = {
            "Authorization": f"Bearer {_checked_token(token)}",
            "User-Agent": self._user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        json_headers = {**self._headers, "Content-Type": "application/json"}
        self._sends = {
            route: self._transport.head("POST", f"/{route}-messages", json_headers) for route in Route
        }
        self._otp = self._transport.head("POST", "/otp", json_headers)

    def with_token(self, token: SecretStr) -> Gateway:
        """The same connections under another token; closing this one closes them for both."""
        other = copy(self)
        other._use(token)
        return other

    async def send(self, route: Route, request: SendRequest) -> Verdict:
        """Queue one message, or only check and price it when ``request.options.dry_run`` is set.

        Never raises for an answer or for the lack of one: the verdict says what is known.
        """
        return await self._post(self._sends[route], request)

    async def send_otp(self, request: OtpRequest) -> Verdict:
        """Have a one-time code generated and sent; the verdict's message holds it in ``otp``."""
        return await self._post(self._otp, request)

    async def messages(self, skip: int = 0, limit: int = 100) -> Page:
        """One page of the account's messages, in the gateway's order, which is not documented.

        Raises Unreachable (also for an answer that cannot be read) or Halted (token, credit, access).
        """
        query = urlencode({"skip": skip, "limit": limit})
        response = await self._get(f"/messages?{query}", _MAX_LISTING)
        document = read_object(response.content) if response.status_code == 200 else None
        listed = document.get("data") if document else None
        if not isinstance(listed, list):
            raise self._failure(response)
        messages = tuple(message for item in listed if (message := read_message(item)) is not None)
        return Page(
            messages=messages,
            server_date=read_date(response.headers.get("date")),
            unreadable=len(listed) - len(messages),
            count=len(listed),
        )

    async def message(self, message_id: str) -> Message | None:
        """One message, None when the gateway has none of that id.  Raises like :meth:`messages`; UsageError
        for a bad id.
        """
        if not message_id.strip(". ") or len(message_id) > _MAX_ID or not message_id.isprintable():
            raise UsageError("gateway_message_id", found=message_id[:_MAX_ID])
        response = await self._get(f"/messages/{quote(message_id, safe='')}", _MAX_ANSWER)
        document = read_object(response.content)
        # a page of some other server's is no proof of absence
        if response.status_code == 404 and (document is not None or not response.content.strip()):
            return None
        message = read_message((document or {}).get("data")) if response.status_code == 200 else None
        if message is None:
            raise self._failure(response)
        return message

    async def _post(self, head: Head, request: SendRequest | OtpRequest) -> Verdict:
        dry_run = request.options is not None and request.options.dry_run
        content = request.model_dump_json(exclude_none=True).encode()
        try:
            response = await self._transport.exchange(head, content, max_body=_MAX_ANSWER)
        except httpx.RequestError as exc:
            return judge_exception(exc)
        return judge_answer(
            response.status_code, response.headers, response.content, dry_run=dry_run, now=self._now()
        )

    async def _get(self, path: str, max_body: int) -> Answer:
        head = self._transport.head("GET", path, self._headers)
        try:
            return await self._transport.exchange(head, max_body=max_body)
        except httpx.RequestError as exc:
            raise failure(judge_exception(exc), self._host) from exc

    def _failure(self, response: Answer) -> DispatcherError:
        verdict = judge_answer(
            response.status_code, response.headers, response.content, dry_run=True, now=self._now()
        )
        return failure(verdict, self._host)


_HALTS = {401: "gateway_token_refused", 402: "gateway_payment_required"}


def failure(verdict: Verdict, host: str) -> DispatcherError:
    """The error for a call that needs an answer and got ``verdict`` instead: Halted or Unreachable."""
    if verdict.outcome is Outcome.HALT:
        blocked = verdict.account_wide or verdict.forbidden
        code = (
            "gateway_account_blocked"
            if blocked
            else _HALTS.get(verdict.http_status or 0, "gateway_access_denied")
        )
        return Halted(code, host=host, status=verdict.http_status)
    if verdict.outcome is Outcome.THROTTLED:
        return Unreachable("gateway_throttled", host=host, retry_after=verdict.retry_after)
    if verdict.outcome is Outcome.NOT_SENT:
        return Unreachable("gateway_not_reached", host=host, reason=verdict.detail)
    if verdict.http_status is None:
        return Unreachable("gateway_no_answer", host=host, reason=verdict.detail)
    if verdict.http_status >= 500:
        return Unreachable(
            "gateway_failed", host=host, status=verdict.http_status, retry_after=verdict.retry_after
        )
    return Unreachable("gateway_answer_unreadable", host=host, status=verdict.http_status)


def _checked_token(token: SecretStr) -> str:
    value = token.get_secret_value()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise UsageError("gateway_token_malformed")
    return value
