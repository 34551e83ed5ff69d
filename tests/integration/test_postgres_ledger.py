"""What only a server can do to a ledger: be away, be killed, fill up with others, refuse."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dispatcher.errors import Unreachable, UsageError
from dispatcher.ledger import Ledger
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.new_database()
    yield name
    postgres.drop_database(name)


def open_and_close(url: str, together: Any, out: Any) -> None:
    together.wait(60)
    ledger = Ledger.open(url, create=True)
    out.put(ledger.id)
    ledger.dispose()


def test_processes_that_create_it_at_once_share_one_ledger(postgres: PostgresServer, database: str) -> None:
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


def test_looking_never_creates_it(postgres: PostgresServer, database: str) -> None:
    assert Ledger.open_existing(postgres.url(database)) is None
    with pytest.raises(Unreachable, match="ledger_missing"):
        Ledger.open(postgres.url(database))


def test_a_database_that_is_not_there_is_named(postgres: PostgresServer) -> None:
    with pytest.raises(Unreachable, match="ledger_server_unreachable") as caught:
        Ledger.open(postgres.url("nowhere"), create=True)
    assert 'database "nowhere" does not exist' in str(caught.value.found)


def test_a_password_is_never_shown(postgres: PostgresServer) -> None:
    url = f"postgresql://postgres:hidden@127.0.0.1:{postgres.port}/nowhere"
    with pytest.raises(Unreachable) as caught:
        Ledger.open(url, create=True)
    assert "hidden" not in str(caught.value.__dict__)


def test_a_database_of_somebody_else_is_not_touched(postgres: PostgresServer, database: str) -> None:
    import psycopg

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


def test_a_cut_cable_is_an_error_and_no_more(postgres: PostgresServer, database: str) -> None:
    with Proxy(postgres.port) as proxy:
        ledger = Ledger.open(postgres.url(database, proxy.port), create=True)
        proxy.cut()
        with pytest.raises(Unreachable, match="ledger_server_unreachable"):
            ledger.queries.campaigns()
        proxy.mend()
        assert ledger.queries.campaigns() == []
        ledger.dispose()


def test_a_stalled_cable_is_waited_for(postgres: PostgresServer, database: str) -> None:
    with Proxy(postgres.port) as proxy, ThreadPoolExecutor(1) as thread:
        ledger = Ledger.open(postgres.url(database, proxy.port), create=True)
        proxy.stall()
        waiting = thread.submit(ledger.queries.campaigns)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        proxy.mend()
        assert waiting.result(timeout=30) == []
        ledger.dispose()
