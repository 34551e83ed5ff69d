"""Rows with times, from the outside: who waits, who is killed in between, who leaves the sending to others."""

from __future__ import annotations

import csv
import json
import signal
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher.ledger import CampaignState, Ledger
from tests.integration.processes import Cli, GatewayOutside, number

OPTIONS = ("--sender", "ACME", "--yes")
LATER = timedelta(seconds=20)  # so much that a slow machine has planned by then


@pytest.fixture(autouse=True)
def utc(cli: Cli) -> None:
    cli.env["DISPATCHER_TIMEZONE"] = "UTC"


def clock(ahead: timedelta) -> str:
    return f"{datetime.now(UTC) + ahead:%Y-%m-%d %H:%M:%S}"


def write(path: Path, rows: Sequence[Sequence[str]], *headings: str) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([headings, *rows])
    return path


def is_waiting(cli: Cli) -> bool:
    """Whether a campaign of the ledger waits."""
    ledger = Ledger.open_existing(f"sqlite:///{cli.ledger}")
    if ledger is None:
        return False
    try:
        return any(view.state is CampaignState.WAITING for view in ledger.queries.campaigns())
    finally:
        ledger.dispose()


@pytest.mark.long
def test_run_stays_until_the_last_row_is_due_and_sends_nothing_before(
    cli: Cli, gateway: GatewayOutside
) -> None:
    due = datetime.now(UTC).replace(microsecond=0) + LATER
    rows = [(number(1), "Now.", ""), (number(2), "Later.", f"{due:%Y-%m-%d %H:%M:%S}")]
    write(cli.folder / "a.csv", rows, "phone", "text", "send_at")
    ended = cli.json("run", "a.csv", *OPTIONS)
    assert (ended["code"], ended["state"], ended["counts"]) == (0, "finished", {"accepted": 2})
    assert ended["waits_until"] is None
    assert gateway.sends() == Counter({(number(1), "Now."): 1, (number(2), "Later."): 1})
    ledger = Ledger.open(f"sqlite:///{cli.ledger}")
    sent = {row.row: row.sent_at for row in ledger.queries.report_rows(ended["campaign"])}
    ledger.dispose()
    assert sent[3] is not None
    assert sent[3] >= due


def test_killed_between_planned_and_due_it_is_sent_once_by_the_next_run(
    cli: Cli, gateway: GatewayOutside
) -> None:
    rows = [(number(n), f"Hello {n}.") for n in range(20)]
    write(cli.folder / "a.csv", rows, "phone", "text")
    at = clock(LATER)
    running = cli.start("run", "a.csv", *OPTIONS, "--send-at", at)
    running.when(lambda: is_waiting(cli))
    running.signal(signal.SIGKILL)
    running.ended()
    assert gateway.sends() == Counter()
    ended = cli.json("run", "a.csv", *OPTIONS, "--send-at", at)  # goes on with that campaign
    assert (ended["code"], ended["campaign"], ended["counts"]) == (0, 1, {"accepted": 20})
    assert gateway.sends() == Counter(dict.fromkeys(rows, 1))


def test_what_got_too_late_while_nobody_was_there_is_not_sent(cli: Cli, gateway: GatewayOutside) -> None:
    write(cli.folder / "a.csv", [(number(1), "x", clock(-timedelta(hours=2)))], "phone", "text", "send_at")
    ended = cli.json("run", "a.csv", *OPTIONS, "--useful-for", "1h")
    assert (ended["code"], ended["counts"]) == (1, {"too_late": 1})
    assert gateway.sends() == Counter()


def test_detach_is_refused_where_nobody_would_send(cli: Cli, gateway: GatewayOutside) -> None:
    write(cli.folder / "a.csv", [(number(1), "x")], "phone", "text")
    ended = cli.json("run", "a.csv", *OPTIONS, "--detach", "--send-at", clock(LATER))
    assert (ended["code"], ended["error"]["code"]) == (2, "detach_nobody")
    worker = cli.start("worker", "--gateway", "http://127.0.0.1:9")
    worker.when(lambda: cli.ledger.exists() and bool(processes(cli)))
    of_another = cli.json("run", "a.csv", *OPTIONS, "--detach", "--send-at", clock(LATER))
    assert (of_another["code"], of_another["error"]["code"]) == (2, "detach_nobody")
    assert gateway.sends() == Counter()


@pytest.mark.long
def test_a_worker_sends_what_was_left_to_it(cli: Cli, gateway: GatewayOutside) -> None:
    write(cli.folder / "a.csv", [(number(1), "x")], "phone", "text")
    worker = cli.start("worker")
    worker.when(lambda: cli.ledger.exists() and bool(processes(cli)))
    due = clock(LATER)
    ended = cli.json("run", "a.csv", *OPTIONS, "--detach", "--send-at", due)
    assert (ended["code"], ended["state"]) == (6, "waiting")
    assert ended["waits_until"].startswith(due.replace(" ", "T"))
    worker.when(lambda: gateway.sends() == Counter({(number(1), "x"): 1}))
    worker.signal(signal.SIGTERM)
    worker.ended()
    status = cli.json("status", str(ended["campaign"]))
    assert (status["code"], status["counts"]) == (0, {"accepted": 1})


