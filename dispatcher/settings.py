"""What the operator decided outside the spreadsheet, and where each decision came from.

Sources, the first that names a setting wins: flags, environment (``DISPATCHER_…``), ``.env`` and
``dispatcher.toml`` in the working directory, the same two files in the user's configuration directory.
Names stand without prefix in ``dispatcher.toml`` (``rate_per_minute = 6000``) and with it in ``.env``.  The
origin of every value is kept, because ``run`` says where gateway and token come from, and because a file lying
about must not send a token to a stranger's host.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from platformdirs import user_config_path, user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dispatcher.errors import UsageError
from dispatcher.target import HOSTS, GatewayKind, Target, choose_target, is_loopback, masked
from dispatcher.zones import is_zone, machine_zone

__all__ = [
    "HOSTS",
    "PREFIX",
    "SECOND_NAMES",
    "Configuration",
    "GatewayKind",
    "Origin",
    "Settings",
    "Target",
    "choose_target",
    "default_ledger",
    "is_loopback",
    "load",
    "masked",
]

PREFIX = "DISPATCHER_"
_KINDS = {"timezone": "zone", "default_region": "region"}
SECOND_NAMES = {"OPENAPI_TOKEN": "token", "OPENAPI_USERNAME": "account_email", "OPENAPI_KEY": "account_key"}


class Origin(StrEnum):
    """Where a setting's value comes from; the first two were chosen for this very call."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    DOTENV = ".env"
    TOML = "dispatcher.toml"
    USER_DOTENV = "user .env"
    USER_TOML = "user dispatcher.toml"
    DEFAULT = "default"


def default_ledger() -> str:
    """The ledger in the user's data directory, as a SQLAlchemy URL."""
    return f"sqlite:///{user_data_path('dispatcher', appauthor=False) / 'ledger.db'}"


