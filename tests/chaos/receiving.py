"""``serve`` as a process under fire: killed and frozen, and started again on the port it had."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as later

import httpx

from tests.chaos.harness import PYTHON_FAILED, RUNNER, TRACEBACK, Account, Battlefield, end, until
from tests.servers.ports import free_port

SERVE = (*RUNNER[:-1], "serve")
LISTENS = 60.0  # seconds until it must
UNREACHABLE = 5


@dataclass
class Receiving:
    """What receives the callbacks of a battlefield's ledger; ``env``: how its machine reaches everything."""

    field: Battlefield
    account: Account
    name: str = "serve"
    env: Mapping[str, str] = later(default_factory=dict)
    port: int = later(default_factory=free_port)
    process: subprocess.Popen[bytes] = later(init=False)

    @property
    def url(self) -> str:
        """Where callbacks are taken."""
        return f"http://127.0.0.1:{self.port}/callbacks"

    def start(self) -> None:
        """Another process, once it listens."""
        self._launch()
        assert until(self._answers, LISTENS), f"{self.name} does not listen: {self._said()[-2_000:]}"

    def kill(self) -> None:
        """SIGKILL, and another one starts; AssertionError when it had ended by itself."""
        assert self.process.poll() is None, f"{self.name} ended by itself: {self._said()[-2_000:]}"
        end(self.process)
        self.account.events[f"{self.name} killed"] += 1
        self.start()

    def freeze(self, rng: random.Random, seconds: tuple[float, float]) -> None:
        """It stands still, the world does not."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(rng.uniform(*seconds))
        self.process.send_signal(signal.SIGCONT)
        self.account.events[f"{self.name} frozen"] += 1

    def leave(self) -> None:
        """SIGTERM: it stores and answers what is in hand, and ends well."""
        self.process.terminate()
        code = self.process.wait(timeout=60)
        assert code == 0, f"{self.name} ended with {code}: {self._said()[-2_000:]}"
        self.account.events[TRACEBACK] += self._said().count(PYTHON_FAILED)

    def gone(self) -> None:
        """However it is, it is no more."""
        if self.process.poll() is None:
            end(self.process)

    def _said(self) -> str:
        return (self.field.folder / f"{self.name}.log").read_text(encoding="utf-8", errors="replace")

    def _launch(self) -> None:
        self.process = self.field.launch([*SERVE, "--port", str(self.port), "--json"], self.name, self.env)

    def _answers(self) -> bool:
        if self.process.poll() == UNREACHABLE:  # the ledger's server is away
            self._launch()
        assert self.process.poll() is None, f"{self.name} ended by itself: {self._said()[-2_000:]}"
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=5).status_code in (200, 503)
        except httpx.TransportError:
            return False
