"""A machine of one's own, and a gateway that is not the product's own process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from tests.integration.inside import Inside
from tests.integration.processes import TOKEN, Cli, GatewayOutside

REPOSITORY = Path(__file__).parents[2]
FAST = "60000"  # requests a minute: nothing waits for the limit
KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH")


@contextmanager
def heeded_signals() -> Iterator[None]:
    """A process inherits what its parent ignores (nohup, a shell's background); these are to be heeded."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """A person's machine: an empty home, a working directory, a ledger of their own."""
    here, home = tmp_path / "here", tmp_path / "home"
    ledger = tmp_path / "ledger" / "ledger.db"
    here.mkdir()
    home.mkdir()
    env = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    env |= {"HOME": str(home), "USERPROFILE": str(home), "LANG": "C.UTF-8", "TZ": "Europe/Rome"}
    env |= {"PYTHONPATH": str(REPOSITORY)}
    env |= {"PYTHONFAULTHANDLER": "1", "PYTHONUTF8": "1"}
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        env[name] = str(home / name.lower())
    env |= {"DISPATCHER_LEDGER": f"sqlite:///{ledger}", "DISPATCHER_RATE_PER_MINUTE": FAST}
    env |= {"DISPATCHER_QUIET_SECONDS": "1"}
    cli = Cli(here, ledger, env)
    with heeded_signals():
        yield cli
        cli.kill_all()


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Inside:
    """The same machine without a process of its own for each command."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    inside = Inside(tmp_path / "here", monkeypatch, capsys)
    inside.set({"DISPATCHER_LEDGER": f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}"})
    inside.set({"DISPATCHER_RATE_PER_MINUTE": FAST, "DISPATCHER_QUIET_SECONDS": "1"})
    return inside


@pytest.fixture
def gateways(cli: Cli) -> Iterator[Callable[..., GatewayOutside]]:
    """Starts simulators; the last one is what dispatcher talks to, as named in the environment."""
    with ExitStack() as stack:

        def start(**config: Any) -> GatewayOutside:
            # workers ask what became of messages: unless a test is about that, they stay accepted while it lasts
            values = {
                "token": TOKEN,
                "requests_per_minute": None,
                "final_after": (86_400.0, 86_400.0),
                **config,
            }
            thread = stack.enter_context(SimulatorThread(SimulatorConfig(**values)))
            cli.env |= {"DISPATCHER_GATEWAY": thread.url, "DISPATCHER_TOKEN": TOKEN}
            return GatewayOutside(thread)

        yield start


@pytest.fixture
def gateway(gateways: Callable[..., GatewayOutside]) -> GatewayOutside:
    """A gateway that does everything right."""
    return gateways()
