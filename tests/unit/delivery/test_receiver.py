"""The callback address: what is believed, what is turned away, and that 200 is said of what is kept only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from dispatcher.delivery.receiver import STATUSES, Bounds, Outcome
from dispatcher.errors import Unreachable
from dispatcher.gateway.signing import SIGNATURE_HEADER, Signer
from dispatcher.ledger import CampaignState, Ledger, RowState
from dispatcher.sending.stops import Stop
from tests.unit.delivery.receiving import Post

R = RowState
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """In a file: what differs on a server is below it, in the ledger's own tests."""
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    yield opened
    opened.dispose()


@pytest.fixture
def post(ledger: Ledger) -> Iterator[Post]:
    with Post(ledger).open() as opened:
        yield opened


def untouched(post: Post, campaign: int) -> bool:
    rows = [row.state for row in post.ledger.queries.report_rows(campaign)]
    return set(rows) == {R.SENDING} and post.ledger.inbox.size() == 0


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("way", ["json", "form", "multipart", "other field"])
def test_every_way_of_the_provider_is_read(post: Post, way: str, wrapped: bool) -> None:
    campaign = post.campaign()
    message = post.body(campaign, 2)
    body = json.dumps({"data": message} if wrapped else message)
    ways: dict[str, dict[str, Any]] = {
        "json": {"content": body, "headers": {"Content-Type": "application/json; charset=utf-8"}},
        "form": {"data": {"kind": "sms", "data": body}},
        "multipart": {"files": {"data": (None, body)}},
        "other field": {"data": {"message": body}},
    }
    given = ways[way]
    headers = {**given.pop("headers", {}), **post.signed(campaign, 2)}
    answer = post.client.post(post.url, headers=headers, **given)
    assert (answer.status_code, answer.json()) == (200, {"outcome": "stored"})
    row = next(iter(post.ledger.queries.report_rows(campaign)))
    assert (row.state, row.actual_cost, row.message_id) == (R.DELIVERED, Decimal("0.04"), f"m{campaign}-2")
    assert row.delivered_at is not None
    assert row.delivered_at.isoformat() == "2026-03-02T09:00:05+00:00"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "0" * 64,
        "of another row",
        "of another secret",
        "of another ledger",
        "\xe8" * 64,
    ],
)
def test_what_is_not_signed_for_its_row_is_not_stored(post: Post, header: str | None) -> None:
    campaign = post.campaign()
    key = post.key(campaign, 2)
    made = {
        "of another row": post.signer.signature(post.key(campaign, 3)),
        "of another secret": Signer("another secret of somebody").signature(key),
        "of another ledger": post.signer.signature("00000000" + key[8:]),
    }
    headers = {} if header is None else {SIGNATURE_HEADER: made.get(header, header).encode("latin-1")}
    for state in ("DELIVERED", "NEW"):
        body = post.body(campaign, 2, state, blocklisted=True)
        assert post.client.post(post.url, json=body, headers=headers).status_code == 401
    assert untouched(post, campaign)
    assert post.outcomes == {Outcome.REFUSED: 2}
    assert post.ledger.halts.in_force() == []
    assert post.batches == []


def test_a_row_key_has_to_be_there(post: Post) -> None:
    campaign = post.campaign()
    for callback in (None, {}, {"custom": None}, {"custom": {"row": 2}}, {"custom": {"row": "x"}}):
        body = post.body(campaign, 2, callback=callback)
        assert post.client.post(post.url, json=body, headers=post.signed(campaign, 2)).status_code == 401
    assert untouched(post, campaign)


