"""The account's calls: wallet, bundles, scopes, tokens, behind Basic credentials.

They are another service of the provider's, on a host of its own; here they are answered at the same address, and are
neither counted nor broken with the gateway's own requests.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from dispatcher.gateway.simulator import answers, passes, scopes
from dispatcher.gateway.simulator.answers import Refused
from dispatcher.gateway.simulator.config import SimulatorConfig
from dispatcher.gateway.simulator.messages import microseconds, written
from dispatcher.gateway.simulator.orders import read_json
from dispatcher.gateway.simulator.passes import Pass
from dispatcher.gateway.simulator.store import Store, euro

_PLACES = ("wallet", "subscriptions", "scopes", "tokens")
_MOST = 100
_LONG = timedelta(days=365)
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def is_account_call(path: str) -> bool:
    """Whether a path belongs to the account and not to the messages."""
    return path.strip("/").partition("/")[0] in _PLACES


class AccountCalls:
    """The account's desk."""

    def __init__(self, config: SimulatorConfig, store: Store, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._scopes = scopes.known_scopes(config)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        try:
            if self._config.account_status is not None:
                raise Refused(self._config.account_status, self._config.account_status, "Out of order")
            self._check_credentials(request)
            body = await request.read()
            document = self._answer(request, body)
        except Refused as refused:
            error = {"success": False, "message": refused.message, "error": refused.code, "data": None}
            return web.json_response(error, status=refused.status)
        return web.json_response(document)

    def _check_credentials(self, request: web.BaseRequest) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        try:
            named = base64.b64decode(given.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            named = ""
        if scheme.lower() != "basic" or named != f"{self._config.account_email}:{self._config.account_key}":
            raise Refused(401, 140, "Unauthorized")

    def _answer(self, request: web.BaseRequest, body: bytes) -> dict[str, Any]:
        place, _, name = request.path.strip("/").partition("/")
        match request.method, place, name:
            case "GET", "wallet", "":
                return {"data": self._wallet()}
            case "GET", "subscriptions", "":
                return {"data": self._page(request, self._bundles())}
            case "GET", "scopes", "":
                return {"data": [scopes.view(scope, enabled) for scope, enabled in self._scopes.items()]}
            case "GET", "scopes", _:
                return {"data": self._scope(name), "success": True, "message": "", "error": None}
            case _, "tokens", _:
                return self._tokens(request, name, body)
        raise answers.not_found()

    def _wallet(self) -> dict[str, Any]:
        now = self._now()
        credit = euro(self._store.account(self._config.username, now).wallet)
        return {"credit": float(credit), "createdAt": written(_first()), "updatedAt": written(now)}

    def _bundles(self) -> list[dict[str, Any]]:
        now = self._now()
        left = {account.username: account.bundles for account in self._store.accounts()}[
            self._config.username
        ]
        paying = self._store.account(self._config.username, now).bundles
        starts, ends = self._month()
        return [
            {
                "id": scopes.scope_id(f"bundle {route}"),
                "scope": f"POST:{scopes.DOMAIN}/{route}-messages",
                "active": route in paying,
                "availableRequests": str(parts),
                "startsAt": written(microseconds(starts)),
                "expiresAt": written(microseconds(ends)),
            }
            for route, parts in sorted(left.items())
        ]

    def _month(self) -> tuple[datetime, datetime]:
        if self._config.bundles_end is not None:
            return _FIRST, self._config.bundles_end
        first = self._clock().astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        after = (first + timedelta(days=70)).replace(day=1)
        return first, after

    def _scope(self, name: str) -> dict[str, Any]:
        for scope, enabled in self._scopes.items():
            if scopes.scope_id(scope) == name:
                return scopes.detail(scope, enabled, self._config)
        raise Refused(404, 10, "Scope not found")

    def _tokens(self, request: web.BaseRequest, name: str, body: bytes) -> dict[str, Any]:
        username, kept, now = self._config.username, self._store.passes, self._now()
        match request.method, bool(name):
            case "POST", False:
                asked = read_json(body)
                if not self._config.limits_tokens:
                    asked.pop("limits", None)
                return self._shown(kept.make(username, asked, self._scopes, now))
            case "GET", False:
                skip, limit = _whole(request, "skip", 0), min(_whole(request, "limit", _MOST), _MOST)
                everything = [self._first_token(), *kept.of_account(username, 0, 1_000_000)]
                return {"data": [passes.view(one) for one in everything[skip : skip + limit]]}
            case "GET", True:
                found = self._first_token() if name == self._config.token else kept.find(name)
                if found is None or found.account != username or found.expires <= now:
                    raise Refused(404, 120, "Not Found")
                return self._shown(found)
            case "PATCH", True:
                changed = kept.change(username, name, read_json(body), self._scopes, now)
                if changed is None:
                    raise Refused(404, 160, "Not Found")
                return self._shown(changed)
            case "DELETE", True:
                if not kept.delete(username, name):
                    raise Refused(404, 180, "Not Found")
                return {"message": "Deleted", "data": None}
        raise answers.not_found()

    def _first_token(self) -> Pass:
        """The well-known one, which was never made and has no limits."""
        enabled = tuple(scope for scope, enabled in self._scopes.items() if enabled)
        now = self._now()
        return Pass(
            self._config.token, self._config.username, "simulator", enabled, {}, _first(), _first(),
            expires=now + microseconds(_FIRST + _LONG) - _first(),
        )  # fmt: skip

    def _shown(self, one: Pass) -> dict[str, Any]:
        shown = passes.view(one)
        return shown if self._config.bare_tokens else {"data": shown}

    def _page(self, request: web.BaseRequest, everything: list[dict[str, Any]]) -> list[dict[str, Any]]:
        skip, limit = _whole(request, "skip", 0), _whole(request, "limit", _MOST)
        return everything[skip : skip + limit]

    def _now(self) -> int:
        return microseconds(self._clock())


def _first() -> int:
    return microseconds(_FIRST)


def _whole(request: web.BaseRequest, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Refused(400, 230, "Query error")
    return int(text)
