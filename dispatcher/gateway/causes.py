"""Why there is no answer, or none that can be used: stable codes, which the catalogue words under ``causes``.

A cause is told as ``code`` or as ``code: rest``, where the rest is a number, another cause, or what the system says.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Mapping
from enum import StrEnum


class Cause(StrEnum):
    """What went wrong, without addresses: a proxy's may hold a password."""

    # there is no connection
    NOT_CONNECTED = "not_connected"  # and why, as the system says it
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_LATE = "connection_late"
    NO_FREE_CONNECTION = "no_free_connection"
    HOST_UNKNOWN = "host_unknown"
    HOST_UNRESOLVED = "host_unresolved"
    NO_ROUTE = "no_route"
    NETWORK_UNREACHABLE = "network_unreachable"
    HUNG_UP = "hung_up"
    TLS_CERTIFICATE = "tls_certificate"  # and why, in OpenSSL's words
    TLS_EXPIRED = "tls_expired"
    TLS_NOT_YET_VALID = "tls_not_yet_valid"
    TLS_SELF_SIGNED = "tls_self_signed"
    TLS_UNKNOWN_AUTHORITY = "tls_unknown_authority"
    TLS_OTHER_HOST = "tls_other_host"
    TLS_NOT_SPOKEN = "tls_not_spoken"
    TLS_FAILED = "tls_failed"  # and why, in OpenSSL's words
    PROXY_NOT_CONNECTED = "proxy_not_connected"  # and the cause
    PROXY_ANSWERED = "proxy_answered"  # and the status
    PROXY_HUNG_UP = "proxy_hung_up"
    PROXY_NOT_HTTP = "proxy_not_http"
    # there is one, and no answer
    ANSWER_LATE = "answer_late"
    ANSWER_BROKEN_OFF = "answer_broken_off"
    ANSWER_NOT_HTTP = "answer_not_http"
    ANSWER_TOO_LONG = "answer_too_long"
    ANSWER_NOT_DECODED = "answer_not_decoded"
    INTERRUPTED = "interrupted"
    UNEXPECTED = "unexpected"  # and the exception's class
    # there is an answer
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a cause
    PAYMENT_REQUIRED = "payment_required"
    ACCESS_DENIED = "access_denied"
    REQUEST_LATE = "request_late"
    REQUEST_EARLY = "request_early"
    THROTTLED = "throttled"
    REFUSED = "refused"  # and the provider's code
    FORBIDDEN_TEXT = "forbidden_text"  # and the provider's code
    ACCOUNT_BLOCKLISTED = "account_blocklisted"
    STRANGE_REFUSAL = "strange_refusal"  # and the status, as the next four
    REDIRECT = "redirect"
    SERVER_FAILED = "server_failed"
    UNUSUAL = "unusual"
    UNREADABLE = "unreadable"
    DRY_RUN_INSTEAD = "dry_run_instead"

    def of(self, rest: object) -> str:
        """The cause with what belongs to it."""
        return f"{self}: {rest}"


_CAUSES = frozenset(Cause)
_MOST = 200  # characters; enough for whatever the system says


def told(exc: BaseException) -> str:
    """The cause that an exception of the transport's tells; of any other one its class, and nothing that it says."""
    said = str(exc)[:_MOST]
    return said if said.partition(": ")[0] in _CAUSES else Cause.UNEXPECTED.of(type(exc).__name__)


_CERTIFICATE: Mapping[int, Cause] = {  # X509_V_ERR_… of OpenSSL's x509_vfy.h
    9: Cause.TLS_NOT_YET_VALID,
    10: Cause.TLS_EXPIRED,
    18: Cause.TLS_SELF_SIGNED,
    19: Cause.TLS_UNKNOWN_AUTHORITY,  # self-signed, but higher up: somebody's own authority
    20: Cause.TLS_UNKNOWN_AUTHORITY,
    21: Cause.TLS_UNKNOWN_AUTHORITY,
    62: Cause.TLS_OTHER_HOST,
    64: Cause.TLS_OTHER_HOST,  # an IP address
}
_CLASSES: tuple[tuple[type[Exception], Cause], ...] = (
    (ConnectionRefusedError, Cause.CONNECTION_REFUSED),
    (TimeoutError, Cause.CONNECTION_LATE),
    (ConnectionError, Cause.HUNG_UP),
    (ssl.SSLEOFError, Cause.HUNG_UP),
    (UnicodeError, Cause.HOST_UNKNOWN),  # a name that cannot be one
)
_SYSTEM: Mapping[int, Cause] = {  # what has no class of its own
    errno.EHOSTUNREACH: Cause.NO_ROUTE,
    errno.EHOSTDOWN: Cause.NO_ROUTE,
    errno.ENETUNREACH: Cause.NETWORK_UNREACHABLE,
    errno.ENETDOWN: Cause.NETWORK_UNREACHABLE,
}
_OF_EACH_ADDRESS = re.compile(r"\[Errno (\d+)\]")


def not_connected(failure: Exception) -> str:
    """Why no connection came about, from what sockets, TLS and the looking up of names fail with."""
    if isinstance(failure, socket.gaierror):
        return Cause.HOST_UNRESOLVED if failure.errno == socket.EAI_AGAIN else Cause.HOST_UNKNOWN
    if isinstance(failure, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(failure.verify_code) or Cause.TLS_CERTIFICATE.of(failure.verify_message)
    for kind, cause in _CLASSES:
        if isinstance(failure, kind):
            return cause
    if isinstance(failure, ssl.SSLError):
        not_spoken = failure.reason == "WRONG_VERSION_NUMBER"
        return Cause.TLS_NOT_SPOKEN if not_spoken else Cause.TLS_FAILED.of(failure.reason)
    if isinstance(failure, OSError):
        return _by_number(failure)
    return Cause.NOT_CONNECTED.of(type(failure).__name__)


def _by_number(failure: OSError) -> str:
    numbers = _OF_EACH_ADDRESS.findall(str(failure))
    if failure.errno is None and numbers:  # each address failed in its own way; the last is IPv4's, as a rule
        return not_connected(OSError(int(numbers[-1]), ""))
    number = failure.errno or 0
    if number in _SYSTEM:
        return _SYSTEM[number]
    known = number in errno.errorcode
    return Cause.NOT_CONNECTED.of(os.strerror(number).lower() if known else type(failure).__name__)