def test_a_row_of_another_ledger_is_not_ours_to_keep(post: Post) -> None:
    key = f"{'0' * 8}.1.2"
    body = post.body(1, 2, callback={"custom": {"row": key}})
    headers = {SIGNATURE_HEADER: post.signer.signature(key)}
    assert post.client.post(post.url, json=body, headers=headers).status_code == 421
    assert post.ledger.inbox.size() == 0


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"id": 5}', "application/json"),
        (b'{"data": {}}', "application/json"),
        (b'{"id": " "}', "application/json"),
        (b'{"id": "\\ud800"}', "application/json"),
        (json.dumps({"id": "x" * 201}).encode(), "application/json"),
        (b"\xff\xfe{}", "application/json"),
        (b"[" * 60_000, "application/json"),
        (urlencode({"data": "{"}).encode(), FORM),
        (urlencode({"a": "{}", "b": "{}"}).encode(), FORM),
        (urlencode([("data", '{"id": "a"}'), ("data", '{"id": "b"}')]).encode(), FORM),
        (b"data=%ff%fe", FORM),
        (b"&" * 5_000, FORM),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x"),
        (b"nothing", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="data"; filename="f"\r\n\r\n{}\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_what_is_no_callback_is_malformed(post: Post, content: bytes, kind: str) -> None:
    headers = {"Content-Type": kind, SIGNATURE_HEADER: "0" * 64}
    assert post.client.post(post.url, content=content, headers=headers).status_code == 400
    assert post.outcomes == {Outcome.MALFORMED: 1}


def test_other_paths_and_methods(post: Post) -> None:
    other = post.url.replace("/callbacks", "/")
    assert post.client.post(other, json={}).status_code == 404
    # nobody is led on to another address, which would be one without TLS
    assert post.client.post(post.url + "/", json={}).status_code == 404
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        assert post.client.request(method, post.url).status_code == 405
    assert post.client.get(f"{other}health").json() == {"ok": True}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_bounded(post: Post, chunked: bool) -> None:
    campaign = post.campaign()
    body = json.dumps(post.body(campaign, 2, message="x" * 64 * 1024)).encode()
    content: Any = iter([body[:40_000], body[40_000:]]) if chunked else body
    answer = post.client.post(post.url, content=content, headers=post.signed(campaign, 2))
    assert answer.status_code == 413
    assert untouched(post, campaign)


def test_more_than_the_rate_is_turned_away_until_its_time(ledger: Ledger) -> None:
    with Post(ledger).open(Bounds(rate=2.0, burst=3)) as post:
        campaign = post.campaign()
        assert [post.tell(campaign, 2) for _ in range(5)] == [200, 200, 200, 429, 429]
        post.clock.elapsed += 1.0
        assert [post.tell(campaign, 2) for _ in range(3)] == [200, 200, 429]
        body, headers = post.body(campaign, 2), post.signed(campaign, 2)
        assert post.client.post(post.url, json=body, headers=headers).headers["Retry-After"] == "1"


def test_who_sends_too_slowly_is_not_waited_for(ledger: Ledger) -> None:
    with Post(ledger).open(Bounds(seconds=0.05)) as post:
        over = threading.Event()

        def slow() -> Iterator[bytes]:
            yield b"{"
            over.wait(30)

        with ThreadPoolExecutor(1) as threads:
            headers = {SIGNATURE_HEADER: "0" * 64}
            answer = threads.submit(lambda: post.client.post(post.url, content=slow(), headers=headers))
            with httpx.Client() as client:
                while not post.outcomes:
                    client.get(post.url.replace("/callbacks", "/health"))
            over.set()
            with suppress(httpx.TransportError):  # it may be closed before the answer is read
                assert answer.result().status_code == 408
        assert post.outcomes == {Outcome.TOO_SLOW: 1}


@pytest.mark.parametrize("doubtful", [False, True])
def test_a_callback_before_the_answer_proves_acceptance(post: Post, doubtful: bool) -> None:
    campaign = post.campaign()
    if doubtful:
        post.doubt(campaign, 2)
    assert post.tell(campaign, 2, "NEW") == 200
    assert [post.state(campaign, row) for row in (2, 3)] == [R.ACCEPTED, R.SENDING]


def test_final_states_never_move_back_in_whatever_order(post: Post) -> None:
    campaign = post.campaign()
    for state in ("PENDING", "UNDELIVERABLE", "DELIVERED", "NEW", "UNDELIVERABLE", "EXPIRED"):
        assert post.tell(campaign, 2, state) == 200
    assert post.state(campaign, 2) is R.UNDELIVERABLE
    progress = post.ledger.queries.campaign(campaign)
    assert progress.actual_cost == Decimal("0.04")
    assert post.ledger.learnt.of("sandbox")["IT", "IT"].count == 1


def test_what_is_about_another_number_settles_nothing(post: Post) -> None:
    campaign = post.campaign()
    assert post.tell(campaign, 2, recipient="+393331299999") == 200
    assert post.tell(campaign, 2, message="of somebody else") == 200
    assert post.state(campaign, 2) is R.SENDING
    assert post.ledger.inbox.size() == 1  # it may be this row's, written otherwise: its own answer will say


def test_a_header_that_leaked_opens_no_other_row(post: Post) -> None:
    campaign = post.campaign()
    assert post.tell(campaign, 3, "NEW") == 200
    forged = post.body(campaign, 2, "REJECTED", id=f"m{campaign}-3")
    assert post.client.post(post.url, json=forged, headers=post.signed(campaign, 2)).status_code == 200
    assert [post.state(campaign, row) for row in (2, 3)] == [R.SENDING, R.ACCEPTED]


def test_a_dry_run_reached_nobody(post: Post) -> None:
    campaign = post.campaign()
    assert post.tell(campaign, 2, options={"dryRun": True}) == 200
    assert untouched(post, campaign)


def test_campaigns_of_other_gateways_are_told_as_theirs(post: Post) -> None:
    campaign = post.campaign(gateway="production")
    assert post.tell(campaign, 2) == 200
    assert post.state(campaign, 2) is R.DELIVERED
    assert list(post.ledger.learnt.of("production")) == [("IT", "IT")]


def test_what_matches_no_row_waits(post: Post) -> None:
    campaign = post.campaign()
    assert post.tell(campaign, 99) == 200
    assert post.tell(campaign + 1, 2) == 200
    assert post.ledger.inbox.size() == 2
    post.clock.elapsed += timedelta(days=8).total_seconds()
    with httpx.Client() as client:  # the round that looks through the inbox
        while post.ledger.inbox.size():
            client.get(post.url.replace("/callbacks", "/health"))


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("flag", [{"blocklisted": True}, {"blocklisted": "yes, it is"}])
def test_a_blocklisted_account_is_stopped_everywhere(post: Post, flag: Any, known: bool) -> None:
    first, second, elsewhere = post.campaign(), post.campaign(), post.campaign(gateway="production")
    now = post.clock.now()
    if known:
        for campaign in (first, second):
            post.ledger.campaigns.set_account(campaign, "acme", now)
    for _ in range(2):
        assert post.tell(first, 2, "REJECTED", blocklistedReason="forbidden content", **flag) == 200
    states = {each: post.ledger.queries.campaign(each) for each in (first, second, elsewhere)}
    assert [view.state for view in states.values()] == [
        CampaignState.HALTED, CampaignState.HALTED, CampaignState.SENDING
    ]  # fmt: skip
    assert states[first].state_reason == Stop.BLOCKLISTED
    (stop,) = post.ledger.halts.in_force("sandbox")
    assert (stop.account, stop.reason) == ("acme", Stop.BLOCKLISTED)
    assert post.state(first, 2) is R.REJECTED
    assert len([e for e in post.ledger.events.of() if e.kind == "account_stopped"]) == 1
    # a person has seen to it; the message itself stays what it is
    assert post.ledger.halts.lift("sandbox", "acme", "me", now)
    assert post.tell(first, 2, "REJECTED", **flag) == 200
    assert post.ledger.halts.in_force("sandbox") == []
    assert post.tell(first, 3, **flag) == 200
    assert len(post.ledger.halts.in_force("sandbox")) == 1


def test_what_arrives_together_shares_a_transaction(post: Post) -> None:
    campaign = post.campaign(40)
    begun, go_on = threading.Event(), threading.Event()

    def first_batch_waits() -> None:
        begun.set()
        go_on.wait(30)

    post.before = first_batch_waits
    with ThreadPoolExecutor(40) as threads:
        answers = [threads.submit(post.tell, campaign, 2)]
        assert begun.wait(30)
        answers += [threads.submit(post.tell, campaign, row) for row in range(3, 42)]
        with httpx.Client() as client:
            client.get(post.url.replace("/callbacks", "/health"))
        assert not any(answer.done() for answer in answers)
        go_on.set()
        assert {answer.result() for answer in answers} == {200}
    assert sum(post.batches) == 40
    assert post.ledger.queries.counts(campaign) == {R.DELIVERED: 40}


def test_what_cannot_be_stored_now_is_told_again(post: Post) -> None:
    campaign = post.campaign()

    def away() -> None:
        raise Unreachable("ledger_locked", file="ledger", found="busy")

    post.before = away
    answer = post.client.post(post.url, json=post.body(campaign, 2), headers=post.signed(campaign, 2))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert untouched(post, campaign)
    post.before = lambda: None
    assert post.tell(campaign, 2) == 200
    assert post.client.get(post.url.replace("/callbacks", "/health")).status_code == 200


def test_one_that_breaks_a_batch_does_not_keep_the_others_out(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    campaign = post.campaign()

    def bug() -> None:
        raise RuntimeError("one of them")

    post.before = bug
    assert post.tell(campaign, 2) == 503
    assert untouched(post, campaign)
    assert post.outcomes == {Outcome.UNAVAILABLE: 1}
    told = [record for record in caplog.records if record.getMessage() == "callbacks_broken"]
    assert told
    assert told[0].exc_info is not None
    post.before = lambda: None
    assert post.tell(campaign, 2) == 200


def test_a_round_that_breaks_is_told_and_the_next_one_goes_on(post: Post) -> None:
    campaign = post.campaign()
    health = post.url.replace("/callbacks", "/health")

    def bug() -> None:
        raise RuntimeError("one of them")

    post.before_tidying = bug
    while post.client.get(health).status_code == 200:
        pass
    post.before_tidying = lambda: None
    while post.client.get(health).status_code != 200:
        pass
    assert post.tell(campaign, 99) == 200
    post.clock.elapsed += timedelta(days=8).total_seconds()
    while post.ledger.inbox.size():
        post.client.get(health)


def test_every_outcome_has_its_answer() -> None:
    assert set(STATUSES) == set(Outcome)
    assert [outcome for outcome, status in STATUSES.items() if status == 200] == [Outcome.STORED]
