"""Tokens that an account had made for itself: what they open, what they are limited to, what they were used for.

What the description leaves open is decided here once: ``totalRequests`` counts every request made with the token,
whatever its answer; the other limits count what a message takes from wallet and bundles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dispatcher.gateway.simulator.answers import Refused
from dispatcher.gateway.simulator.messages import micros, written

_DAY = 24 * 3600
_DEFAULT_TTL = 30 * _DAY
_LONGEST_TTL = 365 * _DAY
_WHOLE = ("totalRequests", "walletRequests", "subscriptionRequests")


@dataclass(frozen=True, slots=True)
class Pass:
    """A token made through ``POST /tokens``; money is whole millionths of a euro."""

    token: str
    account: str
    name: str | None
    scopes: Sequence[str]
    limits: Mapping[str, Any]
    created: int
    updated: int
    expires: int
    requests: int = 0
    errors: int = 0
    wallet_requests: int = 0
    bundle_requests: int = 0
    wallet_amount: int = 0

    def paid(self, wallet: int, bundled: int) -> Pass | None:
        """The same after a message that took so much of the wallet and so many parts; None beyond a limit."""
        after = replace(
            self,
            wallet_requests=self.wallet_requests + (wallet > 0),
            bundle_requests=self.bundle_requests + (bundled > 0),
            wallet_amount=self.wallet_amount + wallet,
        )
        amount = self.limits.get("walletAmount")
        within = (
            amount is None or after.wallet_amount <= micros(amount),
            after.wallet_requests <= self.limits.get("walletRequests", after.wallet_requests),
            after.bundle_requests <= self.limits.get("subscriptionRequests", after.bundle_requests),
        )
        return after if all(within) else None


def make(account: str, data: Mapping[str, Any], known: Mapping[str, bool], now: int, salt: int) -> Pass:
    """The token a request asks for.  Raises Refused for scopes that are missing, unknown or not enabled."""
    scopes = data.get("scopes")
    if scopes is None:
        raise Refused(422, 70, "missing scopes array")
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise Refused(422, 80, "invalid scopes format")
    if not scopes or not all(known.get(scope, False) for scope in scopes):
        raise Refused(422, 90, "Invalid scopes specified or API not enabled")
    name = data.get("name")
    token = hashlib.blake2b(f"{account}:{now}:{salt}".encode(), digest_size=12).hexdigest()
    return Pass(
        token,
        account,
        name if isinstance(name, str) else None,
        tuple(scopes),
        read_limits(data.get("limits")),
        created=now,
        updated=now,
        expires=now + micros(_ttl(data.get("ttl"))),
    )


def changed(old: Pass, data: Mapping[str, Any], known: Mapping[str, bool], now: int) -> Pass:
    """The token after ``PATCH``; what is not named stays."""
    scopes = data.get("scopes", list(old.scopes))
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise Refused(422, 100, "invalid scopes format")
    if not all(known.get(scope, False) for scope in scopes):
        raise Refused(422, 110, "Invalid scopes specified or API not enabled")
    name = data.get("name", old.name)
    return replace(
        old,
        name=name if isinstance(name, str) else None,
        scopes=tuple(scopes),
        limits=read_limits(data["limits"]) if "limits" in data else old.limits,
        updated=now,
        expires=now + micros(_ttl(data["ttl"])) if "ttl" in data else old.expires,
    )


def _ttl(value: object) -> int:
    if type(value) is not int or value <= 0:
        return _DEFAULT_TTL
    return min(value, _LONGEST_TTL)


def read_limits(value: object) -> dict[str, Any]:
    """The limits of a request; other names are ignored.  Raises Refused for one of the wrong form."""
    given = value if isinstance(value, Mapping) else {}
    limits = {name: limit for name, limit in given.items() if limit is not None}
    for name in _WHOLE:
        if name in limits and (type(limits[name]) is not int or limits[name] < 0):
            raise Refused(422, 422, f"limits.{name}: expected a whole number")
    amount = limits.get("walletAmount", 0)
    if isinstance(amount, bool) or not isinstance(amount, int | float) or amount < 0:
        raise Refused(422, 422, "limits.walletAmount: expected an amount")
    return {name: limits[name] for name in (*_WHOLE, "walletAmount", "ip") if name in limits}


def view(one: Pass) -> dict[str, Any]:
    """The token as the API shows it."""
    return {
        "token": one.token,
        "name": one.name or "",
        "createdAt": written(one.created),
        "expireAt": written(one.expires),
        "updatedAt": written(one.updated),
        "scopes": list(one.scopes),
        "refreshToken": hashlib.blake2b(f"refresh {one.token}".encode(), digest_size=12).hexdigest(),
        "limits": dict(one.limits),
        "stats": {
            "totalRequests": one.requests,
            "walletRequests": one.wallet_requests,
            "subscriptionRequests": one.bundle_requests,
            "errorRequests": one.errors,
            "walletAmount": one.wallet_amount / 1_000_000,
            "ip": [],
        },
    }