def processes(cli: Cli) -> list[Any]:
    ledger = Ledger.open_existing(f"sqlite:///{cli.ledger}")
    if ledger is None:
        return []
    try:
        return [process for process in ledger.processes.all() if process.role == "worker"]
    finally:
        ledger.dispose()


@pytest.mark.long
def test_two_reminders_of_one_appointment_go_side_by_side_and_not_again(
    cli: Cli, gateway: GatewayOutside
) -> None:
    appointment = clock(
        timedelta(seconds=100)
    )  # the second one is due 40 s from now: a slow machine has planned by then
    rows = [(number(1), "Anna", appointment), (number(1), "Luca", appointment)]
    write(cli.folder / "a.csv", rows, "phone", "name", "when")
    options = (*OPTIONS, "-m", "Ciao {{ name }}", "--date-column", "when")
    offsets = ("--remind-before", "1m", "--remind-before", "2m")
    ended = cli.json("run", "a.csv", *options, *offsets)
    assert ended["code"] == 0, ended
    assert [each["counts"] for each in ended["reminders"]] == [{"accepted": 2}] * 2
    each = Counter({(number(1), "Ciao Anna"): 2, (number(1), "Ciao Luca"): 2})
    assert gateway.sends() == each
    again = cli.json("run", "a.csv", *options, "--remind-before", "2m")
    assert again["counts"] == {"already_sent": 2}
    assert gateway.sends() == each


def test_a_list_that_is_run_again_withdraws_what_waits_of_the_older_one(
    cli: Cli, gateway: GatewayOutside
) -> None:
    worker = cli.start("worker")
    worker.when(lambda: bool(processes(cli)))
    options = (
        *OPTIONS,
        "--detach",
        "-m",
        "Ciao {{ name }}",
        "--date-column",
        "when",
        "--remind-before",
        "1h",
    )

    at = {days: clock(timedelta(days=days)) for days in (-1, 2, 3)}

    def run(name: str, *rows: tuple[str, str, int]) -> dict[str, Any]:
        cells = [(who, said, at[days]) for who, said, days in rows]
        write(cli.folder / name, cells, "phone", "name", "when")
        return cli.json("run", name, *options)

    first = run("a.csv", (number(1), "Anna", 2), (number(2), "Luca", 2), (number(3), "Eva", 2))
    assert (first["code"], first["older_versions"]) == (6, [])
    moved = run("a.csv", (number(1), "Anna", 3), (number(3), "Eva", 2))
    assert moved["older_versions"] == [{"campaign": 1, "file": "a.csv", "waiting": 3, "replaced": True}]
    assert cli.json("status", "1")["counts"] == {"cancelled": 3}
    assert moved["counts"] == {"ready": 2}
    others = run("a.csv", (number(4), "Sara", 3))
    assert others["older_versions"] == [{"campaign": 2, "file": "a.csv", "waiting": 2, "replaced": False}]
    status = cli.json("status", "2")
    assert (status["counts"], status["waits_until"]) == ({"ready": 2}, moved["waits_until"])
    assert [one["waits_until"] for one in cli.json("status")["campaigns"]][1:] == [
        status["waits_until"],
        None,
    ]
    assert "2 rows wait, the first until" in cli("status", "2").out
    # of whoever is left nothing has to be sent: what is withdrawn is so all the same
    nobody = run("a.report.csv", (number(1), "Anna", 3), (number(4), "Sara", -1))
    assert (nobody["counts"], nobody["older_versions"][0]["replaced"]) == (
        {"ready": 1, "too_late": 1},
        True,
    )
    said = cli("run", "a.csv", *options, "--again").err
    assert "older" not in said
    assert gateway.sends() == Counter()


def test_the_plan_says_when_it_will_be_done(cli: Cli) -> None:
    rows = [(number(1), "Promo", "2099-01-01 23:00")]
    write(cli.folder / "a.csv", rows, "phone", "text", "send_at")
    ended = cli(
        "check", "a.csv", "--sender", "ACME", "--marketing", "--json", DISPATCHER_TIMEZONE="Europe/Rome"
    )
    times = ended.json["times"]
    assert times["countries"]["IT"]["waits_until"] == "2099-01-02T07:00:00+00:00"
    assert json.loads(ended.out)["counts"] == {"ready": 1}
    assert "1 row waits until Friday 2 January 08:00" in ended.err


def test_reminders_are_not_read_by_another_machines_clock(cli: Cli) -> None:
    Ledger.open(f"sqlite:///{cli.ledger}", create=True).agreement("timezone").reach(
        "Europe/Rome", replace=False
    )
    soon = datetime.now(UTC) + timedelta(hours=12)  # so its reminder is due by any clock
    write(cli.folder / "a.csv", [(number(1), "Hello.", f"{soon:%Y-%m-%d %H:%M}")], "phone", "text", "when")
    reminding = ("run", "a.csv", *OPTIONS, "--remind-before", "24h", "--date-column", "when")
    del cli.env["DISPATCHER_TIMEZONE"]
    refused = cli.json(*reminding, TZ="UTC")
    assert (refused["code"], refused["error"]["code"]) == (2, "timing_other_clock")
    assert "DISPATCHER_TIMEZONE=Europe/Rome" in refused["error"]["hint"]
    assert cli.json(*reminding, TZ="Europe/Rome")["code"] == 0
