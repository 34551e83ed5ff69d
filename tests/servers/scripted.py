"""A server on loopback that says what a script makes it say, byte for byte, and counts the requests that reach it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


class Conversation:
    """One connection, seen by the server."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self.reader, self.writer = server, reader, writer

    async def request(self) -> bytes:
        """Read a whole request, and count it."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await self.reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
        self._server.requests.append(head + body)
        return head + body

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Send RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Conversation], Awaitable[None]]


@dataclass
class Server:
    """A server on loopback whose every connection runs the script, then is closed."""

    script: Script
    ssl: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.script(Conversation(self, reader, writer))
        finally:
            self._tasks.discard(task)
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        listener = await asyncio.start_server(self, "127.0.0.1", 0, ssl=self.ssl)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def http(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(answer: bytes) -> Script:
    async def script(talk: Conversation) -> None:
        while True:
            await talk.request()
            await talk.write(answer)

    return script


def once(answer: bytes) -> Script:
    """Answer one request, then close."""

    async def script(talk: Conversation) -> None:
        await talk.request()
        await talk.write(answer)

    return script


async def close_at_once(talk: Conversation) -> None:
    """Say nothing."""
