"""Opening, creating, migrating, and everything that can be wrong with the file."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from dispatcher.errors import DispatcherError, Unreachable, UsageError
from dispatcher.ledger import Ledger, RowState
from dispatcher.ledger.database import Database, parse_url
from dispatcher.ledger.failures import SQLITE_CODES, sqlite_failure
from dispatcher.ledger.migrations import MIGRATIONS, migrate
from dispatcher.wording import LANGUAGES, Wording

FROZEN = Path(__file__).with_name("schema_v1.sql")
SCHEMA = (
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type, name"
)


def schema_of(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        statements = [row[0] for row in connection.execute(SCHEMA)]
    connection.close()
    return (
        "\n\n".join(
            "\n".join(line.rstrip() for line in each.split("\n") if line.strip()) for each in statements
        )
        + "\n"
    )


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    """What can be wrong with a file; a server is another test's."""
    return f"sqlite:///{tmp_path / 'data' / 'ledger.db'}"


def test_a_new_ledger_is_private_and_keeps_its_name(ledger_url: str) -> None:
    first = Ledger.open(ledger_url, create=True)
    assert len(first.id) == 8
    int(first.id, 16)
    assert first.path is not None
    if sys.platform != "win32":
        assert first.path.parent.stat().st_mode & 0o777 == 0o700
        for file in first.path.parent.iterdir():
            assert file.stat().st_mode & 0o777 == 0o600, file.name
    first.dispose()
    again = Ledger.open(ledger_url)
    assert again.id == first.id
    again.dispose()


def test_open_existing_never_creates(ledger_url: str, tmp_path: Path) -> None:
    assert Ledger.open_existing(ledger_url) is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Unreachable, match="ledger_missing"):
        Ledger.open(ledger_url)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.db").touch()
    assert Ledger.open_existing(ledger_url) is None
    assert (tmp_path / "data" / "ledger.db").stat().st_size == 0


def test_writes_survive_a_power_cut(ledger: Any) -> None:
    with ledger._database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous")
        }
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("nonsense", "ledger_url"),
        ("mysql://me:secret@host/db", "ledger_url"),
        ("sqlite://", "ledger_in_memory"),
        ("sqlite:///:memory:", "ledger_in_memory"),
    ],
)
def test_urls_that_are_no_ledger(url: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        Ledger.open(url, create=True)
    assert caught.value.code == code
    assert "secret" not in str(caught.value)


def test_postgresql_is_accepted_with_its_driver() -> None:
    assert parse_url("postgresql://me@host/db").drivername == "postgresql+psycopg"


def open_error(url: str) -> DispatcherError:
    with pytest.raises(DispatcherError) as caught:
        Ledger.open(url, create=True)
    return caught.value


def test_a_file_that_is_no_database(ledger_url: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.db").write_bytes(b"name;phone\r\n" * 500)
    assert open_error(ledger_url).code == "ledger_damaged"


def test_a_damaged_ledger(ledger_url: str, new_desk: Any) -> None:
    ledger = Ledger.open(ledger_url, create=True)
    campaign = new_desk(ledger).campaign(new_desk(ledger).rows(9_000))  # far behind the schema
    ledger.dispose()
    assert ledger.path is not None
    content = bytearray(ledger.path.read_bytes())
    content[len(content) // 4 : -4096] = b"\xa5" * (len(content) - len(content) // 4 - 4096)
    ledger.path.write_bytes(content)
    damaged = Ledger.open(ledger_url)
    with pytest.raises(Unreachable, match="ledger_damaged"):
        list(damaged.queries.report_rows(campaign))
    damaged.dispose()


def test_a_database_of_somebody_else_is_not_touched(ledger_url: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE meta (key, value)")
    connection.close()
    assert open_error(ledger_url).code == "ledger_not_a_ledger"
    with pytest.raises(UsageError):
        Ledger.open_existing(ledger_url)
    assert "CREATE TABLE meta (key, value)" in schema_of(path)


def test_a_newer_ledger_is_refused(ledger: Any, desk: Any) -> None:
    desk.raw("UPDATE meta SET value = '99' WHERE key = 'version'")
    error = open_error(ledger.url)
    assert (error.code, error.found, error.exit_code) == ("ledger_newer", "99", 2)


def test_a_deleted_ledger_is_noticed_before_anything_is_written(ledger: Any, desk: Any) -> None:
    campaign = desk.campaign(desk.rows(1))
    ledger.path.rename(ledger.path.with_suffix(".moved"))
    with pytest.raises(Unreachable, match="ledger_file_gone"):
        ledger.campaigns.pause(campaign, desk.now)
    shutil.copy(ledger.path.with_suffix(".moved"), ledger.path)
    with pytest.raises(Unreachable, match="ledger_file_gone"):
        desk.claim(campaign, "a")


def test_a_locked_ledger(ledger_url: str, new_desk: Any) -> None:
    ledger = Ledger.open(ledger_url, create=True, busy_seconds=0.05)
    desk = new_desk(ledger)
    campaign = desk.campaign(desk.rows(1))
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unreachable, match="ledger_locked"):
        desk.claim(campaign, "a")
    assert ledger.queries.counts(campaign) == {RowState.READY: 1}  # readers go on
    other.execute("ROLLBACK")
    other.close()
    assert desk.claim(campaign, "b") == [2]
    ledger.dispose()


def test_a_full_disk_loses_nothing_that_was_written(ledger: Any, desk: Any) -> None:
    campaign = desk.campaign(desk.rows(2))
    with ledger._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unreachable, match="ledger_disk_full"):
        ledger.opt_outs.add([f"+39333{n:07d}" for n in range(20_000)], "list", desk.now)
    ledger.dispose()  # the limit belonged to the connection
    assert desk.claim(campaign, "a") == [2, 3]
    desk.check_counters(campaign)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anything")
def test_a_read_only_ledger(ledger: Any, desk: Any) -> None:
    ledger.dispose()
    ledger.path.chmod(0o400)
    with pytest.raises(Unreachable, match="ledger_"):
        ledger.opt_outs.add(["+393331234567"], "x", desk.now)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    assert open_error(f"sqlite:///{tmp_path / 'data' / 'ledger.db'}").code == "ledger_cannot_open"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SQLITE_BUSY_SNAPSHOT", "ledger_locked"),
        ("SQLITE_CORRUPT_INDEX", "ledger_damaged"),
        ("SQLITE_NOTADB", "ledger_damaged"),
        ("SQLITE_FULL", "ledger_disk_full"),
        ("SQLITE_READONLY_DIRECTORY", "ledger_read_only"),
        ("SQLITE_READONLY_DBMOVED", "ledger_file_gone"),
        ("SQLITE_CANTOPEN", "ledger_cannot_open"),
        ("SQLITE_IOERR_FSYNC", "ledger_disk_failed"),
        ("SQLITE_CONSTRAINT_CHECK", None),
        ("SQLITE_ERROR", None),
        ("SQLITE_MISUSE", None),
    ],
)
def test_what_sqlite_says_has_one_meaning(name: str, code: str | None) -> None:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorname = name
    failure = sqlite_failure(error, "ledger.db")
    assert (failure.code if failure else None) == code


