"""Listening on an address of this machine, and what a person can do where that is not possible."""

from __future__ import annotations

import errno
import socket

_LOOKED_AT = 50


def is_taken(error: OSError) -> bool:
    """Whether another program listens there already."""
    return error.errno == errno.EADDRINUSE


def problem_of(error: OSError) -> str:
    """The failure's name, as the catalogue's ``failures`` know it."""
    if isinstance(error, socket.gaierror):
        return "gaierror"
    return errno.errorcode.get(error.errno or 0, "OSError")


def free_port(host: str, port: int) -> int:
    """The next port after ``port`` that nobody listens on; 0, which takes any, where there is none close by."""
    for candidate in range(port + 1, min(port + 1 + _LOOKED_AT, 65_536)):
        try:
            family, _, _, _, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            with socket.create_server(address[:2], family=family):
                return candidate
        except OSError:
            continue
    return 0
