"""A campaign between two processes: paused, cancelled, picked up again; its file moved, its report asked for again."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.processes import (
    Cli,
    GatewayOutside,
    number,
    once_each,
    people,
    report_of,
    write_rows,
)

SLOWLY = ("--rate-per-minute", "180")  # three a second: there is time to do something meanwhile

Rows = list[tuple[str, str]]


@pytest.fixture
def rows(cli: Cli) -> Rows:
    """``a.csv``: forty people."""
    found = people(40)
    write_rows(cli.folder / "a.csv", found)
    return found


@pytest.fixture
def paused(cli: Cli, gateway: GatewayOutside, rows: Rows) -> int:
    """The campaign of ``a.csv``, paused from another process in the middle; gives how many were sent."""
    running = cli.start("run", "a.csv", "--yes", "--json", *SLOWLY)
    running.when(lambda: len(gateway.accepted()) >= 3)
    assert cli("pause", "1").code == 0
    ended = running.ended()
    assert (ended.code, ended.json["state"]) == (130, "paused")
    sent = len(gateway.accepted())
    assert ended.json["counts"] == {"accepted": sent, "ready": 40 - sent}
    assert 3 <= sent < 40
    return sent


def test_paused_from_another_process_and_resumed(
    cli: Cli, gateway: GatewayOutside, rows: Rows, paused: int
) -> None:
    again = cli.json("pause", "1")
    assert (again["code"], again["error"]["code"]) == (2, "campaign_cannot_pause")
    # whoever opts out meanwhile gets nothing
    opted_out = rows[-1][0]
    assert cli("optout", "add", opted_out).code == 0
    done = cli.json("resume", "1", "--yes")
    assert (done["code"], done["counts"]) == (0, {"accepted": 39, "opted_out": 1})
    assert gateway.sends() == once_each(rows[:-1])
    assert report_of(cli, done)[-1]["sms_status"] == "opted_out"


def test_cancelled_for_good(cli: Cli, gateway: GatewayOutside, rows: Rows, paused: int) -> None:
    cancelled = cli.json("cancel", "1")
    assert (cancelled["code"], cancelled["state"]) == (0, "cancelled")
    assert cancelled["counts"] == {"accepted": paused, "cancelled": 40 - paused}
    assert cli.json("status", "1")["code"] == 1
    resumed = cli.json("resume", "1", "--yes")
    assert (resumed["code"], resumed["error"]["code"]) == (2, "campaign_not_resumable")
    # the file can be sent anew, and whoever was reached is not reached again
    done = cli.json("run", "a.csv", "--yes")
    assert (done["campaign"], done["counts"]) == (2, {"accepted": 40 - paused, "already_sent": paused})
    assert gateway.sends() == once_each(rows)


def test_cancelled_while_running(cli: Cli, gateway: GatewayOutside, rows: Rows) -> None:
    running = cli.start("run", "a.csv", "--yes", "--json", *SLOWLY)
    running.when(lambda: len(gateway.accepted()) >= 3)
    assert cli("cancel", "1").code == 0
    ended = running.ended()
    assert (ended.code, ended.json["state"]) == (1, "cancelled")
    sent = len(gateway.accepted())
    assert ended.json["counts"] == {"accepted": sent, "cancelled": 40 - sent}


@pytest.mark.long
def test_a_campaign_belongs_to_its_gateway(
    cli: Cli, gateways: Callable[..., GatewayOutside], gateway: GatewayOutside, rows: Rows
) -> None:
    assert cli("run", "a.csv", "--yes").code == 0
    write_rows(cli.folder / "b.csv", people(1, first=500))
    assert cli("run", "b.csv").code == 2  # nobody to ask
    other = gateways()
    ended = cli("resume", "2", "--yes", "--json")
    assert (ended.code, ended.error["code"]) == (2, "campaign_other_gateway")
    assert gateway.url in ended.error["hint"]
    assert not other.received()
    # what went elsewhere does not count as sent here
    assert cli.json("run", "a.csv", "--yes")["counts"] == {"accepted": 40}
    assert other.sends() == once_each(rows)


@pytest.mark.long
def test_the_report_is_made_from_the_kept_file(cli: Cli, gateway: GatewayOutside) -> None:
    there = cli.folder / "there"
    there.mkdir()
    rows = people(3)
    write_rows(there / "a.csv", rows)
    first = cli.json("run", there / "a.csv", "--yes")
    report = there / "a.report.csv"
    assert Path(first["report"]) == report
    original = report.read_bytes()

    # asked for again: the same place, the same bytes
    again = cli.json("report", "1")
    assert (again["code"], Path(again["report"])) == (0, report)
    assert report.read_bytes() == original

    # changed by its reader: kept
    report.write_text("my notes", encoding="utf-8")
    beside = cli.json("report", "1")
    assert Path(beside["report"]) == there / "a.report-2.csv"
    assert report.read_text("utf-8") == "my notes"

    # the folder is gone
    shutil.rmtree(there)
    gone = cli("report", "1", "--json")
    assert (gone.code, gone.error["code"]) == (2, "report_folder_not_writable")
    (cli.folder / "new").mkdir()
    moved = cli.json("report", "1", "--report-dir", "new")
    assert moved["code"] == 0
    assert (cli.folder / "new" / "a.report.csv").read_bytes() == original


def test_a_file_that_moved_goes_on_with_its_campaign(cli: Cli, gateway: GatewayOutside, rows: Rows) -> None:
    assert cli("run", "a.csv").code == 2  # nobody to ask
    elsewhere = cli.folder / "elsewhere"
    elsewhere.mkdir()
    (cli.folder / "a.csv").rename(elsewhere / "renamed.csv")
    done = cli.json("run", elsewhere / "renamed.csv", "--yes")
    assert (done["campaign"], done["code"], done["counts"]) == (1, 0, {"accepted": 40})
    assert gateway.sends() == once_each(rows)


def test_a_file_that_is_gone_is_not_needed_any_more(cli: Cli, gateway: GatewayOutside, rows: Rows) -> None:
    assert cli("run", "a.csv").code == 2
    (cli.folder / "a.csv").unlink()
    done = cli.json("resume", "1", "--yes")
    assert (done["code"], done["counts"]) == (0, {"accepted": 40})
    assert len(report_of(cli, done)) == 40
    assert gateway.sends() == once_each(rows)


@pytest.mark.long
def test_a_folder_that_is_gone_is_told_before_anything_is_sent(cli: Cli, gateway: GatewayOutside) -> None:
    there = cli.folder / "there"
    there.mkdir()
    rows = people(2)
    write_rows(there / "a.csv", rows)
    assert cli("run", there / "a.csv").code == 2  # nobody to ask
    shutil.rmtree(there)
    ended = cli("resume", "1", "--yes", "--json")
    assert (ended.code, ended.error["code"]) == (2, "report_folder_not_writable")
    assert not gateway.accepted()
    done = cli.json("resume", "1", "--yes", "--report-dir", ".")
    assert (done["code"], Path(done["report"]).name) == (0, "a.report.csv")
    assert gateway.sends() == once_each(rows)


def test_a_changed_file_is_another_campaign_that_sends_what_is_new(
    cli: Cli, gateway: GatewayOutside, rows: Rows
) -> None:
    assert cli("run", "a.csv", "--yes").code == 0
    more = [*rows, (number(900), "Welcome.")]
    write_rows(cli.folder / "a.csv", more)
    done = cli.json("run", "a.csv", "--yes")
    assert (done["campaign"], done["counts"]) == (2, {"accepted": 1, "already_sent": 40})
    assert gateway.sends() == once_each(more)


@pytest.mark.long
def test_a_new_list_of_forbidden_words_counts_for_what_a_killed_run_left(
    cli: Cli, gateway: GatewayOutside, rows: Rows
) -> None:
    running = cli.start("run", "a.csv", "--yes", *SLOWLY)
    running.when(lambda: len(gateway.accepted()) >= 3)
    running.process.kill()
    running.process.wait()
    word = rows[-1][1].split()[-1].rstrip(".")  # the time of every fifth appointment
    (cli.folder / "words.txt").write_text(word, encoding="utf-8")
    before = {message.recipient for message in gateway.accepted()}
    assert cli.json("status", "1")["state"] == "sending"
    assert cli("reconcile", "--absent-after", "1s").code == 0
    done = cli.json("run", "a.csv", "--yes", "--forbid-file", "words.txt")
    assert done["campaign"] == 1
    assert done["counts"]["refused"] > 0
    late = [message for message in gateway.accepted() if message.recipient not in before]
    assert late
    assert not [message for message in late if word in message.message]
    refused = [row for row in report_of(cli, done) if row["sms_status"] == "refused"]
    assert all(row["text"] in row["sms_reason"] for row in refused)  # which text it is about


@pytest.fixture
def lying_still(cli: Cli, gateway: GatewayOutside, rows: Rows) -> None:
    """The campaign of ``a.csv``, killed in the middle two days ago."""
    running = cli.start("run", "a.csv", "--yes", *SLOWLY)
    running.when(lambda: len(gateway.accepted()) >= 3)
    running.process.kill()
    running.process.wait()
    age(cli.ledger, timedelta(days=2))


def dry_runs(gateway: GatewayOutside) -> int:
    """How many were asked for."""
    return sum(message.dry_run for message in gateway.received())


@pytest.mark.usefixtures("lying_still")
@pytest.mark.parametrize("how", ["run", "resume", "reconcile and run"])
def test_what_lay_still_for_days_is_screened_again_before_it_goes_on(
    cli: Cli, gateway: GatewayOutside, rows: Rows, how: str
) -> None:
    if how.startswith("reconcile"):
        assert cli("reconcile", "1", "--no-wait").code in (0, 1)
    before = dry_runs(gateway)
    done = cli.json(*(("resume", "1") if how == "resume" else ("run", "a.csv")), "--yes", "--no-wait")
    assert done["campaign"] == 1
    assert dry_runs(gateway) > before
    assert done["counts"].get("accepted", 0) + done["counts"].get("in_doubt", 0) == 40
    assert gateway.sends() <= once_each(rows)


@pytest.mark.usefixtures("lying_still")
def test_a_dry_run_leaves_a_campaign_that_lay_still_where_it_is(cli: Cli) -> None:
    before = cli.json("status", "1")
    assert before["state"] == "sending"
    assert cli.json("run", "a.csv", "--dry-run")["campaign"] == 1
    assert cli.json("status", "1") == before


def age(ledger: Path, by: timedelta) -> None:
    """Everything in it happened earlier."""
    earlier = int(by.total_seconds()) * 1_000_000
    with closing(sqlite3.connect(ledger)) as connection:
        for table, columns in {
            "campaigns": ("created_at", "updated_at", "started_at"),
            "events": ("at",),
            "screenings": ("seen_at",),
            "rows": ("attempt_started_at", "deadline", "in_doubt_at", "sent_at"),
        }.items():
            for column in columns:
                connection.execute(f"UPDATE {table} SET {column} = {column} - {earlier}")
        connection.commit()
