"""The container files say what dispatcher understands: commands, settings, a pair of servers that it accepts."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import SecretStr

from dispatcher.application import check_pairing, is_distributed
from dispatcher.cli.app import MODULES
from dispatcher.delivery.receiver import HEALTH_PATH, STATUSES
from dispatcher.gateway.client import GatewayConfig
from dispatcher.gateway.signing import SIGNATURE_HEADER
from dispatcher.serving import LAST_SECONDS
from dispatcher.settings import PREFIX, Settings, choose_target, load
from dispatcher.watch.folder import Place
from dispatcher.watch.orders import KEYS

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
WATCHING = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
DELIVERY = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
SCHEDULES = (ROOT / "docs" / "schedules.md").read_text(encoding="utf-8")
GIVEN = {"POSTGRES_PASSWORD": "abc123", "DISPATCHER_GATEWAY": "production", "DISPATCHER_TOKEN": "token"}
COMMANDS = set(MODULES)


def interpolated(text: str) -> str:
    """As Docker Compose does it; what is neither given nor has a default must be asked for by name."""

    def value(found: re.Match[str]) -> str:
        name, how, default = found[1], found[2], found[3]
        return GIVEN[name] if name in GIVEN else (default if how == ":-" else pytest.fail(name))

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)


def compose() -> dict[str, Any]:
    found = yaml.safe_load(interpolated((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    assert isinstance(found, dict)
    return found


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, in order."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def last(name: str) -> str:
    return [rest for each, rest in instructions() if each == name][-1]


def test_the_image_runs_dispatcher_and_not_as_root() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["dispatcher"]
    assert json.loads(last("CMD"))[0] in COMMANDS
    checked = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert checked == ["dispatcher", "health"]
    assert "health" in COMMANDS
    user = last("USER")
    assert user not in ("root", "0")
    assert any(name == "RUN" and "useradd" in rest and user in rest for name, rest in instructions())


def test_the_image_has_all_packages_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {word for name, rest in instructions() if name == "COPY" for word in rest.split()[:-1]}
    assert copied == {"pyproject.toml", project["project"]["readme"], *packages}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == copied


def test_the_python_of_the_image_is_one_that_dispatcher_supports() -> None:
    found = re.search(r"^python:3\.(\d+)", last("FROM"))
    assert found is not None
    assert int(found[1]) >= 11


@pytest.mark.parametrize("name", ["worker", "scheduler", "watcher", "callbacks"])
def test_every_command_and_setting_of_a_service_exists(name: str) -> None:
    described = service(name)
    assert described["command"][0] in COMMANDS
    settings = {key for key in described["environment"] if key.startswith(PREFIX)}
    assert {key.removeprefix(PREFIX).lower() for key in settings} <= set(Settings.model_fields)


def test_the_workers_settings_are_accepted(tmp_path: Path) -> None:
    environment = {key: str(value) for key, value in service("worker")["environment"].items()}
    configuration = load(environ=environment, directory=tmp_path, user_directory=tmp_path)
    broker, ledger = configuration.settings.broker, configuration.settings.ledger
    check_pairing(broker, ledger)
    assert is_distributed(broker)
    assert choose_target(configuration, must_be_named=True).real
    assert {urlsplit(broker).hostname, urlsplit(ledger).hostname} <= set(compose()["services"])
    database = service("postgres")["environment"]
    assert urlsplit(ledger).username == database["POSTGRES_USER"]
    assert urlsplit(ledger).password == database["POSTGRES_PASSWORD"]
    assert urlsplit(ledger).path == f"/{database['POSTGRES_DB']}"


def test_the_scheduler_is_a_worker_that_also_sees_the_files() -> None:
    scheduler, worker = service("scheduler"), service("worker")
    assert scheduler["command"] == ["schedule", "run"]
    for shared in ("build", "environment", "depends_on", "stop_grace_period", "restart"):
        assert scheduler[shared] == worker[shared], shared
    (mount,) = scheduler["volumes"]
    assert mount.endswith(":/files")
    example = re.search(r"docker compose exec scheduler dispatcher (.+)", SCHEDULES)
    assert example is not None
    assert "--file /files/" in example[1]


def test_callbacks_are_received_where_the_worker_has_them_sent(tmp_path: Path) -> None:
    callbacks, worker = service("callbacks"), service("worker")
    assert (callbacks["environment"], callbacks["restart"]) == (worker["environment"], worker["restart"])
    command = iter(callbacks["command"][1:])
    options = dict(zip(command, command, strict=True))
    assert options["--host"] == "0.0.0.0"  # within the container; outside it is this machine's alone
    assert callbacks["ports"] == [f"127.0.0.1:{options['--port']}:{options['--port']}"]
    asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", callbacks["healthcheck"]["test"][-1])
    assert asked is not None
    assert asked.groups() == (options["--port"], HEALTH_PATH)
    assert callbacks["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert int(callbacks["stop_grace_period"].removesuffix("s")) > LAST_SECONDS
    # neither address nor secret has to be there
    environment = {key: str(value) for key, value in callbacks["environment"].items()}
    settings = load(environ=environment, directory=tmp_path, user_directory=tmp_path).settings
    assert (settings.callback_url, settings.callback_secret) == (None, None)


def test_redis_forgets_nothing() -> None:
    words = " ".join(service("redis")["command"])
    assert "--maxmemory-policy noeviction" in words
    assert "--appendonly yes" in words


@pytest.mark.parametrize(("name", "folder"), [("redis", "/data"), ("postgres", "/var/lib/postgresql/data")])
def test_what_a_server_keeps_outlives_its_container(name: str, folder: str) -> None:
    (mount,) = service(name)["volumes"]
    volume, _, place = mount.partition(":")
    assert (place, volume in compose()["volumes"]) == (folder, True)
    assert all(port.startswith("127.0.0.1:") for port in service(name)["ports"])


def test_workers_wait_for_their_servers_and_may_finish_what_they_began() -> None:
    worker = service("worker")
    assert worker["deploy"]["replicas"] >= 2
    for name in ("redis", "postgres"):
        assert worker["depends_on"][name]["condition"] == "service_healthy"
        assert service(name)["healthcheck"]["test"][0] == "CMD"
    request = GatewayConfig(base_url="https://gateway.example", token=SecretStr("t")).timeout
    assert int(worker["stop_grace_period"].removesuffix("s")) >= 2 * request


def test_the_watcher_is_a_worker_that_also_sees_the_folder() -> None:
    watcher, worker = service("watcher"), service("worker")
    for shared in ("environment", "depends_on", "stop_grace_period", "restart"):
        assert watcher[shared] == worker[shared], shared
    folder, kept = (mount.rpartition(":") for mount in watcher["volumes"])
    assert watcher["command"] == ["watch", folder[2]]
    assert "WATCHED_FOLDER" in WATCHING
    assert kept[0] in compose()["volumes"]
    # made in the image by its user, or a new volume there would be root's
    assert any(
        name == "RUN" and kept[2] in rest and f"--owner={last('USER')}" in rest
        for name, rest in instructions()
    )


def test_every_command_and_setting_of_the_watchers_guide_exists() -> None:
    assert set(re.findall(r"`dispatcher ([a-z]+)", WATCHING)) <= COMMANDS
    keys = re.search(r"```toml\n(.+?)```", WATCHING, re.DOTALL)
    assert keys is not None
    assert set(tomllib.loads(keys[1])) == set(KEYS)
    named = {name.lower() for name in re.findall(rf"{PREFIX}([A-Z_]+)", WATCHING)}
    assert named <= set(Settings.model_fields)
    for place in Place:
        assert f"`{place}`" in WATCHING


def test_the_guide_to_delivery_says_what_is_so() -> None:
    assert set(re.findall(r"`dispatcher ([a-z]+)", DELIVERY)) <= COMMANDS
    named = {name.lower() for name in re.findall(rf"{PREFIX}([A-Z_]+)", DELIVERY)}
    assert named <= set(Settings.model_fields)
    assert SIGNATURE_HEADER in DELIVERY
    table = {int(status) for status in re.findall(r"^\| (\d{3}) \|", DELIVERY, re.MULTILINE)}
    assert table == {*STATUSES.values(), 404, 405}


def test_every_command_and_setting_of_the_operators_guide_exists() -> None:
    assert set(re.findall(r"`dispatcher ([a-z]+)", OPERATIONS)) <= COMMANDS
    in_blocks = "\n".join(re.findall(r"```\n(.+?)```", OPERATIONS, re.DOTALL))
    assert set(re.findall(r"^dispatcher ([a-z]+)", in_blocks, re.MULTILINE)) <= COMMANDS
    named = {name.lower() for name in re.findall(rf"{PREFIX}([A-Z_]+)", OPERATIONS)}
    assert named <= set(Settings.model_fields)
