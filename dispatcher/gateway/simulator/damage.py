"""Answers broken on purpose, on the socket itself."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

from aiohttp import web

_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
_HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"


def reset(request: web.BaseRequest) -> web.Response:
    """Drop the connection with a TCP reset; the response that is returned goes nowhere."""
    if (transport := request.transport) is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        transport.abort()
    return web.Response()


def close(request: web.BaseRequest, written: bytes = b"") -> web.Response:
    """Write these bytes and close in good order; the response that is returned goes nowhere."""
    if isinstance(transport := request.transport, asyncio.Transport):
        transport.write(written)
        transport.close()
    return web.Response()


def half_header(request: web.BaseRequest) -> web.Response:
    """An answer that stops inside its header."""
    return close(request, _HEAD[: len(_HEAD) - 9])


def half_answer(request: web.BaseRequest, body: bytes) -> web.Response:
    """An answer that promises its whole body and sends half."""
    return close(request, _HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[: len(body) // 2])


def garbage() -> web.Response:
    """A success that is not JSON."""
    return web.Response(status=201, body=b"<html>Bad Gateway", content_type="application/json")
