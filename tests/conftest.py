"""What every test stands on: nothing of the machine's own settings is read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer

SETTINGS = ("DISPATCHER_", "OPENAPI_")
KEPT = "DISPATCHER_TEST_"  # where a test run finds its servers, not a setting
LANGUAGE = ("LC_ALL", "LC_MESSAGES", "LANGUAGE")


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
    """An empty home and an empty working directory, no setting in the environment, English."""
    machine = _new_machine()
    for name in list(os.environ):
        if name.startswith(SETTINGS) and not name.startswith(KEPT):
            monkeypatch.delenv(name)
    for name in LANGUAGE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    home = machine / "home"
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    monkeypatch.chdir(machine / "here")
    return machine


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test process; every test makes a database of its own."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """The name of an empty database of this test's own."""
    name = postgres.new_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A server of the Redis protocol of this test process; keys are named after what a test makes up."""
    with ValkeyServer() as server:
        yield server
