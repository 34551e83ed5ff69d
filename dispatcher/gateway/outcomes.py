"""What an answer, or the lack of one, means for a row: one table.  Callers branch on the outcome only.

The promise behind the table: a row is sent again only when the request provably never left or was turned
away unread. Whatever proves neither that nor acceptance is *in doubt*.

    200, 201 with data and id         accepted    the id proves that the gateway has the message
    another 2xx, an unreadable body   in doubt
    3xx                               in doubt    never followed; nobody knows who answered
    401, 402, 403                     halt        the row was turned away; so would be the next one
    4xx with the provider's code      refused     this row is wrong
    4xx without it, 408, 425          in doubt    a proxy or a wrong address spoke, not the gateway
    429                               throttled   turned away; everybody slows down
    5xx                               in doubt    with a Retry-After too: it says when, not what happened
    code 2020                         halt        every campaign: the account is blocklisted
    code 2044, 2050                   halt        forbidden content; 2044 to a dry run only refuses the text
    ``blocklisted: true`` anywhere    halt        every campaign; a message that came along was charged

Proved on real sockets by ``tests/integration/test_outcomes_on_sockets.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import httpx

from dispatcher.gateway.answers import (
    ANSWER_ESSENTIALS,
    error_code,
    read_date,
    read_message,
    read_object,
    read_retry_after,
    says_blocklisted,
)
from dispatcher.gateway.causes import Cause, told
from dispatcher.gateway.models import ErrorCode, Message


class Outcome(StrEnum):
    """What a sender does next."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    THROTTLED = "throttled"
    NOT_SENT = "not_sent"
    IN_DOUBT = "in_doubt"
    HALT = "halt"


class Verdict(NamedTuple):
    """An answer judged.  ``detail`` is a Cause with what belongs to it: no phone number, no text, no secret."""

    outcome: Outcome
    message: Message | None = None
    http_status: int | None = None
    code: int | None = None
    detail: str = ""
    retry_after: float | None = None
    """Seconds, bounded."""
    account_wide: bool = False
    """A halt that stops every campaign of the account."""
    forbidden: bool = False
    """Forbidden content was found."""
    server_date: datetime | None = None
    """The answer's ``Date``, aware UTC."""
    unsure: bool = False
    """A halt whose answer does not say what became of the row."""
    stranger: bool = False
    """The answer does not look like the gateway's: a wrong address, a proxy.  The next one will look the
    same.
    """

    @property
    def row(self) -> Outcome:
        """What the answer says about the row alone; never HALT.

        After a halt: ACCEPTED when a message came with it (it was charged), REFUSED for forbidden content,
        IN_DOUBT when the answer does not tell, and NOT_SENT when the request was turned away.
        """
        if self.outcome is not Outcome.HALT:
            return self.outcome
        if self.message is not None:
            return Outcome.ACCEPTED
        if self.forbidden:
            return Outcome.REFUSED
        return Outcome.IN_DOUBT if self.unsure else Outcome.NOT_SENT


_STATUSES: Mapping[int, Verdict] = {
    401: Verdict(Outcome.HALT, detail=str(Cause.TOKEN_REFUSED)),
    402: Verdict(Outcome.HALT, detail=str(Cause.PAYMENT_REQUIRED)),
    403: Verdict(Outcome.HALT, detail=str(Cause.ACCESS_DENIED)),
    408: Verdict(Outcome.IN_DOUBT, detail=str(Cause.REQUEST_LATE)),
    425: Verdict(Outcome.IN_DOUBT, detail=str(Cause.REQUEST_EARLY)),
    429: Verdict(Outcome.THROTTLED, detail=str(Cause.THROTTLED)),
}

_FORBIDDEN = frozenset({ErrorCode.FORBIDDEN, ErrorCode.FORBIDDEN_DRY_RUN})


def judge_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, dry_run: bool, now: datetime
) -> Verdict:
    """What the answer to a send (or to a dry run) means.

    ``headers``: names in lower case.  ``now``: aware;
    only for a ``Retry-After`` given as a date, where there is no ``Date``.  For a dry run the outcomes are the
    same, though no money can be in doubt.
    """
    document = read_object(body)
    code, server_date = error_code(document), read_date(headers.get("date"))
    verdict = _danger(status, document, code, dry_run) or _ordinary(status, document, code, dry_run)
    return verdict._replace(
        http_status=status,
        code=code,
        # a time is meant by the clock of who wrote it
        retry_after=read_retry_after(headers.get("retry-after"), server_date or now),
        server_date=server_date,
    )


