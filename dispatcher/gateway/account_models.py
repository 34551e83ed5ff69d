"""The account API's things as types: wallet, subscriptions (bundles), scopes, tokens.

Source: the published description of the OAuth service (2.1.0).  Reading is lenient, as for messages: what is not
known is kept out, what is optional and cannot be read is None.  Money is Decimal by its written digits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from dispatcher.gateway.models import Moment, Money, Route

_SCOPE = re.compile(r"([A-Z]+):([^/\s]+)/(\S+)")
_MESSAGES = "-messages"


def _whole(value: object) -> object:
    # the provider writes numbers of requests as strings
    return value.strip() if isinstance(value, str) else value


Requests = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=10**15)]


class ReadThing(BaseModel):
    """``essentials`` are the fields without which the whole is of no use."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)
    essentials: ClassVar[frozenset[str]]

    @classmethod
    def read(cls, data: object) -> Self | None:
        """What ``data`` describes, without the fields that cannot be read; None when an essential one is among them."""
        if not isinstance(data, Mapping):
            return None
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            bad = {str(detail["loc"][0]) for detail in error.errors(include_url=False, include_input=False)}
        if bad & cls.essentials:
            return None
        try:
            return cls.model_validate({name: value for name, value in data.items() if name not in bad})
        except ValidationError:
            return None


class Wallet(ReadThing):
    """The account's money."""

    essentials: ClassVar[frozenset[str]] = frozenset({"credit"})

    credit: Money
    updated_at: Moment | None = Field(None, alias="updatedAt")


class Subscription(ReadThing):
    """A bundle; ``available`` is how many requests are left in it, None where that cannot be read."""

    essentials: ClassVar[frozenset[str]] = frozenset({"scope"})

    scope: str
    id: str | None = None
    active: bool | None = None
    available: Requests | None = Field(None, alias="availableRequests")
    starts_at: Moment | None = Field(None, alias="startsAt")
    expires_at: Moment | None = Field(None, alias="expiresAt")

    @property
    def route(self) -> Route | None:
        """The route of messages that it pays for, None for a bundle of something else."""
        return route_of_scope(self.scope)

    def pays_at(self, now: datetime) -> bool:
        """Whether messages can draw on it at ``now``."""
        begun = self.starts_at is None or self.starts_at <= now
        return self.active is not False and begun and (self.expires_at is None or now < self.expires_at)


class Scope(ReadThing):
    """Something the account may call; ``prices`` only where the scope was asked for by itself."""

    essentials: ClassVar[frozenset[str]] = frozenset({"scope"})

    scope: str
    id: str | None = None
    enabled: bool | None = None
    prices: dict[str, Money] | None = None


class Limits(ReadThing):
    """What a token is limited to by the provider; None is no limit."""

    essentials: ClassVar[frozenset[str]] = frozenset()

    total_requests: Requests | None = Field(None, alias="totalRequests")
    wallet_requests: Requests | None = Field(None, alias="walletRequests")
    subscription_requests: Requests | None = Field(None, alias="subscriptionRequests")
    wallet_amount: Money | None = Field(None, alias="walletAmount")


class Usage(ReadThing):
    """What a token was used for so far."""

    essentials: ClassVar[frozenset[str]] = frozenset()

    total_requests: Requests | None = Field(None, alias="totalRequests")
    error_requests: Requests | None = Field(None, alias="errorRequests")
    wallet_amount: Money | None = Field(None, alias="walletAmount")


class Token(ReadThing):
    """A token as the provider describes it; its refresh token is a secret nobody here needs, and is not kept."""

    essentials: ClassVar[frozenset[str]] = frozenset({"token"})

    token: SecretStr = Field(repr=False)
    name: str | None = None
    scopes: tuple[str, ...] | None = None
    created_at: Moment | None = Field(None, alias="createdAt")
    expires_at: Moment | None = Field(None, alias="expireAt")
    limits: Limits | None = None
    stats: Usage | None = None


def split_scope(scope: str) -> tuple[str, str, str] | None:
    """``POST:sms.openapi.com/IT-messages`` as method, domain and endpoint."""
    match = _SCOPE.fullmatch(scope)
    return None if match is None else (match[1], match[2], match[3])


def route_of_scope(scope: str) -> Route | None:
    """The route that a scope is about, None for anything but sending messages."""
    parts = split_scope(scope)
    if parts is None or parts[0] != "POST" or not parts[2].endswith(_MESSAGES):
        return None
    name = parts[2].removesuffix(_MESSAGES)
    return Route(name) if name in set(Route) else None


def token_request(
    *, scopes: list[str], name: str, ttl: int, wallet_amount: Decimal | None, total_requests: int
) -> dict[str, Any]:
    """The body that asks for a token: ``ttl`` is seconds, money an amount with at most six decimals."""
    limits: dict[str, Any] = {"totalRequests": total_requests}
    if wallet_amount is not None:
        # six decimals and nine digits before them: a binary float's shortest text is exactly these digits
        limits["walletAmount"] = float(wallet_amount)
    return {"scopes": scopes, "name": name, "ttl": ttl, "limits": limits}
