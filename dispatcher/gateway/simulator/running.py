"""Running the stand-in: in a background thread of a program that has no loop, or as a whole process."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any

from dispatcher.gateway.simulator.config import SimulatorConfig
from dispatcher.gateway.simulator.server import Simulator, utc_now


class SimulatorThread:
    """A simulator in a background thread with a loop of its own, for a program that has none.

    A context manager: inside it the simulator answers at ``url``; what it received stays readable afterwards.
    """

    def __init__(
        self, config: SimulatorConfig, *, host: str = "127.0.0.1", port: int = 0, **simulator: Any
    ) -> None:
        self.simulator = Simulator(config, **simulator)
        self.url = ""
        self._address = (host, port)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None

    def start(self) -> str:
        """Start and return the base URL.  Raises what :meth:`Simulator.start` raises."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="simulator", daemon=True)
        self._thread.start()
        ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self.url

    def stop(self) -> None:
        """Stop and wait until the port is free and the state is written; harmless when it is not running."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> SimulatorThread:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, ready: threading.Event) -> None:
        self._failure = None
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:  # handed to the thread that waits in start()  # noqa: BLE001
            self._failure = error
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.url = await self.simulator.start(*self._address)
        ready.set()
        try:
            await self._stop.wait()
        finally:
            await self.simulator.stop()


def run(
    config: SimulatorConfig,
    host: str = "127.0.0.1",
    port: int = 8090,
    *,
    on_started: Callable[[str], None] = lambda url: None,
    on_stopped: Callable[[], None] = lambda: None,
    clock: Callable[[], datetime] = utc_now,
) -> None:
    """Serve until SIGINT or SIGTERM; call it in the main thread.

    ``on_started`` gets the base URL once it answers.  Raises what :meth:`Simulator.start` raises.
    """

    async def serve() -> None:
        simulator = Simulator(config, clock=clock)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows: asyncio.run turns Ctrl-C into a cancellation
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        on_started(await simulator.start(host, port))
        try:
            await stop.wait()
        finally:
            await simulator.stop()

    with suppress(KeyboardInterrupt):
        asyncio.run(serve())
    on_stopped()