def _danger(status: int, document: dict[str, Any] | None, code: int | None, dry_run: bool) -> Verdict | None:
    """Blocklisting and forbidden content come first, under whatever status they arrive."""
    blocklisted, forbidden = says_blocklisted(document), code in _FORBIDDEN
    if code == ErrorCode.FORBIDDEN_DRY_RUN and dry_run and not blocklisted:
        return Verdict(Outcome.REFUSED, detail=Cause.FORBIDDEN_TEXT.of(code), forbidden=True)
    if not (blocklisted or forbidden or code == ErrorCode.BLOCKLISTED):
        return None
    account_wide = blocklisted or code == ErrorCode.BLOCKLISTED
    return Verdict(
        Outcome.HALT,
        message=read_message((document or {}).get("data"), ANSWER_ESSENTIALS),
        detail=str(Cause.ACCOUNT_BLOCKLISTED) if account_wide else Cause.FORBIDDEN_TEXT.of(code),
        account_wide=account_wide,
        forbidden=forbidden,
        unsure=blocklisted or not 400 <= status < 500,
    )


def _ordinary(status: int, document: dict[str, Any] | None, code: int | None, dry_run: bool) -> Verdict:
    if status in (200, 201):
        return _success(status, document, dry_run)
    if status in _STATUSES:
        return _STATUSES[status]
    if 400 <= status < 500:
        if code is None:
            return _strange(Cause.STRANGE_REFUSAL, status)
        return Verdict(Outcome.REFUSED, detail=Cause.REFUSED.of(code))
    if 300 <= status < 400:
        return _strange(Cause.REDIRECT, status)
    cause = Cause.SERVER_FAILED if status >= 500 else Cause.UNUSUAL
    return Verdict(Outcome.IN_DOUBT, detail=cause.of(status))


def _success(status: int, document: dict[str, Any] | None, dry_run: bool) -> Verdict:
    # 200 is not documented for a send, but an id proves possession, and to doubt it could only lead to a
    # second send
    if document is None:
        return _strange(Cause.UNREADABLE, status)
    message = read_message(document.get("data"), ANSWER_ESSENTIALS)
    if message is None:
        return Verdict(Outcome.IN_DOUBT, detail=Cause.UNREADABLE.of(status))
    if message.is_dry_run and not dry_run:
        return Verdict(Outcome.IN_DOUBT, detail=str(Cause.DRY_RUN_INSTEAD))
    return Verdict(Outcome.ACCEPTED, message=message)


def _strange(cause: Cause, status: int) -> Verdict:
    return Verdict(Outcome.IN_DOUBT, detail=cause.of(status), stranger=True)


_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
_PERHAPS_SENT = (
    httpx.ReadError,
    httpx.ReadTimeout,
    httpx.WriteError,
    httpx.WriteTimeout,
    httpx.CloseError,
    httpx.RemoteProtocolError,
    httpx.LocalProtocolError,
    httpx.DecodingError,
    httpx.TooManyRedirects,
    asyncio.CancelledError,
    # families, and what httpx raises for misuse: they say nothing about the wire
    httpx.HTTPError,
    httpx.RequestError,
    httpx.TransportError,
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.ProtocolError,
    httpx.HTTPStatusError,
    httpx.CookieConflict,
    httpx.StreamError,
    httpx.StreamConsumed,
    httpx.StreamClosed,
    httpx.ResponseNotRead,
    httpx.RequestNotRead,
)
EXCEPTIONS: Mapping[type[BaseException], Outcome] = {
    **dict.fromkeys(_NEVER_LEFT, Outcome.NOT_SENT),
    **dict.fromkeys(_PERHAPS_SENT, Outcome.IN_DOUBT),
}


def judge_exception(exc: BaseException) -> Verdict:
    """What a request that ended in ``exc`` means; ``exc`` comes from
    :class:`~dispatcher.gateway.transport.Transport`, or is CancelledError.

    Exact classes only: a class that is not in the table, a subclass of "never left" included, proves nothing.
    """
    cause = str(Cause.INTERRUPTED) if isinstance(exc, asyncio.CancelledError) else told(exc)
    return Verdict(EXCEPTIONS.get(type(exc), Outcome.IN_DOUBT), detail=cause)
