"""Two processes at one ledger at once: on a server nobody waits for the one writer, so every look may be old."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from dispatcher.errors import Unreachable, UsageError
from dispatcher.ledger import CampaignState, Ledger, NewCampaign, OptOut, Screening, to_instant

C = CampaignState
TOGETHER = 4
NEW = NewCampaign(
    name="n", file_name="f.csv", file_sha256="ab", gateway="sandbox", fingerprint="f", owner="o"
)


@contextmanager
def meanwhile(desk: Any, sql: str, *values: Any) -> Iterator[Callable[[Callable[[], Any]], Future[Any]]]:
    """Another process has executed ``sql`` and not committed yet; it does once what was started waits for it."""
    url = desk.ledger.url.replace("postgresql+psycopg:", "postgresql:")
    with psycopg.connect(url) as other, ThreadPoolExecutor(1) as thread:
        other.execute(sql, values)
        started: list[Future[Any]] = []

        def start(work: Callable[[], Any]) -> Future[Any]:
            started.append(thread.submit(work))
            return started[0]

        yield start
        while not started[0].done() and not waits_for_a_lock(desk):
            pass
        other.commit()


def waits_for_a_lock(desk: Any) -> bool:
    return bool(
        desk.raw(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
    )


def at_once(url: str, work: Callable[[Ledger, int], Any]) -> list[Any]:
    """What ``work`` gave or raised in each of several processes' places, all started together."""
    together = threading.Barrier(TOGETHER)

    def one(number: int) -> Any:
        ledger = Ledger.open(url)
        together.wait(30)
        try:
            return work(ledger, number)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error
        finally:
            ledger.dispose()

    with ThreadPoolExecutor(TOGETHER) as threads:
        return list(threads.map(one, range(TOGETHER)))


@pytest.mark.parametrize("meanwhile_state", [C.CANCELLED, C.FINISHED, C.PAUSED])
def test_a_stop_of_the_account_is_kept_whatever_a_campaign_does_meanwhile(
    server_desk: Any, meanwhile_state: CampaignState
) -> None:
    desk = server_desk
    first, second = desk.campaign(desk.rows(2)), desk.campaign(desk.rows(2))
    with meanwhile(desk, "UPDATE campaigns SET state = %s WHERE id = %s", meanwhile_state, first) as start:
        stopping = start(lambda: desk.ledger.halts.stop("sandbox", "me", "blocklisted", desk.now))
    moves = meanwhile_state is C.PAUSED
    assert stopping.result(timeout=30) == ([first, second] if moves else [second])
    assert [stop.reason for stop in desk.ledger.halts.in_force("sandbox", "me")] == ["blocklisted"]
    assert desk.ledger.queries.campaign(first).state is (C.HALTED if moves else meanwhile_state)
    assert desk.ledger.queries.campaign(second).state is C.HALTED


def test_stops_that_arrive_at_once_are_one_stop(ledger_url: str, desk: Any) -> None:
    campaigns = [desk.campaign(desk.rows(1)) for _ in range(5)]
    for round_ in range(5):
        answers = at_once(
            ledger_url,
            lambda ledger, n, r=round_: ledger.halts.stop("sandbox", "me", f"{r}.{n}", desk.now),
        )
        assert sorted(campaign for answer in answers for campaign in answer) == campaigns
        (stop,) = desk.ledger.halts.in_force("sandbox", "me")
        assert stop.reason in {f"{round_}.{n}" for n in range(TOGETHER)}
        assert desk.ledger.halts.lift("sandbox", "me", "anna", desk.now)
        assert all(desk.ledger.campaigns.resume(campaign, desk.now) for campaign in campaigns)


def test_a_stop_again_replaces_the_reason(desk: Any) -> None:
    desk.ledger.halts.stop("sandbox", None, "first", desk.now)
    desk.ledger.halts.stop("sandbox", None, "second", desk.now + timedelta(hours=1))
    (stop,) = desk.ledger.halts.in_force()
    assert (stop.account, stop.reason, stop.at) == (None, "second", desk.now + timedelta(hours=1))


def test_two_that_stop_an_account_never_wait_for_each_other(server_desk: Any) -> None:
    """Both lock several campaigns; whoever comes second waits at the first of them."""
    desk = server_desk
    campaigns = [desk.campaign([desk.row(2, due_at=desk.now)]) for _ in range(3)]
    for campaign in reversed(campaigns):  # the order in which they lie there is not that of their numbers
        assert desk.ledger.campaigns.wait(campaign, "due_times", desk.now)
    with meanwhile(desk, "SELECT 1 FROM campaigns WHERE id = %s FOR UPDATE", campaigns[0]) as start:
        stopping = start(lambda: desk.ledger.halts.stop("sandbox", None, "why", desk.now))
        while not waits_for_a_lock(desk):
            pass
        # what it has locked behind the one it waits for nobody else could have
        free = desk.raw("SELECT id FROM campaigns ORDER BY id FOR UPDATE SKIP LOCKED")
    assert [campaign for (campaign,) in free] == campaigns[1:]
    stopping.result(timeout=30)
    states = {desk.ledger.queries.campaign(campaign).state for campaign in campaigns}
    assert states == {CampaignState.HALTED}


