"""Why there is no connection: what sockets, TLS and names fail with, as one of a few codes."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from dispatcher.gateway.causes import Cause, not_connected


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def certificate(code: int, message: str) -> ssl.SSLCertVerificationError:
    failure = ssl.SSLCertVerificationError(1, "certificate verify failed")
    failure.verify_code, failure.verify_message = code, message
    return failure


def tls(reason: str | None) -> ssl.SSLError:
    failure = ssl.SSLError(1, "[SSL] it says more than one line can hold")
    failure.reason = reason  # type: ignore[assignment]
    return failure


FAILURES: list[tuple[Exception, str]] = [
    (system(errno.ECONNREFUSED), "connection_refused"),
    (ConnectionRefusedError(), "connection_refused"),  # Windows gives it other numbers
    (system(errno.ETIMEDOUT), "connection_late"),
    (system(errno.EHOSTUNREACH), "no_route"),
    (system(errno.ENETUNREACH), "network_unreachable"),
    (system(errno.ENETDOWN), "network_unreachable"),
    (system(errno.ECONNRESET), "hung_up"),
    (system(errno.EPIPE), "hung_up"),
    (ConnectionResetError(), "hung_up"),
    (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "hung_up"),
    (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "host_unknown"),
    (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "host_unresolved"),
    (UnicodeError("label too long"), "host_unknown"),
    (certificate(10, "certificate has expired"), "tls_expired"),
    (certificate(9, "certificate is not yet valid"), "tls_not_yet_valid"),
    (certificate(18, "self-signed certificate"), "tls_self_signed"),
    (certificate(19, "self-signed certificate in certificate chain"), "tls_unknown_authority"),
    (certificate(20, "unable to get local issuer certificate"), "tls_unknown_authority"),
    (certificate(62, "Hostname mismatch"), "tls_other_host"),
    (certificate(64, "IP address mismatch"), "tls_other_host"),
    (certificate(23, "certificate revoked"), "tls_certificate: certificate revoked"),
    (tls("WRONG_VERSION_NUMBER"), "tls_not_spoken"),
    (tls("TLSV1_ALERT_INTERNAL_ERROR"), "tls_failed: TLSV1_ALERT_INTERNAL_ERROR"),
    # rarer: as the system says it
    (system(errno.EMFILE), f"not_connected: {os.strerror(errno.EMFILE).lower()}"),
    (OSError("could not"), "not_connected: OSError"),
    (OSError(-12_345, "no such number"), "not_connected: OSError"),
]


@pytest.mark.parametrize(("failure", "cause"), FAILURES)
def test_a_failure_to_connect_has_a_cause(failure: Exception, cause: str) -> None:
    assert not_connected(failure) == cause


def test_every_address_failed_in_its_own_way() -> None:
    """As aiohappyeyeballs tells it: IPv6 has no route here, and behind IPv4's address nobody listens."""
    both = (
        f"[Errno {errno.ENETUNREACH}] Connect call failed ('2001:db8::1', 443, 0, 0)",
        f"[Errno {errno.ECONNREFUSED}] Connect call failed ('192.0.2.1', 443)",
    )
    assert not_connected(OSError(f"Multiple exceptions: {', '.join(both)}")) == "connection_refused"


def test_no_address_is_told() -> None:
    failure = OSError(errno.EADDRNOTAVAIL, "Connect call failed ('192.0.2.1', 443)")
    assert "192.0.2.1" not in not_connected(failure)
    assert not_connected(failure).startswith(Cause.NOT_CONNECTED)
