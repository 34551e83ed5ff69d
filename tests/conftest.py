"""What every test stands on: nothing of the machine's own settings is read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers.postgres import Postgres, PostgresServer
from tests.servers.valkey import OwnDatabase, Valkey, ValkeyServer

SETTINGS = ("DISPATCHER_", "OPENAPI_")
KEPT = "DISPATCHER_TEST_"  # where a test run finds its servers, not a setting
NAMED_POSTGRES, NAMED_REDIS = "DISPATCHER_TEST_POSTGRES", "DISPATCHER_TEST_REDIS"
LANGUAGE = ("LC_ALL", "LC_MESSAGES", "LANGUAGE")


def pytest_configure() -> None:
    """How long an example takes is no mistake: other tests run beside it."""
    settings.register_profile("untimed", settings(), deadline=None)
    settings.load_profile("untimed")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are processors: half of the longest tests wait for processes of their own."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def _new_machine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    machines, numbers = tmp_path_factory.mktemp("machines"), itertools.count()

    def new() -> Path:
        machine = machines / str(next(numbers))
        for folder in ("home", "here"):
            (machine / folder).mkdir(parents=True)
        return machine

    return new


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, _new_machine: Callable[[], Path]) -> Path:
    """An empty home and an empty working directory, no setting in the environment, English, Rome."""
    machine = _new_machine()
    for name in list(os.environ):
        if name.startswith(SETTINGS) and not name.startswith(KEPT):
            monkeypatch.delenv(name)
    for name in LANGUAGE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TZ", "Europe/Rome")
    home = machine / "home"
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    monkeypatch.chdir(machine / "here")
    return machine


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL that is named, else one of this test process; every test makes a database of its own."""
    if named := os.environ.get(NAMED_POSTGRES):
        yield Postgres(named)
        return
    with PostgresServer() as server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The name of an empty database of this test's own."""
    name = postgres.new_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    """The server of the Redis protocol that is named, else one of this test process."""
    if named := os.environ.get(NAMED_REDIS):
        yield Valkey(named)
        return
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def valkey(valkey_server: Valkey) -> Iterator[OwnDatabase]:
    """An empty database of this test's own."""
    with valkey_server.own() as database:
        yield database
