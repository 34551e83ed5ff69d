"""A run whose ledger others write to for longer than a statement waits goes on when it is free again."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.integration.processes import Cli, GatewayOutside, once_each, people, report_of, write_rows

BUSY = {"DISPATCHER_BUSY_SECONDS": "0.3", "DISPATCHER_RATE_PER_MINUTE": "1800"}
SAID = "Another program is writing to the ledger"


@contextmanager
def locked(cli: Cli) -> Iterator[None]:
    """Another program's transaction."""
    with closing(sqlite3.connect(cli.ledger, isolation_level=None, timeout=30.0)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_run_waits_for_a_busy_ledger_and_sends_every_row_once(cli: Cli, gateway: GatewayOutside) -> None:
    rows = people(150)
    write_rows(cli.folder / "a.csv", rows)
    running = cli.start("run", "a.csv", "--yes", "--json", **BUSY)
    running.when(lambda: len(gateway.accepted()) >= 20)
    with locked(cli):
        running.when(lambda: SAID in running.said)
        held = time.monotonic() + 10 * float(BUSY["DISPATCHER_BUSY_SECONDS"])
        running.when(lambda: time.monotonic() > held)
        asked = len(gateway.accepted())
    running.when(lambda: len(gateway.accepted()) > asked)
    ended = running.ended()
    assert (ended.code, ended.json["state"], ended.json["counts"]) == (0, "finished", {"accepted": 150})
    assert ended.err.count(SAID) == 1
    assert gateway.sends() == once_each(rows)
    assert [row["sms_status"] for row in report_of(cli, ended.json)] == ["accepted"] * 150


@pytest.mark.long
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
def test_ctrl_c_on_a_busy_ledger_pauses_once_it_is_free(cli: Cli, gateway: GatewayOutside) -> None:
    rows = people(150)
    write_rows(cli.folder / "a.csv", rows)
    running = cli.start("run", "a.csv", "--yes", "--json", **BUSY)
    running.when(lambda: len(gateway.accepted()) >= 20)
    with locked(cli):
        running.when(lambda: SAID in running.said)
        running.signal(signal.SIGINT).when(lambda: running.said.count(SAID) == 2)
    ended = running.ended()
    assert (ended.code, ended.json["state"]) == (130, "paused")
    assert "in_doubt" not in ended.json["counts"]
    assert ended.json["counts"]["accepted"] == len(gateway.accepted())
    assert cli("resume", "1", "--yes", "--json").json["counts"] == {"accepted": 150}
    assert gateway.sends() == once_each(rows)
