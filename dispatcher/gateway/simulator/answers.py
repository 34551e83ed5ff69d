"""Refusals as the API words them: ``{"code", "message"}`` under an HTTP status."""

from __future__ import annotations

from dispatcher.gateway.models import ErrorCode

INVALID_FIELD = 9422
MULTIPLE_PARTS = 9423
"""Two codes of our own: the description has none for a field of the wrong form, nor for a text of several
parts that ``failOnMultipleMessages`` refuses.  Where a whole status has no code, the status is the code."""


class Refused(Exception):
    """The request is not accepted."""

    def __init__(self, status: int, code: int, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"{status} {code}")


def invalid(field: str, expected: str) -> Refused:
    """A field that is missing or of the wrong form."""
    return Refused(422, INVALID_FIELD, f"{field}: expected {expected}")


def unreadable() -> Refused:
    """A body that is not JSON."""
    return Refused(400, 400, "The body is not JSON")


def unauthorized() -> Refused:
    """No bearer token, or not one of ours."""
    return Refused(401, 401, "The bearer token is missing or unknown")


def no_credit() -> Refused:
    """The wallet does not hold what the message needs."""
    return Refused(402, 402, "Not enough credit")


def token_limit(status: int) -> Refused:
    """The token was limited by the account it belongs to, and has reached that."""
    return Refused(status, status, "The token has reached a limit")


def account_blocklisted() -> Refused:
    """Every later send of a blocklisted account fails."""
    return Refused(403, ErrorCode.BLOCKLISTED, "This account is on the blocklist")


def not_found() -> Refused:
    """No such message, or no such call."""
    return Refused(404, 404, "Not found")


def forbidden(code: int) -> Refused:
    """A forbidden word in text or sender."""
    return Refused(422, code, "The content is not allowed")
