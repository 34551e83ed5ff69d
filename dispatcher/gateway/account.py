"""The account API of the gateway's provider: the money behind the messages, and tokens with limits of their own.

It lives on a host of its own and is asked a handful of times a run, so its calls take no slot of the pace.  Every call
is exactly one HTTP request, but for the listings, which are read to their end.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx
from pydantic import SecretStr

from dispatcher import __version__
from dispatcher.errors import DispatcherError, Halted, Unreachable, UsageError
from dispatcher.gateway.account_models import ReadThing, Scope, Subscription, Token, Wallet
from dispatcher.gateway.answers import read_object
from dispatcher.gateway.connecting import Connected, check_base_url, open_transport
from dispatcher.gateway.outcomes import Outcome, judge_exception
from dispatcher.gateway.wire import Answer

_MAX_ANSWER = 4 * 1024 * 1024
_PAGE = 100
_MOST_PAGES = 100

Thing = TypeVar("Thing", bound=ReadThing)


@dataclass(frozen=True)
class AccountConfig:
    """Where the account API is and as whom to call it; the rest as for the gateway."""

    base_url: str
    email: str
    key: SecretStr = field(repr=False)
    timeout: float = 20.0
    proxy: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    user_agent: str = f"dispatcher/{__version__}"


class Account(Connected):
    """One account, as an async context manager.

    Every call raises Unreachable for the lack of a readable answer and Halted for credentials that are not accepted.
    UsageError for a configuration that cannot work or is not safe.
    """

    def __init__(self, config: AccountConfig) -> None:
        check_base_url(config.base_url)
        self._host = urlsplit(config.base_url).netloc
        self._transport = open_transport(
            config.base_url,
            connections=4,
            timeout=config.timeout,
            proxy=config.proxy,
            ca_file=config.ca_file,
        )
        self._headers = {
            "Authorization": f"Basic {_credentials(config)}",
            "User-Agent": config.user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }

    async def wallet(self) -> Wallet:
        """The account's money."""
        response = await self._ask("GET", "/wallet")
        return self._thing(Wallet, response)

    async def subscriptions(self) -> tuple[Subscription, ...]:
        """Every bundle, active or not."""
        return await self._all(Subscription, "/subscriptions")

    async def scopes(self) -> tuple[Scope, ...]:
        """Everything that the account could call."""
        response = await self._ask("GET", "/scopes")
        return tuple(read for item in self._listed(response) if (read := Scope.read(item)) is not None)

    async def scope(self, scope_id: str) -> Scope | None:
        """One scope with its prices; None when there is none of that id."""
        return await self._one(Scope, f"/scopes/{quote(scope_id, safe='')}")

    async def tokens(self) -> tuple[Token, ...]:
        """The account's tokens, secrets and all."""
        return await self._all(Token, "/tokens")

    async def token(self, token: SecretStr) -> Token | None:
        """One token; None when the account has no such token."""
        return await self._one(Token, _path_of(token))

    async def create_token(self, request: Mapping[str, Any]) -> Token:
        """A new token; ``request`` as :func:`token_request` makes it.

        After Unreachable there may be one all the same.  Halted when the provider does not give such a token.
        """
        response = await self._ask("POST", "/tokens", request)
        if response.status_code in (400, 404, 422):
            raise self._not_made(response)
        return self._thing(Token, response)

    async def update_token(self, token: SecretStr, request: Mapping[str, Any]) -> Token | None:
        """Other limits, or a longer life, for a token; None when the account has no such token (any more)."""
        response = await self._ask("PATCH", _path_of(token), request)
        if response.status_code == 404:
            return None
        if response.status_code in (400, 422):
            raise self._not_made(response)
        return self._thing(Token, response)

    async def delete_token(self, token: SecretStr) -> bool:
        """From now on it opens nothing; False when there was no such token."""
        response = await self._ask("DELETE", _path_of(token))
        if response.status_code == 404:
            return False
        if response.status_code not in (200, 204):
            raise self._failure(response)
        return True

    async def _all(self, kind: type[Thing], path: str) -> tuple[Thing, ...]:
        found: list[Thing] = []
        before: list[Any] = []
        skip = 0
        for _ in range(_MOST_PAGES):
            query = urlencode({"skip": skip, "limit": _PAGE})
            listed = self._listed(await self._ask("GET", f"{path}?{query}"))
            if not listed or listed == before:  # the end, or a server that knows no pages
                break
            before = listed
            skip += len(listed)
            found += [read for item in listed if (read := kind.read(item)) is not None]
        return tuple(found)

    async def _one(self, kind: type[Thing], path: str) -> Thing | None:
        response = await self._ask("GET", path)
        # a page of some other server's is no proof of absence
        if response.status_code == 404 and read_object(response.content) is not None:
            return None
        return self._thing(kind, response)

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        head = self._transport.head(method, path, headers)
        try:
            response = await self._transport.exchange(head, content, max_body=_MAX_ANSWER)
        except httpx.RequestError as exc:
            verdict = judge_exception(exc)
            if verdict.outcome is Outcome.NOT_SENT:
                raise Unreachable("account_not_reached", host=self._host, reason=verdict.detail) from exc
            raise Unreachable("account_no_answer", host=self._host, reason=verdict.detail) from exc
        if response.status_code in (401, 402, 403, 429) or response.status_code >= 500:
            raise self._failure(response)
        return response

    def _thing(self, kind: type[Thing], response: Answer) -> Thing:
        document = read_object(response.content) if response.status_code in (200, 201) else None
        # described bare for a token and inside "data" for all else: either is taken
        thing = None if document is None else kind.read(document.get("data")) or kind.read(document)
        if thing is None:
            raise self._failure(response)
        return thing

    def _listed(self, response: Answer) -> list[Any]:
        document = read_object(response.content) if response.status_code == 200 else None
        listed = document.get("data") if document else None
        if isinstance(listed, Mapping):
            return [listed]  # a list of one may come as the one
        if not isinstance(listed, list):
            raise self._failure(response)
        return listed

    def _failure(self, response: Answer) -> DispatcherError:
        status = response.status_code
        if status == 401:
            return Halted("account_refused", host=self._host)
        if status in (402, 403):
            return Halted("account_denied", host=self._host, status=status)
        if status == 429:
            return Unreachable("account_throttled", host=self._host)
        if status >= 500:
            return Unreachable("account_failed", host=self._host, status=status)
        return Unreachable("account_answer_unreadable", host=self._host, status=status)

    def _not_made(self, response: Answer) -> DispatcherError:
        number = (read_object(response.content) or {}).get("error")
        found = str(number) if isinstance(number, int) else "-"
        return Halted("account_token_not_made", host=self._host, status=response.status_code, found=found)


def _path_of(token: SecretStr) -> str:
    return f"/tokens/{quote(token.get_secret_value(), safe='')}"


def _credentials(config: AccountConfig) -> str:
    email, key = config.email, config.key.get_secret_value()
    if not (email and key and email.isprintable() and key.isprintable()) or ":" in email:
        raise UsageError("account_credentials_malformed")
    return base64.b64encode(f"{email}:{key}".encode()).decode()