def screening(desk: Any, outcome: str, number: int = 1) -> Screening:
    return Screening(
        route="IT", sender=None, text_hash=bytes([number]) * 32, outcome=outcome, seen_at=desk.now
    )


def test_the_same_text_screened_by_two_at_once_is_remembered_once(server_desk: Any) -> None:
    desk, memory = server_desk, server_desk.ledger.screenings
    theirs = (
        "INSERT INTO screenings (gateway, account, route, sender, text_hash, outcome, seen_at) "
        "VALUES ('sandbox', 'me', 'IT', '', %s, 'passed', %s)"
    )
    mine = [screening(desk, "passed", 2), screening(desk, "forbidden_text", 1)]
    with meanwhile(desk, theirs, bytes([1]) * 32, to_instant(desk.now)) as start:
        recording = start(lambda: memory.record("sandbox", "me", mine))
    recording.result(timeout=30)
    known = memory.known("sandbox", "me", desk.now, [each.key for each in mine])
    assert {key[2][0]: each.outcome for key, each in known.items()} == {1: "forbidden_text", 2: "passed"}


def test_screenings_recorded_at_once_in_any_order(ledger_url: str, desk: Any) -> None:
    seen = [screening(desk, "passed", number) for number in range(200)]

    def record(ledger: Ledger, number: int) -> None:
        ledger.screenings.record("sandbox", "me", seen[number * 50 :] + seen[: number * 50][::-1])

    assert at_once(ledger_url, record) == [None] * TOGETHER
    assert desk.raw("SELECT count(*) FROM screenings") == [(200,)]


def test_a_gateway_that_another_launch_writes_down_meanwhile(server_desk: Any) -> None:
    desk, loading = server_desk, server_desk.ledger.loading
    with meanwhile(desk, "INSERT INTO gateways (name) VALUES ('sandbox')") as start:
        creating = start(lambda: loading.create_campaign(NEW, desk.now))
    campaign = creating.result(timeout=30)
    assert desk.ledger.queries.campaign(campaign).gateway == "sandbox"


def test_the_same_file_launched_twice_at_once_is_refused(server_desk: Any) -> None:
    desk, loading = server_desk, server_desk.ledger.loading
    twin = loading.create_campaign(replace(NEW, fingerprint="other"), desk.now)
    with meanwhile(desk, "UPDATE campaigns SET fingerprint = 'f' WHERE id = %s", twin) as start:
        creating = start(lambda: loading.create_campaign(NEW, desk.now))
    with pytest.raises(UsageError, match="ledger_same_file_open") as caught:
        creating.result(timeout=30)
    assert (caught.value.file, caught.value.found) == ("f.csv", str(twin))


def test_launches_of_one_file_at_once_are_one_campaign(ledger_url: str, desk: Any) -> None:
    answers = at_once(ledger_url, lambda ledger, n: ledger.loading.create_campaign(NEW, desk.now))
    (campaign,) = [answer for answer in answers if isinstance(answer, int)]
    refused = [answer for answer in answers if isinstance(answer, UsageError)]
    assert [error.found for error in refused] == [str(campaign)] * (TOGETHER - 1)


def test_a_number_that_another_process_opts_out_meanwhile(server_desk: Any) -> None:
    desk, lists = server_desk, server_desk.ledger.opt_outs
    numbers = ["+393331200001", "+393331200002"]
    theirs = "INSERT INTO opt_outs (recipient, added_at, source) VALUES (%s, %s, 'theirs')"
    with meanwhile(desk, theirs, numbers[0], to_instant(desk.now)) as start:
        adding = start(lambda: lists.add(numbers, "mine", desk.now + timedelta(hours=1)))
    assert adding.result(timeout=30) == 1
    first, _ = lists.all()
    assert first == OptOut(recipient=numbers[0], added_at=desk.now, source="theirs")


def test_a_read_sees_one_moment(desk: Any) -> None:
    campaign = desk.campaign(desk.rows(2))
    count = text("SELECT n FROM campaign_counts WHERE campaign_id = 1 AND state = 1")
    with desk.ledger._database.read() as connection:
        before = connection.execute(count).scalar()
        assert desk.claim(campaign, "a") == [2, 3]
        assert connection.execute(count).scalar() == before == 2
    with desk.ledger._database.read() as connection:
        assert connection.execute(count).scalar() == 0


def test_a_server_lets_nobody_write_while_reading(server_desk: Any) -> None:
    with (
        pytest.raises(Unreachable, match="ledger_read_only"),
        server_desk.ledger._database.read() as connection,
    ):
        connection.execute(text("DELETE FROM opt_outs"))
    assert server_desk.ledger.opt_outs.add(["+393331234567"], "a call", server_desk.now) == 1
