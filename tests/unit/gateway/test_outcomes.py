"""The table of outcomes, row by row, and what must hold for any answer at all."""

from __future__ import annotations

import asyncio
import inspect
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.gateway.answers import (
    MAX_RETRY_AFTER,
    read_date,
    read_message,
    read_object,
    read_retry_after,
)
from dispatcher.gateway.causes import Cause
from dispatcher.gateway.outcomes import EXCEPTIONS, Outcome, Verdict, judge_answer, judge_exception

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MESSAGE: dict[str, Any] = {
    "id": "633aabe3e4a9a0e69811ad7f",
    "username": "someone",
    "state": "NEW",
    "recipient": "+393331234567",
    "message": "Hello",
    "price": 0.05,
    "createdAt": "2026-03-01T12:00:00Z",
}
NEVER_AGAIN = frozenset({Outcome.ACCEPTED, Outcome.REFUSED, Outcome.IN_DOUBT})


def judge(
    status: int, body: object = b"", *, dry_run: bool = False, headers: dict[str, str] | None = None
) -> Verdict:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return judge_answer(status, httpx.Headers(headers), raw, dry_run=dry_run, now=NOW)


def error(code: object) -> dict[str, object]:
    return {"code": code, "message": "words of the provider"}


HTML = b"<html><body>502 Bad Gateway</body></html>"

