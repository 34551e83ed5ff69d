"""One connection: a request written at once and whole, and its answer read to its end.

The bytes of an answer are taken apart by llhttp (httptools).  It is asked to overlook what cannot change where an
answer ends: what stands behind it is a message that was paid for.
"""

from __future__ import annotations

import asyncio
import select
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import httptools
import httpx

from dispatcher.gateway.causes import Cause

_MAX_HEAD = 64 * 1024
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15  # zlib's window bits
_CODINGS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _RAW_DEFLATE)}


class Answer(NamedTuple):
    """An answer read to its end.  Names of ``headers`` are in lower case; of a repeated one the first counts."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    def decoded(self, max_body: int) -> Answer:
        """The same without the compression that nobody asked for.  Raises DecodingError, also beyond ``max_body``."""
        coding = self.headers.get("content-encoding", "").strip().lower()
        if coding not in _CODINGS or not self.content:  # "utf-8", "none": reading it will show what it is
            return self
        for window in _CODINGS[coding]:
            inflating = zlib.decompressobj(window)
            try:
                content = inflating.decompress(self.content, max_body)
            except zlib.error:
                continue
            if inflating.eof:
                return self._replace(content=content)
        raise httpx.DecodingError(Cause.ANSWER_NOT_DECODED)


class AnswerReader:
    """Puts one answer together from the bytes that come; interim answers (1xx) are passed over.

    ``answer`` is there as soon as it is complete. ``keeps_alive`` is then whether another request may be written to the
    same connection.
    """

    def __init__(self, max_body: int) -> None:
        self.answer: Answer | None = None
        self.keeps_alive = False
        self._max_body = max_body
        self._head_size = 0
        self._start()
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    def feed(self, data: bytes) -> Answer | None:
        """The answer if it is complete now.  Raises RemoteProtocolError for what is none, or too long."""
        body_size = self._body_size
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self.keeps_alive = False
            if self.answer is None:
                raise httpx.RemoteProtocolError(Cause.ANSWER_NOT_HTTP) from exc
        if self.answer is not None:
            return self.answer  # whatever came behind it
        if self._body_size == body_size:  # heads and trailers
            self._head_size += len(data)
        if self._head_size > _MAX_HEAD or self._body_size > self._max_body:
            raise httpx.RemoteProtocolError(Cause.ANSWER_TOO_LONG)
        return None

    def end(self) -> Answer:
        """The answer that the end of the stream completes.  Raises RemoteProtocolError if it breaks one off."""
        if not self._in_body or self._has_length:
            raise httpx.RemoteProtocolError(Cause.ANSWER_BROKEN_OFF)
        return self._complete()

    def _start(self) -> None:
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_size = 0
        self._in_body = False

    def _complete(self) -> Answer:
        return Answer(self._status, self._headers, b"".join(self._body))

    @property
    def _has_length(self) -> bool:
        return "content-length" in self._headers or "transfer-encoding" in self._headers

    # --- called by the parser ---

    def on_message_begin(self) -> None:
        self.keeps_alive = False  # what follows a complete answer belongs to nobody
        self._start()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # not a trailer
            self._headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._in_body = self._status >= 200
        self.keeps_alive = self.answer is None and self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        self._body_size += len(data)
        if self._body_size <= self._max_body:
            self._body.append(data)

    def on_message_complete(self) -> None:
        if self.answer is None and self._in_body and self._body_size <= self._max_body:
            self.answer = self._complete()


class Connection(asyncio.Protocol):
    """Exchanges one request at a time.  Belongs to the event loop that it is made in.

    Everything that :meth:`exchange` raises leaves open how far the request came.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._unread = select.poll() if hasattr(select, "poll") else None  # Windows has none

    @property
    def ready(self) -> bool:
        """Whether a request can be written: none is under way, and the other side has not hung up."""
        return self._answer is None and self._transport is not None and not self._transport.is_closing()

    @property
    def quiet(self) -> bool:
        """Whether nothing has come that the event loop has not seen yet: an end, or words that nobody asked for.

        After a pause of the process, or of the loop, a connection that looks ready may long have ended.
        """
        return self._unread is None or not self._unread.poll(0)

    async def exchange(self, request: bytes, *, max_body: int, deadline: float) -> Answer:
        """The answer to ``request``, read to its end; ``deadline`` is a time of the event loop's.

        Only for a connection that is ready.  Raises ReadTimeout, ReadError and RemoteProtocolError.
        """
        assert self._transport is not None
        self._reader = reader = AnswerReader(max_body)
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._answer = answer
        timer = self._loop.call_at(deadline, self._look_once_more)
        self._transport.write(request)
        try:
            return await answer
        finally:
            timer.cancel()
            self._reader = self._answer = None
            if not reader.keeps_alive or reader.answer is None:
                self._transport.abort()

    def abort(self) -> None:
        """Hang up; an exchange under way ends in ReadError."""
        self._fail(httpx.ReadError(Cause.ANSWER_BROKEN_OFF))
        if self._transport is not None:
            self._transport.abort()

    async def wait_lost(self) -> None:
        """Come back when the connection is no more."""
        await asyncio.shield(self._lost)  # who gives up waiting leaves it to the others

    def _look_once_more(self) -> None:
        # a process that was stopped sees its timers before what came meanwhile: epoll_wait ends with EINTR, and Python
        # asks no more when its time is over.  The next round of the loop reads first
        self._loop.call_later(0, self._time_out, self._answer)

    def _time_out(self, answer: asyncio.Future[Answer] | None) -> None:
        if answer is self._answer:
            self._fail(httpx.ReadTimeout(Cause.ANSWER_LATE))

    def _fail(self, error: httpx.TransportError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._unread is not None:
            self._unread.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._reader is None or self._answer is None or self._answer.done():
            self.abort()  # nobody asked
            return
        try:
            answer = self._reader.feed(data)
        except httpx.RemoteProtocolError as exc:
            self._fail(exc)
            return
        if answer is not None:
            self._answer.set_result(answer)

    def eof_received(self) -> None:
        if self._reader is None or self._answer is None or self._answer.done():
            self.abort()  # TLS would look ready for two more rounds of the loop
            return
        try:
            self._answer.set_result(self._reader.end())
        except httpx.RemoteProtocolError as exc:
            self._fail(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(httpx.ReadError(Cause.ANSWER_BROKEN_OFF))
        if not self._lost.done():
            self._lost.set_result(None)
