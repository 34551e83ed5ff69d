"""Which gateway a call talks to, and where its secrets may go."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

from dispatcher.errors import UsageError

if TYPE_CHECKING:
    from dispatcher.settings import Configuration, Settings

HOSTS = {"production": "https://sms.openapi.com", "sandbox": "https://test.sms.openapi.com"}
ACCOUNT_HOSTS = {"production": "https://oauth.openapi.com", "sandbox": "https://test.oauth.openapi.com"}


def masked(url: str) -> str:
    """The URL as it may be shown: without the name and password that may stand before its host."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}…@{rest.rpartition('@')[2]}" if "@" in rest else url


class GatewayKind(StrEnum):
    """Which gateway a campaign goes to; a custom base URL is CUSTOM."""

    SIMULATOR = "simulator"
    SANDBOX = "sandbox"
    PRODUCTION = "production"
    CUSTOM = "custom"


@dataclass(frozen=True)
class Target:
    """The chosen gateway: its kind, its base URL (None for the embedded simulator) and the token to call it with."""

    kind: GatewayKind
    base_url: str | None
    token: SecretStr = field(repr=False)

    @property
    def name(self) -> str:
        """What a campaign is filed under: the kind, or the custom base URL."""
        return self.base_url if self.kind is GatewayKind.CUSTOM and self.base_url else str(self.kind)

    @property
    def real(self) -> bool:
        """True where texts may reach phones and cost money."""
        return self.kind in (GatewayKind.PRODUCTION, GatewayKind.CUSTOM)


def choose_target(configuration: Configuration, *, must_be_named: bool = False) -> Target:
    """Which gateway this call talks to, under the rules that keep accidents away.

    Nothing real without a gateway chosen by name; a token without one is a UsageError, as is a base URL that is neither
    https nor loopback, and a token that a file (not a flag, not the environment) would send to a stranger's host.
    ``must_be_named`` is for services that send without a person watching.
    """
    settings = configuration.settings
    chosen = settings.gateway
    if chosen is None:
        if settings.token is not None:
            raise UsageError("settings_token_without_gateway", source=str(configuration.origin("token")))
        if must_be_named:
            raise UsageError("settings_gateway_required")
        return Target(GatewayKind.SIMULATOR, None, SecretStr("simulator"))
    if chosen == GatewayKind.SIMULATOR:
        return Target(GatewayKind.SIMULATOR, None, SecretStr("simulator"))
    if chosen in HOSTS:
        kind, url = GatewayKind(chosen), HOSTS[chosen]
    else:
        found = _one_spelling(chosen)
        if found is None:
            raise UsageError("settings_gateway_unknown", found=masked(chosen))
        kind, url = GatewayKind.CUSTOM, found
        kind = next((GatewayKind(name) for name, host in HOSTS.items() if host == url), kind)
    if settings.token is None:
        here = kind is GatewayKind.CUSTOM and is_loopback(url)
        if here:
            raise UsageError("settings_token_missing_here", found=masked(chosen))
        raise UsageError("settings_token_missing", found=masked(chosen))
    if kind is GatewayKind.CUSTOM and not is_loopback(url) and not configuration.chosen_now("gateway"):
        raise UsageError("settings_token_to_stranger", found=url, source=str(configuration.origin("gateway")))
    return Target(kind, url, settings.token)


@dataclass(frozen=True)
class AccountTarget:
    """Where the account is asked (None: at the embedded simulator's own address), and as whom."""

    base_url: str | None
    email: str
    key: SecretStr = field(repr=False)


def choose_account(configuration: Configuration) -> AccountTarget | None:
    """Where the account behind the chosen gateway is asked; None where its credentials are not set.

    The embedded simulator has credentials of its own: real ones never go there.  UsageError for one credential without
    the other, for an address that is neither https nor loopback, and where a file (not a flag, not the environment)
    would send them to a stranger's host.
    """
    settings, target = configuration.settings, choose_target(configuration)
    if target.kind is GatewayKind.SIMULATOR:
        return AccountTarget(None, "simulator", SecretStr("simulator"))
    email, key = settings.account_email, settings.account_key
    if email is None and key is None:
        return None
    if email is None or key is None:
        missing = "DISPATCHER_ACCOUNT_EMAIL" if email is None else "DISPATCHER_ACCOUNT_KEY"
        raise UsageError("settings_account_incomplete", found=missing)
    named_by = "gateway" if settings.account_url is None else "account_url"
    url = _one_spelling(settings.account_url or ACCOUNT_HOSTS.get(target.kind) or str(target.base_url))
    if url is None:
        raise UsageError("settings_account_url", found=masked(settings.account_url or ""))
    stranger = url not in ACCOUNT_HOSTS.values() and not is_loopback(url)
    if stranger and not configuration.chosen_now(named_by):
        source = str(configuration.origin(named_by))
        raise UsageError("settings_account_to_stranger", found=url, source=source)
    return AccountTarget(url, email, key)


def is_loopback(url: str) -> bool:
    """True for a host that cannot be another machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def callback_url(settings: Settings) -> str | None:
    """Where the gateway is asked to post what becomes of messages; None asks for nothing.

    UsageError for what is neither https nor loopback: it carries numbers and texts.
    """
    url = settings.callback_url
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # an IPv6 address or a port that is none
        raise UsageError("settings_callback_url", found=masked(url).partition("?")[0]) from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
    written = url.isascii() and url.isprintable() and " " not in url
    if not (usable and secure and written) or parts.fragment or parts.username or parts.password:
        raise UsageError("settings_callback_url", found=masked(url).partition("?")[0])
    return url


def _one_spelling(url: str) -> str | None:
    """The base URL in one spelling: campaigns are filed under it, and the guard looks where they are filed.

    None for one that secrets must not go to: neither https nor loopback, or with more than a path.
    """
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # an IPv6 address or a port that is none
        return None
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
    if not (usable and secure) or parts.query or parts.fragment or parts.username or parts.password:
        return None
    host = (parts.hostname or "").removesuffix(".")
    place = f"[{host}]" if ":" in host else host
    if parts.port not in (None, 443 if parts.scheme == "https" else 80):
        place += f":{parts.port}"
    return f"{parts.scheme}://{place}{parts.path}".rstrip("/")
