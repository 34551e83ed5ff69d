"""What only a server can do to a ledger: be away, be killed, fill up with others, refuse."""

from __future__ import annotations

import multiprocessing
import random
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from dispatcher.errors import Unreachable, UsageError
from dispatcher.ledger import (
    Accepted,
    CampaignState,
    Claim,
    ClaimRequest,
    InDoubt,
    Ledger,
    Refused,
    RowState,
    Settlement,
)
from dispatcher.ledger.database import Database, parse_url
from tests.servers.postgres import Postgres, PostgresServer
from tests.servers.proxy import Proxy
from tests.unit.loaded import START, load_campaign, loadable_row


def open_and_close(url: str, together: Any, out: Any) -> None:
    together.wait(60)
    ledger = Ledger.open(url, create=True)
    out.put(ledger.id)
    ledger.dispose()


def test_processes_that_create_it_at_once_share_one_ledger(postgres: Postgres, database: str) -> None:
    context = multiprocessing.get_context("spawn")
    together, out = context.Barrier(3), context.Queue()
    arguments = (postgres.url(database), together, out)
    processes = [context.Process(target=open_and_close, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    ids = {out.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert len(ids) == 1


def test_looking_never_creates_it(postgres: Postgres, database: str) -> None:
    assert Ledger.open_existing(postgres.url(database)) is None
    with pytest.raises(Unreachable, match="ledger_missing"):
        Ledger.open(postgres.url(database))


def test_a_database_that_is_not_there_is_named(postgres: Postgres) -> None:
    with pytest.raises(Unreachable, match="ledger_server_unreachable") as caught:
        Ledger.open(postgres.url("nowhere"), create=True)
    assert 'database "nowhere" does not exist' in str(caught.value.found)


def test_a_password_is_never_shown(postgres: Postgres) -> None:
    url = f"postgresql://postgres:hidden@{postgres.host}:{postgres.port}/nowhere"
    with pytest.raises(Unreachable) as caught:
        Ledger.open(url, create=True)
    assert "hidden" not in str(caught.value.__dict__)


def test_a_database_of_somebody_else_is_not_touched(postgres: Postgres, database: str) -> None:
    with psycopg.connect(postgres.url(database), autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (x integer)")
    with pytest.raises(UsageError, match="ledger_not_a_ledger"):
        Ledger.open(postgres.url(database), create=True)


def test_a_server_that_was_killed_is_used_again_when_it_is_back() -> None:
    with PostgresServer() as server:
        ledger = Ledger.open(server.url(), create=True)
        server.stop(at_once=True)
        with pytest.raises(Unreachable, match="ledger_server_unreachable"):
            ledger.queries.campaigns()
        server.start()
        assert ledger.queries.campaigns() == []
        ledger.dispose()


def test_a_cut_cable_is_an_error_and_no_more(postgres: Postgres, database: str) -> None:
    with Proxy(postgres.port, postgres.host) as proxy:
        ledger = Ledger.open(postgres.url(database, proxy.port), create=True)
        proxy.cut()
        with pytest.raises(Unreachable, match="ledger_server_unreachable"):
            ledger.queries.campaigns()
        proxy.mend()
        assert ledger.queries.campaigns() == []
        ledger.dispose()


def test_a_stalled_cable_is_waited_for(postgres: Postgres, database: str) -> None:
    with Proxy(postgres.port, postgres.host) as proxy, ThreadPoolExecutor(1) as thread:
        ledger = Ledger.open(postgres.url(database, proxy.port), create=True)
        proxy.stall()
        waiting = thread.submit(ledger.queries.campaigns)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        proxy.mend()
        assert waiting.result(timeout=30) == []
        ledger.dispose()


PEOPLE = 2_000
LANES = 4
ABANDONED = 0.02  # the share of claims whose process is never heard of again


class Crowd:
    """Lanes of several processes at two campaigns for the same people; ``seed`` decides what each of them does."""

    def __init__(self, url: str, campaigns: Sequence[int], seed: int) -> None:
        self.url = url
        self.campaigns = campaigns
        self.seed = seed
        self.claimed: Counter[tuple[int, int]] = Counter()
        self.accepted: Counter[int] = Counter()  # by person
        self.failures: list[Exception] = []
        self.stopped = threading.Event()
        self._left = 120  # claims until one answer says that the account is blocklisted
        self._lock = threading.Lock()

    def send(self) -> None:
        """All lanes until nothing can be claimed any more."""
        with ThreadPoolExecutor(LANES) as threads:
            for lane in [threads.submit(self._lane, number) for number in range(LANES)]:
                lane.result(timeout=150)

    def _lane(self, number: int) -> None:
        rng, ledger = random.Random(f"{self.seed}.{number}"), Ledger.open(self.url)
        open_campaigns: set[int] = set(self.campaigns)
        answers: dict[int, list[Settlement]] = {campaign: [] for campaign in self.campaigns}
        while open_campaigns or any(answers.values()):
            campaign = rng.choice(self.campaigns)
            request = self._request(f"{number}.{rng.getrandbits(64):x}", rng)
            try:
                settled = ledger.rows.settle_and_claim(campaign, answers[campaign], request, START)
            except Unreachable as error:
                self.failures.append(error)
                return
            claim = settled.claim
            assert claim is not None
            answers[campaign] = self._answers(campaign, claim, request.token, rng)
            if settled.state is CampaignState.SENDING and not claim.rows and not claim.left_out:
                open_campaigns.discard(campaign)
            if settled.state is not CampaignState.SENDING and not answers[campaign]:
                open_campaigns.discard(campaign)
            self._stop_once(ledger)
        ledger.dispose()

    def _request(self, token: str, rng: random.Random) -> ClaimRequest:
        return ClaimRequest(
            owner="lane",
            token=token,
            limit=rng.randint(1, 16),
            deadline=START + timedelta(seconds=30),
            now=START,
            guard_since=START - timedelta(days=7),
        )

    def _answers(self, campaign: int, claim: Claim, token: str, rng: random.Random) -> list[Settlement]:
        with self._lock:
            self.claimed.update((campaign, row.row) for row in claim.rows)
        if rng.random() < ABANDONED:
            return []
        return [self._answer(campaign, row.row, token, rng) for row in claim.rows]

    def _answer(self, campaign: int, row: int, token: str, rng: random.Random) -> Settlement:
        chance = rng.random()
        if chance < 0.05:
            return InDoubt(token=token, row=row)
        if chance < 0.1:
            return Refused(token=token, row=row, reason="refused_by_gateway")
        with self._lock:
            self.accepted[row] += 1
        price = rng.choice([None, Decimal("0.04")])
        return Accepted(
            token=token, row=row, message_id=f"{campaign}.{row}", sent_at=START, actual_cost=price
        )

    def _stop_once(self, ledger: Ledger) -> None:
        with self._lock:
            self._left -= 1
            mine = self._left == 0
        if mine:
            ledger.halts.stop("sandbox", None, "blocklisted", START)
            self.stopped.set()


def counters_equal_rows(url: str, campaign: int) -> None:
    rows = "SELECT state, count(*), coalesce(sum(parts), 0) FROM rows WHERE campaign_id = %s GROUP BY state"
    counters = "SELECT state, n, parts FROM campaign_counts WHERE campaign_id = %s AND n + parts <> 0"
    money = (
        "SELECT coalesce(sum(actual_cost), 0), coalesce(sum(CASE WHEN state BETWEEN 2 AND 8 "
        "THEN coalesce(actual_cost, reserve_cost) END), 0), "
        "count(*) FILTER (WHERE state BETWEEN 4 AND 8 AND actual_cost IS NULL) FROM rows WHERE campaign_id = %s"
    )
    sums = "SELECT actual_cost, committed_cost, accepted_unpriced FROM campaigns WHERE id = %s"
    with psycopg.connect(url) as connection:
        for of_rows, counted in ((rows, counters), (money, sums)):
            asked = [connection.execute(sql.encode(), (campaign,)).fetchall() for sql in (of_rows, counted)]
            assert sorted(asked[0]) == sorted(asked[1])


def test_who_is_frozen_within_a_transaction_does_not_keep_others_waiting(
    postgres: Postgres, database: str
) -> None:
    """The others go on when the server has let go of it, and it is told that what it did there is lost."""
    url = parse_url(postgres.url(database))
    Ledger.open(postgres.url(database), create=True).dispose()
    frozen, other = Database(url, frozen_seconds=0.2), Database(url, busy_seconds=30.0)
    bump = text("UPDATE meta SET value = value || 'x' WHERE key = 'version' RETURNING value")
    with pytest.raises(Unreachable, match="ledger_server_unreachable"), frozen.write() as connection:  # noqa: PT012
        first = connection.execute(bump).scalar_one()
        with other.write() as of_other:  # waits for the lock, with no end of its own in sight
            assert of_other.execute(bump).scalar_one() == first
    frozen.dispose()
    other.dispose()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.long
def test_many_processes_at_two_campaigns_for_the_same_people(
    postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(Database, "ahead", lambda *_: timedelta(0))  # the time here is the test's
    url = postgres.url(database)
    ledger = Ledger.open(url, create=True)
    people = [loadable_row(number) for number in range(2, 2 + PEOPLE)]
    campaigns = [load_campaign(ledger, number, people, START) for number in (1, 2)]
    for campaign in campaigns:
        assert ledger.campaigns.begin_preflight(campaign, START)
        assert ledger.campaigns.start_sending(campaign, START)
    crowd = Crowd(url, campaigns, seed)
    crowd.send()
    assert crowd.stopped.is_set()
    assert {ledger.queries.campaign(campaign).state for campaign in campaigns} == {CampaignState.HALTED}
    assert sum(crowd.claimed.values()) < PEOPLE  # in the middle
    for campaign in campaigns:
        counters_equal_rows(url, campaign)
    assert ledger.halts.lift("sandbox", None, "anna", START)
    assert all(ledger.campaigns.resume(campaign, START) for campaign in campaigns)
    crowd.send()
    assert crowd.failures == []  # no deadlock, and no lock that was waited for in vain
    assert set(crowd.claimed.values()) == {1}
    assert set(crowd.accepted.values()) == {1}  # in one of the two campaigns, whichever came first
    for campaign in campaigns:
        ledger.rows.doubt_expired(START + timedelta(seconds=31), campaign)
        counters_equal_rows(url, campaign)
        counts = ledger.queries.counts(campaign)
        assert RowState.SENDING not in counts
        assert RowState.READY not in counts
    ledger.dispose()