ANSWERS: list[tuple[str, int, object, Outcome, Outcome]] = [
    # name, status, body, outcome, what it says about the row
    ("201", 201, {"data": MESSAGE}, Outcome.ACCEPTED, Outcome.ACCEPTED),
    ("200 for 201", 200, {"data": MESSAGE}, Outcome.ACCEPTED, Outcome.ACCEPTED),
    ("201, id only", 201, {"data": {"id": "x"}}, Outcome.ACCEPTED, Outcome.ACCEPTED),
    ("201, a new state", 201, {"data": {**MESSAGE, "state": "QUEUED"}}, Outcome.ACCEPTED, Outcome.ACCEPTED),
    ("201, price in words", 201, {"data": {**MESSAGE, "price": "free"}}, Outcome.ACCEPTED, Outcome.ACCEPTED),
    (
        "201, price beyond counting",
        201,
        b'{"data": {"id": "x", "totalPrice": 1e40}}',
        Outcome.ACCEPTED,
        Outcome.ACCEPTED,
    ),
    (
        "201, name with U+0000",
        201,
        {"data": {"id": "x", "username": "\0"}},
        Outcome.ACCEPTED,
        Outcome.ACCEPTED,
    ),
    ("201, id with U+0000", 201, {"data": {"id": "a\0b"}}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, id half a pair", 201, b'{"data": {"id": "\\ud800"}}', Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201 without id", 201, {"data": {"state": "NEW"}}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, empty id", 201, {"data": {"id": ""}}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, blank id", 201, {"data": {"id": " "}}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, id a number", 201, {"data": {"id": 7}}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, id null", 201, {"data": {"id": None}}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, data a list", 201, {"data": [MESSAGE]}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, data null", 201, {"data": None}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, bare message", 201, MESSAGE, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, an error in it", 201, error(2011), Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, a list", 201, [MESSAGE], Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, empty", 201, b"", Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, cut", 201, b'{"data": {"id": "633', Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, HTML", 201, HTML, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, not UTF-8", 201, b'{"data": {"id": "\xff"}}', Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, deep", 201, b"[" * 200_000, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("201, NaN", 201, b'{"data": {"id": "x", "price": NaN}}', Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("202", 202, {"data": MESSAGE}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("204", 204, b"", Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("101", 101, b"", Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("301", 301, b"", Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("307", 307, error(2011), Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("401", 401, b"", Outcome.HALT, Outcome.NOT_SENT),
    ("401, HTML", 401, HTML, Outcome.HALT, Outcome.NOT_SENT),
    ("402", 402, b"", Outcome.HALT, Outcome.NOT_SENT),
    ("402 with a code", 402, error(999), Outcome.HALT, Outcome.NOT_SENT),
    ("403", 403, b"", Outcome.HALT, Outcome.NOT_SENT),
    ("403 2020", 403, error(2020), Outcome.HALT, Outcome.NOT_SENT),
    ("422 2020", 422, error(2020), Outcome.HALT, Outcome.NOT_SENT),
    ("503 2020", 503, error(2020), Outcome.HALT, Outcome.IN_DOUBT),
    ("422 2011", 422, error(2011), Outcome.REFUSED, Outcome.REFUSED),
    ("422 2013", 422, error(2013), Outcome.REFUSED, Outcome.REFUSED),
    ("422 2021", 422, error(2021), Outcome.REFUSED, Outcome.REFUSED),
    ("422 2024", 422, error(2024), Outcome.REFUSED, Outcome.REFUSED),
    ("422 1020", 422, error(1020), Outcome.REFUSED, Outcome.REFUSED),
    ("422 new code", 422, error(9999), Outcome.REFUSED, Outcome.REFUSED),
    ("422 code 0", 422, error(0), Outcome.REFUSED, Outcome.REFUSED),
    ("400", 400, error(1), Outcome.REFUSED, Outcome.REFUSED),
    ("404", 404, error(1), Outcome.REFUSED, Outcome.REFUSED),
    ("409", 409, error(1), Outcome.REFUSED, Outcome.REFUSED),
    ("408", 408, error(1), Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("425", 425, error(1), Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("404, HTML", 404, HTML, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("404, empty", 404, b"", Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("407", 407, HTML, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("413", 413, HTML, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("422 without a code", 422, {"message": "no"}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("422, code true", 422, error(True), Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("422, code in words", 422, error("E_PHONE"), Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("429", 429, b"", Outcome.THROTTLED, Outcome.THROTTLED),
    ("429, HTML", 429, HTML, Outcome.THROTTLED, Outcome.THROTTLED),
    ("500", 500, error(1), Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("502, HTML", 502, HTML, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("503", 503, b"", Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("500 with a message", 500, {"data": MESSAGE}, Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("599", 599, b"", Outcome.IN_DOUBT, Outcome.IN_DOUBT),
    ("422 2050", 422, error(2050), Outcome.HALT, Outcome.REFUSED),
    ("422 2044", 422, error(2044), Outcome.HALT, Outcome.REFUSED),
    ("422 2050 in quotes", 422, error("2050"), Outcome.HALT, Outcome.REFUSED),
    ("500 2050", 500, error(2050), Outcome.HALT, Outcome.REFUSED),
    ("200 2050", 200, error(2050), Outcome.HALT, Outcome.REFUSED),
]


@pytest.mark.parametrize(
    ("status", "body", "outcome", "row"), [pytest.param(*a[1:], id=a[0]) for a in ANSWERS]
)
def test_an_answer_to_a_real_send(status: int, body: object, outcome: Outcome, row: Outcome) -> None:
    verdict = judge(status, body)
    assert (verdict.outcome, verdict.row, verdict.http_status) == (outcome, row, status)
    assert (verdict.message is not None) == (outcome is Outcome.ACCEPTED)
    assert (verdict.detail.partition(": ")[0] in set(Cause)) == (outcome is not Outcome.ACCEPTED)
    assert type(verdict.detail) is str  # a ledger keeps it


BLOCKLISTED: list[tuple[int, dict[str, Any], Outcome]] = [
    (201, {"data": {**MESSAGE, "blocklisted": True}}, Outcome.ACCEPTED),
    (201, {"data": {**MESSAGE, "blocklisted": "true"}}, Outcome.ACCEPTED),
    (201, {"data": {**MESSAGE, "blocklisted": {"since": "today"}}}, Outcome.ACCEPTED),
    (201, {"data": {"blocklisted": True}}, Outcome.IN_DOUBT),
    (202, {"data": {**MESSAGE, "blocklisted": True}}, Outcome.ACCEPTED),
    (422, {"code": 2011, "blocklisted": True}, Outcome.IN_DOUBT),
    (429, {"blocklisted": True}, Outcome.IN_DOUBT),
    (500, {"data": {"blocklisted": 1}}, Outcome.IN_DOUBT),
]


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(("status", "body", "row"), BLOCKLISTED)
def test_blocklisted_in_any_answer_stops_every_campaign(
    status: int, body: dict[str, Any], row: Outcome, dry_run: bool
) -> None:
    verdict = judge(status, body, dry_run=dry_run)
    assert (verdict.outcome, verdict.account_wide, verdict.row) == (Outcome.HALT, True, row)
    assert verdict.message is None or verdict.message.blocklisted


@pytest.mark.parametrize("value", [False, None, 0, "false", ""])
def test_a_message_that_is_not_blocklisted_is_just_accepted(value: object) -> None:
    assert judge(201, {"data": {"id": "x", "blocklisted": value}}).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("status", [401, 403, 422])
def test_only_2020_and_blocklisted_stop_every_campaign(status: int) -> None:
    assert judge(status, error(2020)).account_wide
    assert not judge(status, error(2050)).account_wide
    assert not judge(status, error(1)).account_wide


def test_forbidden_content_refuses_the_text_in_a_dry_run_and_halts_a_real_send() -> None:
    tried, sent = judge(422, error(2044), dry_run=True), judge(422, error(2044), dry_run=False)
    assert (tried.outcome, tried.forbidden, tried.code) == (Outcome.REFUSED, True, 2044)
    assert (sent.outcome, sent.forbidden, sent.code) == (Outcome.HALT, True, 2044)
    penalty = judge(422, error(2050), dry_run=True)  # documented for real sends only: something went out
    assert (penalty.outcome, penalty.forbidden) == (Outcome.HALT, True)


def test_an_echo_of_dry_run_is_no_acceptance_of_a_real_send() -> None:
    body = {"data": {**MESSAGE, "options": {"dryRun": True}}}
    assert judge(201, body).outcome is Outcome.IN_DOUBT
    verdict = judge(201, body, dry_run=True)
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.message is not None
    assert verdict.message.is_dry_run


@pytest.mark.parametrize(
    ("status", "body", "stranger"),
    [(404, HTML, True), (302, b"", True), (201, HTML, True), (502, HTML, False), (422, error(1), False)],
)
def test_an_answer_of_somebody_else_is_marked(status: int, body: object, stranger: bool) -> None:
    assert judge(status, body).stranger is stranger


@pytest.mark.parametrize("written", ["0.05", "0.050", "0.1000000000000000055", "1", "345678.123456789012345"])
def test_money_keeps_its_written_digits(written: str) -> None:
    body = b'{"data": {"id": "x", "price": %s, "totalPrice": %s}}' % (written.encode(), written.encode())
    message = judge(201, body).message
    assert message is not None
    assert str(message.price) == str(message.total_price) == written
    assert isinstance(message.price, Decimal)


@pytest.mark.parametrize("written", ["1e6", "-1000000", "1e40", "1e999999999", '"1e25"'])
def test_what_cannot_be_a_price_is_an_unknown_one(written: str) -> None:
    message = judge(201, b'{"data": {"id": "x", "totalPrice": %s}}' % written.encode()).message
    assert message is not None
    assert message.total_price is None


RETRY_AFTER: list[tuple[str | None, float | None]] = [
    (None, None),
    ("", None),
    ("30", 30.0),
    (" 30 ", 30.0),
    ("1.5", 1.5),
    ("0", 0.0),
    ("999999", MAX_RETRY_AFTER),
    ("Sun, 01 Mar 2026 12:01:00 GMT", 60.0),
    ("Sunday, 01-Mar-26 12:01:00 GMT", 60.0),
    ("Sun Mar  1 12:01:00 2026", 60.0),
    ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
    ("Sun, 01 Mar 2048 12:00:00 GMT", MAX_RETRY_AFTER),
    ("-5", None),
    ("soon", None),
    ("1e9", None),
    ("٣٠", None),
]


def test_a_time_to_come_back_is_meant_by_the_gateways_own_clock() -> None:
    there = "Sun, 01 Mar 2026 13:30:00 GMT"  # an hour and a half ahead of ours
    headers = {"Date": there, "Retry-After": "Sun, 01 Mar 2026 13:30:07 GMT"}
    assert judge(429, headers=headers).retry_after == 7.0


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER)
def test_retry_after_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOW) == seconds


def test_waiting_time_and_server_clock_come_with_the_verdict() -> None:
    headers = {"retry-after": "7", "date": "Sun, 01 Mar 2026 12:00:05 GMT"}
    for status, outcome in ((429, Outcome.THROTTLED), (503, Outcome.IN_DOUBT)):
        verdict = judge(status, headers=headers)
        assert (verdict.outcome, verdict.retry_after) == (outcome, 7.0)
        assert verdict.server_date == NOW + timedelta(seconds=5)


@pytest.mark.parametrize("value", [None, "", "yesterday", "Mon, 99 Foo 2026 99:99:99 GMT"])
def test_a_date_that_cannot_be_read_is_none(value: str | None) -> None:
    assert read_date(value) is None


@given(st.text(max_size=60))
def test_reading_headers_never_fails(value: str) -> None:
    seconds, moment = read_retry_after(value, NOW), read_date(value)
    assert seconds is None or 0.0 <= seconds <= MAX_RETRY_AFTER
    assert moment is None or moment.tzinfo is UTC


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_fields = st.sampled_from([*MESSAGE, "blocklisted", "options", "callback", "sentAt", "messageCount", "otp"])
_documents = st.fixed_dictionaries(
    {},
    optional={
        "data": _json | st.dictionaries(_fields, _json, max_size=6),
        "code": _json | st.sampled_from([2011, 2020, 2044, 2050]),
        "blocklisted": _json,
    },
)
_bodies = st.binary(max_size=40) | _documents.map(lambda d: json.dumps(d).encode())


@given(status=st.integers(100, 599), body=_bodies, dry_run=st.booleans())
def test_any_answer_is_judged_and_only_proof_lets_a_row_go_again(
    status: int, body: bytes, dry_run: bool
) -> None:
    verdict = judge_answer(status, {}, body, dry_run=dry_run, now=NOW)
    assert verdict.row is not Outcome.HALT
    if verdict.outcome is Outcome.ACCEPTED:
        assert status in (200, 201)
        assert verdict.message is not None
    if verdict.row not in NEVER_AGAIN:
        assert 400 <= status < 500
    if verdict.row is Outcome.REFUSED and not verdict.forbidden:
        assert 400 <= status < 500
        assert verdict.code is not None


@given(status=st.integers(100, 599))
def test_the_detail_repeats_nothing_of_the_body(status: int) -> None:
    body = {"code": 2011, "message": "bad number +393331234567", "data": {**MESSAGE, "id": "secret-id"}}
    detail = judge(status, body).detail
    assert "393331234567" not in detail
    assert "Hello" not in detail
    assert "secret-id" not in detail


@pytest.mark.parametrize("field", ["id", "recipient", "message", "options", "callback", "createdAt"])
def test_a_listed_message_that_cannot_be_matched_is_unreadable_not_absent(field: str) -> None:
    assert read_message({**MESSAGE, field: ["?"]}) is None


def test_dates_of_a_message_are_utc() -> None:
    def created(text: str) -> datetime | None:
        message = read_message({**MESSAGE, "createdAt": text})
        assert message is not None
        return message.created_at

    assert created("2026-03-01T12:00:00") == NOW
    assert created("2026-03-01T13:00:00+01:00") == NOW
    moment = created("2026-03-01T13:00:00+01:00")
    assert moment is not None
    assert moment.tzinfo is UTC
    assert read_message({**MESSAGE, "createdAt": "0001-01-01T00:00:00+14:00"}) is None
    assert NOW.astimezone(timezone(timedelta(hours=1))) == NOW


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"1", b"null", b'{"a": Infinity}', b'{"a": 1e99999999999999999999}']
)
def test_what_is_no_json_object_is_none(body: bytes) -> None:
    assert read_object(body) is None


# --- exceptions ------------------------------------------------------------


def exception_classes(*modules: object) -> list[type[BaseException]]:
    found = {
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Exception) and not issubclass(value, Warning)
    }
    return sorted(found, key=lambda cls: cls.__name__)


NEVER_LEFT = {httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError} | {
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
}


@pytest.mark.parametrize("cls", exception_classes(httpx))
def test_every_exception_of_httpx_is_placed(cls: type[BaseException]) -> None:
    assert cls in EXCEPTIONS, (
        f"decide whether {cls.__name__} proves that nothing left, and add it to the table"
    )
    assert (EXCEPTIONS[cls] is Outcome.NOT_SENT) == (cls in NEVER_LEFT)


class _Unknown(httpx.ConnectError):
    """A class of tomorrow."""


@pytest.mark.parametrize(
    "exc", [asyncio.CancelledError(), TimeoutError(), OSError(), ValueError("x"), _Unknown("refused")]
)
def test_what_is_not_in_the_table_proves_nothing(exc: BaseException) -> None:
    assert judge_exception(exc).outcome is Outcome.IN_DOUBT


@pytest.mark.parametrize(
    ("exc", "detail"),
    [
        (httpx.ConnectError(Cause.CONNECTION_REFUSED), "connection_refused"),
        (httpx.ProxyError("proxy_not_connected: tls_expired"), "proxy_not_connected: tls_expired"),
        (httpx.ReadTimeout(Cause.ANSWER_LATE), "answer_late"),
        (asyncio.CancelledError("of a task group"), "interrupted"),
        # what is not the transport's own may say anything
        (httpx.ConnectError("http://user:pa55@proxy.example failed"), "unexpected: ConnectError"),
        (httpx.ReadError(""), "unexpected: ReadError"),
        (ValueError("+393331234567"), "unexpected: ValueError"),
    ],
)
def test_an_exception_tells_its_cause_or_its_class(exc: BaseException, detail: str) -> None:
    verdict = judge_exception(exc)
    assert verdict.detail == detail
    assert type(verdict.detail) is str


def test_what_the_system_says_is_bounded() -> None:
    verdict = judge_exception(httpx.ConnectError(Cause.NOT_CONNECTED.of("x" * 1000)))
    assert verdict.detail.startswith("not_connected: xxx")
    assert len(verdict.detail) == 200


DETAILS: list[tuple[int, object, str]] = [
    (401, b"", "token_refused"),
    (402, b"", "payment_required"),
    (403, b"", "access_denied"),
    (408, b"", "request_late"),
    (425, b"", "request_early"),
    (429, b"", "throttled"),
    (422, error(2011), "refused: 2011"),
    (422, error(2050), "forbidden_text: 2050"),
    (403, error(2020), "account_blocklisted"),
    (404, HTML, "strange_refusal: 404"),
    (302, b"", "redirect: 302"),
    (503, b"", "server_failed: 503"),
    (204, b"", "unusual: 204"),
    (201, HTML, "unreadable: 201"),
    (200, error(1), "unreadable: 200"),
    (201, {"data": {**MESSAGE, "options": {"dryRun": True}}}, "dry_run_instead"),
]


@pytest.mark.parametrize(("status", "body", "detail"), DETAILS)
def test_an_answer_tells_its_cause_with_its_number(status: int, body: object, detail: str) -> None:
    assert judge(status, body).detail == detail
