"""An answer is put together from whatever pieces arrive, within bounds; what is none is never taken for one."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.gateway.wire import Answer, AnswerReader

MAX_BODY = 1000
BODY = b'{"data": {"id": "1"}}'
CREATED = b"HTTP/1.1 201 Created\r\n"
PLAIN = CREATED + b"Content-Length: 21\r\nDate: Sun, 01 Mar 2026 12:00:01 GMT\r\n\r\n" + BODY
CHUNKED = CREATED + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY[:5] + b"\r\n10\r\n" + BODY[5:]
CHUNKED += b"\r\n0\r\nRetry-After: 7\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN
EMPTY = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"


def feed_slowly(reader: AnswerReader, answer: bytes) -> None:
    for start in range(0, len(answer), 100):
        reader.feed(answer[start : start + 100])


def read(*pieces: bytes) -> AnswerReader:
    reader = AnswerReader(MAX_BODY)
    for piece in pieces:
        reader.feed(piece)
    return reader


@st.composite
def in_pieces(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    whole = draw(st.sampled_from([PLAIN, CHUNKED, CONTINUED, EMPTY]))
    cuts = sorted(draw(st.sets(st.integers(1, len(whole) - 1), max_size=12)))
    return whole, [whole[a:b] for a, b in pairwise([0, *cuts, len(whole)])]


@given(in_pieces())
def test_an_answer_is_the_same_in_any_pieces(example: tuple[bytes, list[bytes]]) -> None:
    whole, pieces = example
    reader = AnswerReader(MAX_BODY)
    for piece in pieces[:-1]:
        assert reader.feed(piece) is None
    answer = reader.feed(pieces[-1])
    assert answer is not None
    assert answer == read(whole).answer
    assert (answer.status_code, answer.content) == ((204, b"") if whole is EMPTY else (201, BODY))
    assert reader.keeps_alive


@given(in_pieces(), st.integers(0, 5))
def test_half_an_answer_is_none(example: tuple[bytes, list[bytes]], more: int) -> None:
    _, pieces = example
    reader = read(*pieces[: min(more, len(pieces) - 1)])
    with pytest.raises(httpx.RemoteProtocolError, match="answer_broken_off"):
        reader.end()
    assert reader.answer is None


@given(st.binary(max_size=200))
def test_noise_is_no_answer(noise: bytes) -> None:
    reader = AnswerReader(MAX_BODY)
    try:
        assert reader.feed(noise) is None
        reader.end()
    except httpx.RemoteProtocolError:
        assert reader.answer is None


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 21\r\n\r\n", id="a length"),
        pytest.param(b"Connection: close\r\nCONTENT-LENGTH: 21\r\n\r\n", id="a length, announced"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n15\r\n", id="chunks"),
        pytest.param(
            b"Connection: close\r\nTransfer-Encoding: Chunked\r\n\r\n15\r\n", id="chunks, announced"
        ),
        pytest.param(
            b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n",
            id="chunks, in a second header",
        ),
    ],
)
def test_what_breaks_off_is_no_answer(head: bytes) -> None:
    reader = read(CREATED + head + BODY[:-1])
    with pytest.raises(httpx.RemoteProtocolError):
        reader.end()


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.0 201 Created\r\nConnection: keep-alive\r\n", id="HTTP/1.0 that asks for it"),
        pytest.param(CREATED + b"Upgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\n", id="h2 on offer"),
    ],
)
def test_a_connection_that_can_be_used_again_is_known(head: bytes) -> None:
    reader = read(head + b"Content-Length: 21\r\n\r\n" + BODY)
    assert reader.answer is not None
    assert reader.answer.content == BODY
    assert reader.keeps_alive


def test_another_protocol_is_no_answer() -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + PLAIN)


def test_headers_are_found_in_lower_case_and_the_first_of_two_counts() -> None:
    answer = read(CREATED + b"DATE: one\r\nDate: two\r\nX: \xe9\r\nContent-Length: 0\r\n\r\n").answer
    assert answer is not None
    assert answer.headers["date"] == "one"
    assert answer.headers["x"] == "\xe9"


def test_a_trailer_is_no_header() -> None:
    answer = read(CHUNKED).answer
    assert answer is not None
    assert set(answer.headers) == {"transfer-encoding"}


def test_an_interim_answer_leaves_nothing_behind() -> None:
    answer = read(CONTINUED).answer
    assert answer is not None
    assert "link" not in answer.headers


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(PLAIN.replace(b"\r\n", b"\n"), id="bare line feeds"),
        pytest.param(CHUNKED.replace(b"5\r\n", b"5 \r\n", 1), id="a space behind a chunk's length"),
        pytest.param(PLAIN.replace(b"Date: ", b"X: \x01\r\nDate: "), id="a control character in a header"),
        pytest.param(PLAIN.replace(b" Created", b""), id="no reason"),
        pytest.param(PLAIN.replace(b"content-length", b"CONTENT-LENGTH"), id="capitals"),
    ],
)
def test_what_was_paid_for_is_read_laxly(answer: bytes) -> None:
    read_answer = read(answer).answer
    assert read_answer is not None
    assert (read_answer.status_code, read_answer.content) == (201, BODY)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(CREATED + b"Server: x\r\n\r\n" + BODY, id="HTTP/1.1"),
        pytest.param(b"HTTP/1.0 201 Created\r\n\r\n" + BODY, id="HTTP/1.0"),
        pytest.param(CREATED + b"Connection: close\r\n\r\n" + BODY, id="announced"),
    ],
)
def test_without_a_length_the_end_of_the_stream_ends_the_answer(answer: bytes) -> None:
    reader = read(answer)
    assert reader.answer is None
    assert reader.end().content == BODY
    assert not reader.keeps_alive


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(PLAIN.replace(b"Date", b"Connection: close\r\nDate"), id="announced"),
        pytest.param(PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
        pytest.param(PLAIN + b"x", id="something behind it"),
        pytest.param(PLAIN + b"HTTP/1.1 4", id="the start of another"),
        pytest.param(PLAIN + CREATED + b"\r\n" + b"x" * 2000, id="something long behind it"),
        pytest.param(PLAIN + PLAIN.replace(b"Date", b"Retry-After: 1\r\nDate"), id="two answers"),
    ],
)
def test_a_connection_that_cannot_be_used_again_is_known(answer: bytes) -> None:
    reader = read(answer)
    assert reader.answer is not None
    assert reader.answer.content == BODY
    assert "retry-after" not in reader.answer.headers
    assert not reader.keeps_alive


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(CREATED + b"Content-Length: 1001\r\n\r\n" + b" " * 1001, id="a length"),
        pytest.param(CREATED + b"\r\n" + b" " * 1001, id="no length"),
        pytest.param(CREATED + b"X: y\r\n" * 20_000, id="headers"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, id="interim answers"),
        pytest.param(CHUNKED[:-2] + b"X: y\r\n" * 20_000, id="trailers"),
        pytest.param(CHUNKED[:-2] + b"X: " + b"y" * 200_000, id="a trailer"),
    ],
)
def test_an_answer_is_bounded(answer: bytes) -> None:
    reader = AnswerReader(MAX_BODY)
    with pytest.raises(httpx.RemoteProtocolError, match="answer_too_long"):
        feed_slowly(reader, answer)
    assert reader.answer is None


def test_an_answer_of_just_the_longest_length_is_read() -> None:
    answer = read(CREATED + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000).answer
    assert answer is not None
    assert len(answer.content) == 1000


def test_what_comes_behind_a_long_answer_does_not_spoil_it() -> None:
    reader = AnswerReader(100_000)
    long = CREATED + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000
    answer = reader.feed(long + b"HTTP/1.1 408 Request Timeout\r\n")
    assert answer is not None
    assert (answer.status_code, len(answer.content)) == (201, 100_000)
    assert not reader.keeps_alive


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        pytest.param("", BODY, id="none"),
        pytest.param("identity", BODY, id="identity"),
        pytest.param("utf-8", BODY, id="no coding at all"),
        pytest.param("gzip", gzip.compress(BODY), id="gzip"),
        pytest.param("X-GZip", gzip.compress(BODY), id="its old name"),
        pytest.param("deflate", zlib.compress(BODY), id="deflate"),
        pytest.param("deflate", raw_deflate(BODY), id="raw deflate"),
    ],
)
def test_compression_that_nobody_asked_for_is_undone(coding: str, content: bytes) -> None:
    assert Answer(201, {"content-encoding": coding}, content).decoded(MAX_BODY).content == BODY


def test_nothing_needs_no_decompression() -> None:
    assert Answer(429, {"content-encoding": "gzip"}, b"").decoded(MAX_BODY).content == b""


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        pytest.param("gzip", BODY, id="not compressed"),
        pytest.param("gzip", gzip.compress(BODY)[:-9], id="cut short"),
        pytest.param("gzip", gzip.compress(b" " * 1_000_000), id="a bomb"),
        pytest.param("deflate", gzip.compress(BODY), id="another one"),
    ],
)
def test_what_cannot_be_decompressed_is_no_answer(coding: str, content: bytes) -> None:
    with pytest.raises(httpx.DecodingError, match="answer_not_decoded"):
        Answer(201, {"content-encoding": coding}, content).decoded(MAX_BODY)
