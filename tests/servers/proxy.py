"""A TCP proxy on 127.0.0.1 that can stall and drop what goes through it: a cable, for tests to pull."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType


class Proxy:
    """Passes every connection on to ``port`` of ``host`` while its ``with`` block lasts.

    ``stall()`` holds everything back and accepts connections that then hear nothing; ``cut()`` drops every connection
    and refuses new ones; ``mend()`` ends both, and what was held back goes on.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._to = host, port
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._talks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._call(self._ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def stall(self) -> None:
        """Nothing goes through, nothing is dropped."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def cut(self) -> None:
        """Every connection is reset, and new ones are refused."""
        self._call(self._close())

    def mend(self) -> None:
        """As if nothing had been."""
        self._call(self._open())

    def _call(self, step: object) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(timeout=10)  # type: ignore[arg-type]

    async def _open(self) -> None:
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        self._flowing.set()

    async def _ended(self) -> None:
        """A task that is left behind is destroyed some time, in the middle of another test."""
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)
        self._writers.add(writer)
        try:
            there, to_there = await asyncio.open_connection(*self._to)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(to_there)
        try:
            await asyncio.gather(self._pump(reader, to_there), self._pump(there, writer))
        finally:
            for each in (writer, to_there):
                self._writers.discard(each)
                each.close()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._flowing.wait()
                target.write(data)
                await target.drain()
        with suppress(OSError, RuntimeError):
            target.close()
