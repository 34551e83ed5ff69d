"""Settings: which source wins, what is refused, and where a token may go."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dispatcher.cli.output import error_lines
from dispatcher.errors import UsageError
from dispatcher.settings import (
    HOSTS,
    PREFIX,
    Configuration,
    GatewayKind,
    Origin,
    Settings,
    choose_target,
    default_ledger,
    is_loopback,
    load,
    masked,
)
from dispatcher.target import ACCOUNT_HOSTS, AccountTarget, choose_account
from dispatcher.wording import Wording

SECRET = "s3cr3t-value"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def user(tmp_path: Path) -> Path:
    (tmp_path / "user").mkdir()
    return tmp_path / "user"


def refused(**sources: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(**sources)
    return caught.value


# --- sources


def test_without_any_source_the_defaults_hold(here: Path, user: Path) -> None:
    configuration = load(environ={}, directory=here, user_directory=user)
    settings = configuration.settings
    assert settings.gateway is None
    assert settings.token is None
    assert settings.broker == "embedded"
    assert settings.rate_per_minute == 10_000
    assert settings.default_region == "IT"
    assert settings.max_cost is None
    assert settings.quiet_seconds == 300
    assert settings.guard_days == 7
    assert settings.ledger == default_ledger()
    assert str(settings.zone) == "Europe/Rome"
    assert {configuration.origin(name) for name in Settings.model_fields} == {Origin.DEFAULT}


def test_the_default_ledger_is_in_the_users_data_directory(machine: Path) -> None:
    assert default_ledger() == f"sqlite:///{machine / 'home' / 'xdg_data_home' / 'dispatcher' / 'ledger.db'}"


SOURCES = (
    Origin.FLAG,
    Origin.ENVIRONMENT,
    Origin.DOTENV,
    Origin.TOML,
    Origin.USER_DOTENV,
    Origin.USER_TOML,
)


@pytest.mark.parametrize("strongest", range(len(SOURCES)))
def test_the_first_source_that_names_a_setting_wins(here: Path, user: Path, strongest: int) -> None:
    said = {origin: f"sender {n}" for n, origin in enumerate(SOURCES) if n >= strongest}
    for origin, folder in ((Origin.DOTENV, here), (Origin.USER_DOTENV, user)):
        if origin in said:
            (folder / ".env").write_text(f'DISPATCHER_SENDER="{said[origin]}"\n')
    for origin, folder in ((Origin.TOML, here), (Origin.USER_TOML, user)):
        if origin in said:
            (folder / "dispatcher.toml").write_text(f'sender = "{said[origin]}"\n')
    configuration = load(
        {"sender": said.get(Origin.FLAG)},
        environ={"DISPATCHER_SENDER": said[Origin.ENVIRONMENT]} if Origin.ENVIRONMENT in said else {},
        directory=here,
        user_directory=user,
    )
    assert configuration.settings.sender == f"sender {strongest}"
    assert configuration.origin("sender") is SOURCES[strongest]


def test_sources_add_up(here: Path, user: Path) -> None:
    (here / ".env").write_text("DISPATCHER_TOKEN=abc\n")
    (here / "dispatcher.toml").write_text("rate_per_minute = 600\n")
    (user / "dispatcher.toml").write_text('sender = "Clinica"\nmax_cost = 20.50\n')
    configuration = load(
        {"gateway": "sandbox"},
        environ={"DISPATCHER_DEFAULT_REGION": "es"},
        directory=here,
        user_directory=user,
    )
    settings = configuration.settings
    assert settings.token == SecretStr("abc")
    assert (settings.rate_per_minute, settings.sender) == (600, "Clinica")
    assert str(settings.max_cost) == "20.50"
    assert settings.default_region == "ES"
    assert {
        name: configuration.origin(name) for name in ("gateway", "default_region", "token", "sender")
    } == {
        "gateway": Origin.FLAG,
        "default_region": Origin.ENVIRONMENT,
        "token": Origin.DOTENV,
        "sender": Origin.USER_TOML,
    }


def test_the_machines_own_places_are_read(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = machine / "home" / "xdg_config_home" / "dispatcher"
    config.mkdir(parents=True)
    (config / "dispatcher.toml").write_text('sender = "Clinica"\nguard_days = 3\n')
    (machine / "here" / ".env").write_text("DISPATCHER_GUARD_DAYS=4\n")
    monkeypatch.setenv("DISPATCHER_LANG", "it")
    configuration = load()
    assert configuration.settings.sender == "Clinica"
    assert configuration.settings.guard_days == 4
    assert configuration.settings.lang == "it"
    assert configuration.origin("sender") is Origin.USER_TOML


@pytest.mark.parametrize("environ", [{"DISPATCHER_SENDER": ""}, {"OPENAPI_TOKEN": ""}, {"OTHER_SENDER": "x"}])
def test_an_empty_or_foreign_variable_says_nothing(here: Path, user: Path, environ: dict[str, str]) -> None:
    (here / ".env").write_text("DISPATCHER_SENDER=Clinica\n")
    configuration = load(environ=environ, directory=here, user_directory=user)
    assert configuration.settings.sender == "Clinica"
    assert configuration.settings.token is None


def test_zero_is_a_value(here: Path, user: Path) -> None:
    (here / "dispatcher.toml").write_text("guard_days = 5\nmax_cost = 5\n")
    configuration = load(
        {"max_cost": Decimal(0)}, environ={"DISPATCHER_GUARD_DAYS": "0"}, directory=here, user_directory=user
    )
    assert configuration.settings.guard_days == 0
    assert configuration.settings.max_cost == 0
    assert configuration.origin("max_cost") is Origin.FLAG


def test_files_saved_by_notepad_are_read(here: Path, user: Path) -> None:
    (here / ".env").write_text("DISPATCHER_SENDER=Clinica\n", encoding="utf-8-sig")
    (here / "dispatcher.toml").write_text("guard_days = 5\n", encoding="utf-8-sig")
    settings = load(environ={}, directory=here, user_directory=user).settings
    assert (settings.sender, settings.guard_days) == ("Clinica", 5)


def test_a_dollar_in_a_dotenv_is_a_dollar(here: Path, user: Path) -> None:
    (here / ".env").write_text("DISPATCHER_TOKEN='a${HOME}b'\n")
    token = load(environ={}, directory=here, user_directory=user).settings.token
    assert token == SecretStr("a${HOME}b")


# --- the provider's names


@pytest.mark.parametrize(
    ("second", "setting"),
    [("OPENAPI_TOKEN", "token"), ("OPENAPI_USERNAME", "account_email"), ("OPENAPI_KEY", "account_key")],
)
def test_second_names(here: Path, user: Path, second: str, setting: str) -> None:
    def value(environ: Mapping[str, str]) -> Any:
        found = getattr(load(environ=environ, directory=here, user_directory=user).settings, setting)
        return found.get_secret_value() if isinstance(found, SecretStr) else found

    assert value({second: "theirs"}) == "theirs"
    assert value({second: "theirs", PREFIX + setting.upper(): "ours"}) == "ours"
    assert value({PREFIX + setting.upper(): "ours", second: "theirs"}) == "ours"
    (here / ".env").write_text(f"{second}=theirs\n")
    assert value({}) == "theirs"


# --- what is refused


@pytest.mark.parametrize(
    ("name", "closest"),
    [("rate_per_minut", "rate_per_minute"), ("max_costs", "max_cost"), ("tokn", "token"), ("lnag", "lang")],
)
@pytest.mark.parametrize("kind", ["toml", "dotenv"])
def test_an_unknown_name_in_a_file_is_refused_with_the_closest(
    here: Path, user: Path, name: str, closest: str, kind: str
) -> None:
    file = here / ("dispatcher.toml" if kind == "toml" else ".env")
    file.write_text(f"{name} = 1\n" if kind == "toml" else f"{PREFIX}{name.upper()}=1\n")
    error = refused(environ={}, directory=here, user_directory=user)
    assert error.code == "settings_unknown_name"
    assert (error.file, error.found, error.params["closest"]) == (str(file), name, closest)


def test_a_name_like_nothing_gets_the_whole_list(here: Path, user: Path) -> None:
    (user / "dispatcher.toml").write_text("xyzzy = 1\n")
    error = refused(environ={}, directory=here, user_directory=user)
    assert error.params["closest"].split(", ") == sorted(Settings.model_fields)


def test_other_programs_names_in_a_dotenv_are_left_alone(here: Path, user: Path) -> None:
    (here / ".env").write_text("DATABASE_URL=x\nDISPATCHER_SENDER=Clinica\n")
    assert load(environ={}, directory=here, user_directory=user).settings.sender == "Clinica"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("dispatcher.toml", b"sender = Clinica\n"),
        ("dispatcher.toml", b"sender = '\xe8'\n"),
        (".env", b"DISPATCHER_SENDER=\xe8\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(here: Path, user: Path, file: str, content: bytes) -> None:
    (here / file).write_bytes(content)
    error = refused(environ={}, directory=here, user_directory=user)
    assert (error.code, error.file) == ("settings_unreadable", str(here / file))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("rate_per_minute", "0"),
        ("rate_per_minute", "many"),
        ("default_region", "ITA"),
        ("max_cost", "-1"),
        ("max_cost", "NaN"),
        ("max_cost", "0.0000001"),
        ("max_cost", "1e30"),
        ("max_cost", "20 euro"),
        ("wallet", "Infinity"),
        ("timezone", "Rome"),
        ("timezone", "Europe"),
        ("timezone", "../../etc/passwd"),
        ("lang", "fr"),
        ("log", "chatty"),
        ("quiet_seconds", "0"),
        ("guard_days", "-1"),
        ("metrics_port", "70000"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(here: Path, user: Path, setting: str, value: str) -> None:
    error = refused(environ={PREFIX + setting.upper(): value}, directory=here, user_directory=user)
    assert error.code == "settings_invalid"
    assert error.exit_code == 2
    assert error.params["setting"] == setting
    assert error.params["source"] == "environment"
    assert (error.found or "").casefold() == value.casefold()
    for language in ("en", "it", "es"):
        assert all(error_lines(error, Wording(language)))


@pytest.mark.parametrize("log", ["debug", "INFO", "Warning"])
def test_log_levels_are_read_in_any_case(here: Path, user: Path, log: str) -> None:
    assert load({"log": log}, environ={}, directory=here, user_directory=user).settings.log == log.lower()


# --- secrets


def test_no_secret_is_shown(here: Path, user: Path) -> None:
    secrets = {f"{PREFIX}{name}": SECRET for name in ("TOKEN", "CALLBACK_SECRET", "ACCOUNT_KEY")}
    configuration = load({"gateway": "sandbox"}, environ=secrets, directory=here, user_directory=user)
    target = choose_target(configuration)
    for thing in (configuration, configuration.settings, target, target.token):
        assert SECRET not in repr(thing)
        assert SECRET not in str(thing)
    assert target.token.get_secret_value() == SECRET


@pytest.mark.parametrize("name", ["token", "callback_secret", "account_key"])
def test_a_secret_that_does_not_fit_is_named_and_not_shown(here: Path, user: Path, name: str) -> None:
    (here / "dispatcher.toml").write_text(f"{name} = 271828182845\n")
    error = refused(environ={}, directory=here, user_directory=user)
    assert (error.code, error.params["setting"]) == ("settings_invalid", name)
    assert "271828182845" not in str(error)
    assert "271828182845" not in "".join(error_lines(error, Wording("en")))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://ann:pw@db/sms", "postgresql+psycopg://…@db/sms"),
        ("https://ann:p/w@host", "https://…@host"),
        ("https://host/path", "https://host/path"),
        ("sqlite:////srv/sms/ledger.db", "sqlite:////srv/sms/ledger.db"),
        ("ann:pw@host", "…@host"),
    ],
)
def test_masked_urls(url: str, shown: str) -> None:
    assert masked(url) == shown


# --- where a call goes


def configured(
    gateway: str | None,
    token: str | None,
    *,
    origin: Origin = Origin.FLAG,
    token_origin: Origin = Origin.ENVIRONMENT,
) -> Configuration:
    settings = Settings(gateway=gateway, token=None if token is None else SecretStr(token))
    return Configuration(
        settings, {"gateway": origin, "token": token_origin} if gateway else {"token": token_origin}
    )


@pytest.mark.parametrize(
    ("gateway", "token", "kind", "url", "name", "real"),
    [
        (None, None, GatewayKind.SIMULATOR, None, "simulator", False),
        ("simulator", None, GatewayKind.SIMULATOR, None, "simulator", False),
        ("simulator", "abc", GatewayKind.SIMULATOR, None, "simulator", False),
        ("sandbox", "abc", GatewayKind.SANDBOX, HOSTS["sandbox"], "sandbox", False),
        ("production", "abc", GatewayKind.PRODUCTION, HOSTS["production"], "production", True),
        (HOSTS["production"], "abc", GatewayKind.PRODUCTION, HOSTS["production"], "production", True),
        (HOSTS["production"] + "/", "abc", GatewayKind.PRODUCTION, HOSTS["production"], "production", True),
        *(
            (spelling, "abc", GatewayKind.PRODUCTION, HOSTS["production"], "production", True)
            for spelling in ("HTTPS://SMS.openapi.com:443/", "https://sms.openapi.com.")
        ),
        (HOSTS["sandbox"], "abc", GatewayKind.SANDBOX, HOSTS["sandbox"], "sandbox", False),
        *(
            (spelling, "abc", GatewayKind.CUSTOM, "http://[::1]:90/v2", "http://[::1]:90/v2", True)
            for spelling in ("http://[::1]:90/v2", "HTTP://[::1]:90/v2//")
        ),
        (
            "https://sms.example/v2/",
            "abc",
            GatewayKind.CUSTOM,
            "https://sms.example/v2",
            "https://sms.example/v2",
            True,
        ),
        (
            "http://127.0.0.1:8090",
            "abc",
            GatewayKind.CUSTOM,
            "http://127.0.0.1:8090",
            "http://127.0.0.1:8090",
            True,
        ),
        ("http://[::1]:8090", "abc", GatewayKind.CUSTOM, "http://[::1]:8090", "http://[::1]:8090", True),
        ("http://localhost:1", "abc", GatewayKind.CUSTOM, "http://localhost:1", "http://localhost:1", True),
    ],
)
def test_the_target(
    gateway: str | None, token: str | None, kind: GatewayKind, url: str | None, name: str, real: bool
) -> None:
    target = choose_target(configured(gateway, token))
    assert (target.kind, target.base_url, target.name, target.real) == (kind, url, name, real)
    expected = "simulator" if kind is GatewayKind.SIMULATOR else token
    assert target.token.get_secret_value() == expected


@pytest.mark.parametrize(
    ("gateway", "token", "code"),
    [
        (None, "abc", "settings_token_without_gateway"),
        ("sandbox", None, "settings_token_missing"),
        ("production", None, "settings_token_missing"),
        ("https://sms.example", None, "settings_token_missing"),
        ("Production", "abc", "settings_gateway_unknown"),
        ("prod", "abc", "settings_gateway_unknown"),
        ("sms.openapi.com", "abc", "settings_gateway_unknown"),
        ("http://sms.openapi.com", "abc", "settings_gateway_unknown"),
        ("http://192.168.1.5:8090", "abc", "settings_gateway_unknown"),
        ("http://localhost.example", "abc", "settings_gateway_unknown"),
        ("http://127.0.0.1.example", "abc", "settings_gateway_unknown"),
        ("ftp://127.0.0.1", "abc", "settings_gateway_unknown"),
        ("https://", "abc", "settings_gateway_unknown"),
        ("https://[::1", "abc", "settings_gateway_unknown"),
        ("https://sms.example:port", "abc", "settings_gateway_unknown"),
        ("https://sms.example/?a=b", "abc", "settings_gateway_unknown"),
        ("https://sms.example/#a", "abc", "settings_gateway_unknown"),
        (f"https://ann:{SECRET}@sms.example", "abc", "settings_gateway_unknown"),
        (f"https://:{SECRET}@sms.example", "abc", "settings_gateway_unknown"),
    ],
)
def test_a_target_that_is_refused(gateway: str | None, token: str | None, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_target(configured(gateway, token))
    assert caught.value.code == code
    assert caught.value.exit_code == 2
    assert SECRET not in str(caught.value)


def test_a_token_without_a_gateway_says_where_it_comes_from() -> None:
    with pytest.raises(UsageError) as caught:
        choose_target(configured(None, SECRET, token_origin=Origin.DOTENV))
    assert caught.value.params == {"source": ".env"}
    assert SECRET not in "".join(error_lines(caught.value, Wording("en")))


FILES = (Origin.DOTENV, Origin.TOML, Origin.USER_DOTENV, Origin.USER_TOML)


@pytest.mark.parametrize("origin", SOURCES)
def test_only_flag_and_environment_send_a_token_to_a_stranger(origin: Origin) -> None:
    configuration = configured("https://sms.example", "abc", origin=origin)
    if origin in FILES:
        with pytest.raises(UsageError) as caught:
            choose_target(configuration)
        assert caught.value.code == "settings_token_to_stranger"
        assert caught.value.params == {"source": str(origin)}
    else:
        assert choose_target(configuration).base_url == "https://sms.example"


@pytest.mark.parametrize("origin", FILES)
@pytest.mark.parametrize("gateway", ["sandbox", "production", HOSTS["production"], "http://127.0.0.1:8090"])
def test_a_file_may_name_the_provider_and_this_machine(origin: Origin, gateway: str) -> None:
    assert choose_target(configured(gateway, "abc", origin=origin)).token == SecretStr("abc")


def test_a_stranger_in_a_file_is_refused_end_to_end(here: Path, user: Path) -> None:
    (here / "dispatcher.toml").write_text('gateway = "https://sms.example"\n')
    configuration = load(environ={"OPENAPI_TOKEN": "abc"}, directory=here, user_directory=user)
    with pytest.raises(UsageError, match="settings_token_to_stranger"):
        choose_target(configuration)


@pytest.mark.parametrize(
    ("gateway", "token", "code"),
    [
        (None, None, "settings_gateway_required"),
        (None, "abc", "settings_token_without_gateway"),
        ("simulator", None, None),
        ("sandbox", "abc", None),
    ],
)
def test_services_need_their_gateway_named(gateway: str | None, token: str | None, code: str | None) -> None:
    if code is None:
        assert choose_target(configured(gateway, token), must_be_named=True).name == gateway
        return
    with pytest.raises(UsageError) as caught:
        choose_target(configured(gateway, token), must_be_named=True)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1", True),
        ("http://127.8.9.10:80", True),
        ("http://[::1]:1/x", True),
        ("http://LOCALHOST", True),
        ("http://localhost.example", False),
        ("http://0.0.0.0", False),
        ("http://10.0.0.1", False),
        ("http://[::2]", False),
        ("nonsense", False),
    ],
)
def test_loopback(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


# --- where the account's credentials go


def of_account(
    gateway: str = "sandbox",
    email: str | None = "ann@clinic.example",
    key: str | None = SECRET,
    url: str | None = None,
    **origins: Origin,
) -> AccountTarget | None:
    settings = Settings(
        gateway=gateway,
        token=SecretStr("t"),
        account_email=email,
        account_key=None if key is None else SecretStr(key),
        account_url=url,
    )
    named = {"gateway": Origin.FLAG, "account_url": Origin.ENVIRONMENT, **origins}
    return choose_account(Configuration(settings, named))


@pytest.mark.parametrize(
    ("gateway", "url", "asked"),
    [
        ("sandbox", None, ACCOUNT_HOSTS["sandbox"]),
        ("production", None, ACCOUNT_HOSTS["production"]),
        (HOSTS["production"], None, ACCOUNT_HOSTS["production"]),
        ("https://sms.example/v2", None, "https://sms.example/v2"),
        ("http://127.0.0.1:9", None, "http://127.0.0.1:9"),
        ("sandbox", "http://localhost:9/", "http://localhost:9"),
        ("https://sms.example", "https://OAUTH.openapi.com/", ACCOUNT_HOSTS["production"]),
    ],
)
def test_where_the_account_is_asked(gateway: str, url: str | None, asked: str) -> None:
    found = of_account(gateway, url=url)
    assert found is not None
    assert found.base_url == asked
    assert SECRET not in repr(found)


def test_the_embedded_simulator_gets_no_real_credentials() -> None:
    found = of_account("simulator", url="https://oauth.openapi.com")
    assert found is not None
    assert (found.base_url, found.key.get_secret_value()) == (None, "simulator")


def test_without_credentials_nobody_is_asked() -> None:
    assert of_account(email=None, key=None) is None


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"email": None}, "settings_account_incomplete"),
        ({"key": None}, "settings_account_incomplete"),
        ({"url": "http://oauth.example"}, "settings_account_url"),
        ({"url": "https://ann:pw@oauth.example"}, "settings_account_url"),
        ({"url": "oauth"}, "settings_account_url"),
        ({"url": "https://oauth.example", "account_url": Origin.TOML}, "settings_account_to_stranger"),
        ({"url": "https://oauth.example", "account_url": Origin.DOTENV}, "settings_account_to_stranger"),
    ],
)
def test_where_the_accounts_key_does_not_go(wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        of_account(**wrong)
    assert (caught.value.code, caught.value.exit_code) == (code, 2)
    assert "pw" not in str(caught.value)
    for language in ("en", "it", "es"):
        assert all(error_lines(caught.value, Wording(language)))


def test_a_file_may_name_the_providers_own_account_host() -> None:
    found = of_account(url=ACCOUNT_HOSTS["production"], account_url=Origin.USER_TOML)
    assert found is not None
    assert found.base_url == ACCOUNT_HOSTS["production"]