class Settings(BaseSettings):
    """The values, checked.  Build it with :func:`load`, which knows the sources and keeps the origins."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    gateway: str | None = None
    token: SecretStr | None = None
    ledger: str = Field(default_factory=default_ledger)
    broker: str = "embedded"
    rate_per_minute: int = Field(10_000, ge=1, le=1_000_000)
    default_region: str = Field("IT", pattern="^[A-Z]{2}$")
    sender: str | None = None
    max_cost: Decimal | None = Field(None, ge=0, lt=10**9, decimal_places=6)  # as exact as the ledger's money
    prices: Path | None = None
    forbid_file: Path | None = None
    bundles: str = ""
    wallet: Decimal | None = Field(None, ge=0)
    timezone: str = Field(default_factory=machine_zone)
    windows: str = ""
    holidays: str = ""
    cap: str | None = None
    otp_per_number: str = "5 per 1h, 10 per 1d"
    otp_per_prefix: str = "30 per 10m"
    lang: Literal["en", "it", "es"] | None = None
    quiet_seconds: int = Field(300, ge=1, le=86_400)
    guard_days: int = Field(7, ge=0, le=3_650)
    callback_url: str | None = None
    callback_secret: SecretStr | None = None
    callback_secret_old: SecretStr | None = None
    account_email: str | None = None
    account_key: SecretStr | None = None
    account_url: str | None = None
    proxy: str | None = None
    ca_file: Path | None = None
    log: Literal["debug", "info", "warning", "error", "critical"] | None = None  # None: see cli/session.py
    log_format: Literal["text", "json"] = "text"
    busy_seconds: float = Field(10, ge=0.1, le=600)  # how long a statement waits for a ledger others write to
    metrics_port: int | None = Field(None, ge=1, le=65_535)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what :func:`load` gathered: it keeps the origins, which the stock sources forget."""
        return (init_settings,)

    @field_validator("default_region", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("log", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if not is_zone(value):
            raise ValueError(value)
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The operator's time zone."""
        return ZoneInfo(self.timezone)


class Configuration:
    """Settings together with where each one came from."""

    def __init__(self, settings: Settings, origins: Mapping[str, Origin]) -> None:
        self.settings = settings
        self._origins = dict(origins)

    def origin(self, name: str) -> Origin:
        """Where the setting's value comes from."""
        return self._origins.get(name, Origin.DEFAULT)

    def chosen_now(self, name: str) -> bool:
        """Whether it was chosen for this very call, not by a file that lies about."""
        return self.origin(name) in (Origin.FLAG, Origin.ENVIRONMENT)


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    user_directory: Path | None = None,
) -> Configuration:
    """Gather the settings from all sources; None among the flags means "not given".

    Raises UsageError for an unreadable file, an unknown name in a file, or a value that does not fit.
    """
    here = directory or Path.cwd()
    user = user_directory or user_config_path("dispatcher", appauthor=False)
    sources = (
        (Origin.FLAG, {name: value for name, value in (flags or {}).items() if value is not None}),
        (Origin.ENVIRONMENT, _named(os.environ if environ is None else environ)),
        (Origin.DOTENV, _dotenv(here / ".env")),
        (Origin.TOML, _toml(here / "dispatcher.toml")),
        (Origin.USER_DOTENV, _dotenv(user / ".env")),
        (Origin.USER_TOML, _toml(user / "dispatcher.toml")),
    )
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for origin, source in sources:
        for name, value in source.items():
            if name not in values:
                values[name], origins[name] = value, origin
    try:
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        # a wrong secret is named, never shown
        found = "…" if "token" in name or "secret" in name or "key" in name else str(first["input"])
        raise UsageError(
            "settings_invalid",
            found=found,
            setting=name,
            source=str(origins.get(name, Origin.DEFAULT)),
            kind=_kind(name),
            range=_range(name),
        ) from error
    return Configuration(settings, origins)


def bounds(least: float | None, most: float | None) -> str:
    """``: 1 – 1000``, ``: ≥ 1``, or nothing: the same in every language."""
    if least is None and most is None:
        return ""
    if most is None:
        return f": ≥ {least:.15g}"
    return f": ≤ {most:.15g}" if least is None else f": {least:.15g} – {most:.15g}"


def _kind(name: str) -> str:
    """The kind of value a setting takes, by its name in the catalogue's ``kinds``."""
    if name in _KINDS:
        return _KINDS[name]
    if _choices(name):
        return "one_of"
    written = str(Settings.model_fields[name].annotation)
    named = {"Decimal": "amount", "int": "whole", "float": "number"}
    return next((kind for type_name, kind in named.items() if type_name in written), "text")


def _range(name: str) -> str:
    if choices := _choices(name):
        return f": {', '.join(choices)}"
    if name in _KINDS:
        return ""
    about = Settings.model_fields[name].metadata
    least, most = (
        next((value for each in about if (value := getattr(each, bound, None)) is not None), None)
        for bound in ("ge", "le")
    )
    return bounds(least, most)


def _choices(name: str) -> list[str]:
    """What a setting may be, where that is one of a few words."""
    annotation = Settings.model_fields[name].annotation
    return [
        word
        for kind in (annotation, *get_args(annotation))
        for word in get_args(kind)
        if isinstance(word, str)
    ]


def _named(variables: Mapping[str, str | None]) -> dict[str, str]:
    """The variables that are settings, by setting name; an empty value means "not set"."""
    found: dict[str, str] = {}
    for second, name in SECOND_NAMES.items():
        if value := variables.get(second):
            found[name] = value
    for variable, value in variables.items():
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and name in Settings.model_fields and value:
            found[name] = value
    return found


def _dotenv(path: Path) -> dict[str, str]:
    try:
        # utf-8-sig: a file that Notepad saved begins with a mark that would hide its first name
        values = dotenv_values(path, interpolate=False, encoding="utf-8-sig") if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("settings_unreadable", file=str(path)) from error
    for variable in values:
        if variable.startswith(PREFIX):
            _must_be_known(path, variable.removeprefix(PREFIX).lower())
    return _named(values)


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        # amounts keep their written digits
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"), parse_float=str)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError("settings_unreadable", file=str(path)) from error
    for name in values:
        _must_be_known(path, name)
    return values


def _must_be_known(path: Path, name: str) -> None:
    # a misspelt limit in a file would be no limit at all
    if name not in Settings.model_fields:
        closest = difflib.get_close_matches(name, Settings.model_fields, n=1)
        raise UsageError(
            "settings_unknown_name",
            file=str(path),
            found=name,
            closest=closest[0] if closest else ", ".join(sorted(Settings.model_fields)),
        )
