"""From a real campaign to one that nobody can read any more, by commands alone."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dispatcher.cli.app import run
from dispatcher.ledger import Ledger, RowState
from tests.integration.processes import Cli, number, people, write_rows
from tests.unit.loaded import START, load_campaign, loadable_row

DAYS = 100 * 86_400
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """A command in this process, on the machine of ``cli``: its object, with the exit code as ``code``."""
    for name, value in cli.env.items():
        if name.startswith("DISPATCHER_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("DISPATCHER_GUARD_DAYS", "365")
    monkeypatch.chdir(cli.folder)

    def call(*arguments: str) -> dict[str, Any]:
        capsys.readouterr()
        code = run([*arguments, "--json"])
        return {**json.loads(capsys.readouterr().out), "code": code}

    return call


def age(folder: Path) -> None:
    """Everything happened a hundred days ago."""
    back = DAYS * 1_000_000
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        for column in ("created_at", "updated_at", "started_at", "finished_at"):
            ledger.execute(f"UPDATE campaigns SET {column} = {column} - {back}")
        ledger.execute(f"UPDATE rows SET attempt_started_at = attempt_started_at - {back}")
        ledger.execute(f"UPDATE screenings SET seen_at = seen_at - {back}")
        ledger.commit()
    with closing(sqlite3.connect(folder / "simulator.db")) as simulator:
        simulator.execute(f"UPDATE messages SET created = created - {back}")
        simulator.commit()
    for path in (folder / "inputs").glob("*/*"):
        os.utime(path, (time.time() - DAYS, time.time() - DAYS))


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_campaign_is_forgotten_and_not_sent_again(
    cli: Cli, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cli.ledger.parent
    write_rows(cli.folder / "a.csv", [*people(3), ("12", "To Ada Lovelace, nowhere.")])
    assert call("run", "a.csv", "--yes")["counts"] == {"accepted": 3, "invalid": 1}
    age(folder)
    telling = [each.encode() for each in (number(1)[3:], "Your appointment", "Lovelace")]
    assert all(each in all_bytes(folder) for each in telling)

    asked = call("purge", "--older-than", "90d")
    assert (asked["code"], asked["error"]["code"]) == (2, "purge_needs_yes")
    looked = call("purge", "--older-than", "90d", "--dry-run")
    assert (looked["code"], looked["campaigns"], looked["rows"], looked["left"]) == (0, [1], 4, [])
    assert all(each in all_bytes(folder) for each in telling)

    purged = call("purge", "--older-than", "90d", "--yes")
    assert (purged["code"], purged["campaigns"], purged["rows"], purged["inputs"]) == (0, [1], 4, 1)
    assert (purged["compacted"], purged["simulated"] > 0) == (True, True)
    assert not any(each in all_bytes(folder) for each in telling)

    one = call("status", "1")
    assert (one["code"], one["counts"], one["rows"]) == (1, {"accepted": 3, "invalid": 1}, 4)
    assert call("status")["code"] == 0
    gone = call("report", "1")
    assert (gone["code"], gone["error"]["code"]) == (2, "report_purged")

    page = call("report", "1", "--html", "--output", "page.html")
    assert (page["code"], page["counts"]) == (1, one["counts"])

    assert call("run", "a.csv", "--yes")["counts"] == {"already_sent": 3, "invalid": 1}
    # a report of the purged campaign speaks by its message ids, whatever the guard remembers
    (cli.folder / "a.simulated.report.csv").rename(cli.folder / "old.csv")
    monkeypatch.setenv("DISPATCHER_GUARD_DAYS", "0")
    assert call("run", "old.csv", "--yes")["counts"]["already_sent"] == 3


def test_a_purge_that_is_killed_goes_on(cli: Cli, call: Call) -> None:
    rows = 8_000
    ledger = Ledger.open(f"sqlite:///{cli.ledger}", create=True)
    loaded = [loadable_row(n, text=f"Ada {n}") for n in range(2, 2 + rows)]
    assert ledger.campaigns.cancel(load_campaign(ledger, 1, loaded, START), START)
    telling = "SELECT count(*) FROM rows WHERE text <> ''"
    with closing(sqlite3.connect(cli.ledger)) as looking:
        running = cli.start("purge", "--older-than", "3d", "--yes")
        running.until(lambda: looking.execute(telling).fetchone()[0] < rows)
        running.process.kill()
        running.process.wait()
        left = looking.execute(telling).fetchone()[0]
    view = ledger.queries.campaign(1)
    assert view.purge_begun_at is not None
    assert view.purged_at is None or not left
    done = call("purge", "--older-than", "3d", "--yes")
    assert (done["code"], done["compacted"]) == (0, True)
    assert ledger.queries.campaign(1).purged_at is not None
    assert b"Ada " not in all_bytes(cli.ledger.parent)
    assert ledger.queries.counts(1) == {RowState.CANCELLED: rows}
    ledger.dispose()
