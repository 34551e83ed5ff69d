"""A server that a test starts, in a folder of its own that is deleted afterwards."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.ports import free_port


class Server:
    """Runs while its ``with`` block lasts; in between it can be stopped, and started on the same data and port."""

    name: str
    polite: signal.Signals  # how it is asked to end
    abrupt: signal.Signals  # how it is ended without the time to put its data in order

    def __init__(self) -> None:
        # not below pytest's folder: as root a server may have to run as another user, who may not enter that
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def __enter__(self) -> Self:
        try:
            self._prepare()
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
        """Start, and wait until it answers."""
        raise NotImplementedError

    def stop(self, *, at_once: bool = False) -> None:
        """End it; ``at_once`` as a power cut of its machine would."""
        if self._process is None:
            return
        self._process.send_signal(self.abrupt if at_once else self.polite)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=30)
        self._process = None

    def _prepare(self) -> None:
        """What has to be there before the first start."""

    def _launch(self, command: Sequence[str | Path], folder: Path, user: str | None = None) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                user=user,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_until_it_answers(
        self, ask: Callable[[], object], silent: tuple[type[Exception], ...], seconds: float
    ) -> None:
        """RuntimeError with its log when it ended, or is still silent after ``seconds``."""
        until = time.monotonic() + seconds
        while True:
            try:
                ask()
                return
            except silent:
                if self._process is None or self._process.poll() is not None or time.monotonic() > until:
                    log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
                    raise RuntimeError(f"{self.name} did not start:\n{log}") from None
                time.sleep(0.02)