def test_version_1_is_frozen(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url, create=True)
    ledger.dispose()
    assert ledger.path is not None
    if len(MIGRATIONS) == 1:  # later versions add to it; version 1 itself never changes
        assert schema_of(ledger.path) == FROZEN.read_text(encoding="utf-8"), (
            "a schema change is a new migration"
        )


def old_ledger(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        statements = FROZEN.read_text(encoding="utf-8").split("\n\n")
        for statement in sorted(statements, key=lambda each: not each.startswith("CREATE TABLE")):
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('id', '0123abcd'), ('version', '1')")
    connection.close()


def test_from_version_1_to_today(ledger_url: str, tmp_path: Path, new_desk: Any) -> None:
    fresh = Ledger.open(f"sqlite:///{tmp_path / 'fresh' / 'ledger.db'}", create=True)
    old_ledger(tmp_path / "data" / "ledger.db")
    opened = Ledger.open(ledger_url)
    assert opened.id == "0123abcd"
    assert opened.path is not None
    assert fresh.path is not None
    assert schema_of(opened.path) == schema_of(fresh.path)
    desk = new_desk(opened)
    campaign = desk.campaign(desk.rows(2), max_cost=Decimal("0.05"))
    assert desk.claim(campaign, "a") == [2]
    fresh.dispose()
    opened.dispose()


def test_a_migration_that_fails_leaves_the_version_before_it(ledger: Any) -> None:
    def good(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE two (x INTEGER)"))

    def bad(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE three (x INTEGER)"))
        raise RuntimeError("the power went")

    database = Database(parse_url(ledger.url))
    with pytest.raises(RuntimeError):
        migrate(database, "x", [*MIGRATIONS, good, bad])
    with database.read() as connection:
        tables = set(connection.execute(text("SELECT name FROM sqlite_master")).scalars())
        version = connection.execute(text("SELECT value FROM meta WHERE key = 'version'")).scalar()
    assert "two" in tables
    assert "three" not in tables
    assert version == str(len(MIGRATIONS) + 1)
    migrate(database, "x", [*MIGRATIONS, good, good][: len(MIGRATIONS) + 1])
    database.dispose()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_has_its_words(language: str) -> None:
    say = Wording(language)
    codes = {*SQLITE_CODES.values(), "ledger_url", "ledger_in_memory", "ledger_missing", "ledger_file_gone"}
    codes |= {"ledger_server_unreachable", "ledger_not_a_ledger", "ledger_newer", "ledger_no_campaign"}
    codes |= {"ledger_not_loading", "ledger_same_file_open", "ledger_account_halted", "pace_unreachable"}
    for code in codes:
        words = say.error(UsageError(code, file="a.db", found="7", known=1, campaign=3))
        assert words["message"]
        assert words["hint"]


def test_damage_is_found_by_looking_and_by_checking(tmp_path: Path, new_desk: Any) -> None:
    """Somewhere in the middle of the file, where opening it does not look."""
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    desk = new_desk(ledger)
    campaign = desk.campaign(desk.rows(3_000))
    ledger.check()
    ledger.dispose()
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(path.read_bytes())
    for start in range(len(content) // 3, len(content), 4096 * 7):
        content[start : start + 2_000] = b"\xa5" * 2_000
    path.write_bytes(content)
    damaged = Ledger.open(f"sqlite:///{path}")
    with pytest.raises(Unreachable, match="ledger_damaged"):
        damaged.check()
    with pytest.raises(Unreachable, match="ledger_damaged"):
        list(damaged.queries.report_rows(campaign))
    damaged.dispose()


@pytest.mark.parametrize("moment", ["checkout", "checkin"])
def test_an_interruption_waits_until_a_connection_is_taken_or_given_back(tmp_path: Path, moment: str) -> None:
    """Else the pool's lock may stay held, and every other thread waits for it."""
    database = Database(parse_url(f"sqlite:///{tmp_path / 'any.db'}"))
    pool: Any = database.engine.pool
    whole: list[bool] = []

    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        whole.append(True)

    with database.read():
        pass
    event.listen(pool, moment, interrupt)
    with pytest.raises(KeyboardInterrupt), database.read():
        pass
    event.remove(pool, moment, interrupt)
    assert whole[0]  # what was being done was done to its end
    assert (pool.checkedout(), pool.checkedin()) == (0, 1)
    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    database.dispose()
