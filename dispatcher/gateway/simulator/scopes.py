"""What an account may have tokens for: one scope for each call."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from dispatcher.gateway.simulator.config import SimulatorConfig, published_prices

DOMAIN = "sms.openapi.com"
_CALLS = ("POST IT-messages", "POST ES-messages", "POST WW-messages", "POST otp", "GET messages")


def scope_of(method: str, path: str) -> str:
    """The scope of a call: ``POST:sms.openapi.com/IT-messages``."""
    endpoint = path.strip("/").partition("/")[0]
    return f"{method}:{DOMAIN}/{endpoint}"


def known_scopes(config: SimulatorConfig) -> Mapping[str, bool]:
    """Every scope, and whether the account may have it."""
    return {
        f"{method}:{DOMAIN}/{endpoint}": endpoint not in config.scopes_disabled
        for method, endpoint in (call.split(" ") for call in _CALLS)
    }


def view(scope: str, enabled: bool) -> dict[str, Any]:
    """A scope as the listing shows it."""
    method, _, rest = scope.partition(":")
    domain, _, endpoint = rest.partition("/")
    return {
        "id": scope_id(scope),
        "scope": scope,
        "method": method,
        "endpoint": endpoint,
        "domain": domain,
        "enabled": enabled,
    }


def detail(scope: str, enabled: bool, config: SimulatorConfig) -> dict[str, Any]:
    """A scope by itself, with its prices."""
    endpoint = scope.rpartition("/")[2]
    prices = {
        f"{endpoint.lower()}{'' if country in (route, '*') else f'-{country.lower()}'}": float(price)
        for route, country, price in published_prices(config)
        if endpoint == f"{route.value}-messages"
    }
    no_limits = dict.fromkeys(("dayLimit", "monthLimit", "yearLimit", "totalLimit"), False)
    return {
        **view(scope, enabled),
        "rateLimit": f"{config.requests_per_minute}/minute" if config.requests_per_minute else False,
        "freeLimits": no_limits,
        "requirements": {},
        "prices": prices,
    }


def scope_id(scope: str) -> str:
    """24 hexadecimal digits that stand for a scope."""
    return hashlib.blake2b(scope.encode(), digest_size=12).hexdigest()
