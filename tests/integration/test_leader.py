"""One leader of a ledger: on a file and on a server, and what happens when it dies, freezes or is cut off."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dispatcher.ledger import Ledger
from dispatcher.ledger import leader as module
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from dispatcher.ledger import Ledger
leader = Ledger.open(sys.argv[1], create=True).leader("sweep")
print(leader.leads(), flush=True)
while True:
    time.sleep(0.2)
    leader.leads()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    yield postgres.url(request.getfixturevalue("database"))


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger.open(url, create=True)
    yield opened
    opened.dispose()


@pytest.fixture
def another_process(url: str, ledger: Ledger) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "True"
    yield process
    process.kill()
    process.wait(timeout=30)


def becomes(wanted: bool, ask: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while ask() is not wanted:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_there_is_one_leader_for_each_work(ledger: Ledger, url: str) -> None:
    other = Ledger.open(url)
    first, second, elsewhere = ledger.leader("sweep"), other.leader("sweep"), other.leader("another")
    assert first.leads()
    assert first.leads()
    assert not second.leads()
    assert elsewhere.leads()
    first.resign()
    assert second.leads()
    assert not first.leads()
    second.resign()
    elsewhere.resign()
    other.dispose()


def test_a_dead_leader_is_replaced(ledger: Ledger, another_process: subprocess.Popen[str]) -> None:
    leader = ledger.leader("sweep")
    assert not leader.leads()
    another_process.kill()
    becomes(True, leader.leads)
    leader.resign()


def test_a_leader_that_resigned_leaves_nothing_behind(ledger: Ledger) -> None:
    for _ in range(20):  # more than there are connections
        leader = ledger.leader("sweep")
        assert leader.leads()
        leader.resign()
    assert ledger.queries.campaigns() == []


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP")
def test_a_frozen_leader_of_a_server_is_replaced_and_knows_it(
    postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE", 1)
    url = postgres.url(database)
    frozen, other = Ledger.open(url, create=True), Ledger.open(url)
    first, second = frozen.leader("sweep"), other.leader("sweep")
    assert first.leads()
    assert not second.leads()
    becomes(True, second.leads)  # nothing was heard of the first
    assert not first.leads()
    for each in (first, second):
        each.resign()
    for ledger in (frozen, other):
        ledger.dispose()


def test_a_leader_that_was_cut_off_does_not_lead(postgres: Postgres, database: str) -> None:
    with Proxy(postgres.port, postgres.host) as proxy:
        away, other = (
            Ledger.open(postgres.url(database, proxy.port), create=True),
            Ledger.open(postgres.url(database)),
        )
        first, second = away.leader("sweep"), other.leader("sweep")
        assert first.leads()
        proxy.cut()
        becomes(True, second.leads)
        proxy.mend()
        assert not first.leads()
        second.resign()
        assert first.leads()
        first.resign()
        away.dispose()
    other.dispose()


def test_the_clock_of_the_ledger(ledger: Ledger) -> None:
    from datetime import UTC, datetime, timedelta

    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    if ledger.path is not None:
        assert ledger.now(long_ago) == long_ago
    else:
        assert abs(ledger.now(long_ago) - datetime.now(UTC)) < timedelta(minutes=1)
