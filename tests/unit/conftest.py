"""Ledgers on a real file and on a real server, for every test of what is the same on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from dispatcher.ledger import Ledger
from dispatcher.ledger.database import Database
from tests.servers.postgres import Postgres

NewLedger = Callable[[Path], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> Iterator[str]:
    """A database with an empty ledger, to be copied: a tenth of the time of making one."""
    name = postgres.new_database()
    Ledger.open(postgres.url(name), create=True).dispose()
    yield name
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_ledger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> NewLedger:
    """Gives the URL of a ledger of one's own while its block lasts: a file in a folder, or a database."""
    if request.param == "sqlite":
        return _in_a_file
    postgres: Postgres = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("template")
    # the test's clock is the time here; that a server dates claims by its own is tested by itself
    monkeypatch.setattr(Database, "ahead", lambda *_: timedelta(0))

    @contextmanager
    def on_the_server(_folder: Path) -> Iterator[str]:
        name = postgres.new_database(template)
        try:
            yield postgres.url(name)
        finally:
            postgres.drop_database(name)

    return on_the_server


@pytest.fixture
def ledger_url(new_ledger: NewLedger, tmp_path: Path) -> Iterator[str]:
    """A ledger of this test's own; not there yet, or empty."""
    with new_ledger(tmp_path) as url:
        yield url


@contextmanager
def _in_a_file(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'data' / 'ledger.db'}"
