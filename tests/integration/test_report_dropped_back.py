"""A report fixed by hand and dropped back sends only what was not sent, whatever was done to it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from tests.integration.processes import TOKEN, Cli, GatewayOutside, number, people, report_of, write_rows

Table = list[list[Any]]
LATER: dict[str, Any] = {"DISPATCHER_GUARD_DAYS": "0"}  # as if the guard days were over
WRONG = "12"
SENT = 5


def read(path: Path) -> Table:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [list(row) for row in csv.reader(file)]
    return [list(row) for row in load_workbook(path).worksheets[0].iter_rows(values_only=True)]


def write(path: Path, table: Table) -> Path:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(table)
    else:
        book = Workbook()
        for row in table:
            book.worksheets[0].append(row)
        book.save(path)
    return path


def report_in(cli: Cli, kind: str) -> Path:
    """A report: five people have their text, the number in row 4 is wrong."""
    rows = people(SENT + 1)
    rows[2] = (WRONG, rows[2][1])
    file = write(cli.folder / f"people.{kind}", [["phone", "text"], *map(list, rows)])
    first = cli.json("run", file.name, "--yes")
    assert (first["code"], first["counts"]) == (1, {"accepted": SENT, "invalid": 1})
    return Path(first["report"])


@pytest.fixture
def report(cli: Cli, gateway: GatewayOutside) -> Path:
    return report_in(cli, "csv")


def corrected(table: Table) -> Table:
    table[3][0] = number(77)
    return table


def with_another_text(table: Table) -> Table:
    return [table[0], *([row[0], f"{row[1]} Bring your card.", *row[2:]] for row in corrected(table)[1:])]


def re_sorted(table: Table) -> Table:
    return [table[0], *reversed(corrected(table)[1:])]


def with_columns_moved(table: Table) -> Table:
    return [row[::-1] for row in corrected(table)]


def with_a_broken_text(table: Table) -> Table:
    corrected(table)[1][1] = "{{ name }}"  # this one was sent: nothing is wrong any more
    return table


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("csv", corrected),
        ("xlsx", with_another_text),
        pytest.param("csv", re_sorted, marks=pytest.mark.long),
        pytest.param("xlsx", with_columns_moved, marks=pytest.mark.long),
        pytest.param("csv", with_a_broken_text, marks=pytest.mark.long),
    ],
)
def test_only_what_was_not_sent(
    cli: Cli, gateway: GatewayOutside, kind: str, change: Callable[[Table], Table]
) -> None:
    report = report_in(cli, kind)
    before = {message.id for message in gateway.accepted()}
    file = write(cli.folder / f"fixed by hand{report.suffix}", change(read(report)))
    checked = cli("check", file.name, "--json", **LATER)
    assert "5 rows left out: this report says that they were sent" in checked.err
    assert checked.json["earlier_report"] == {"proved": SENT}
    ended = cli.json("run", file.name, "--yes", **LATER)
    assert (ended["code"], ended["counts"]) == (0, {"accepted": 1, "already_sent": SENT})
    assert [message.recipient for message in gateway.accepted() if message.id not in before] == [number(77)]

    # and the next report still says which message it was, so a third round sends nothing at all
    table = read(Path(ended["report"]))
    ids = {row[table[0].index("sms_message_id")] for row in table[1:]}
    assert ids == {message.id for message in gateway.accepted()}
    assert all(row[table[0].index("sms_sent_at")] for row in table[1:])
    for row in table[1:]:
        row[table[0].index("text")] = "Something else."
    again = write(cli.folder / f"once more{report.suffix}", table)
    last = cli.json("run", again.name, "--yes", **LATER)
    assert (last["code"], last["counts"]) == (0, {"already_sent": SENT + 1})


def test_new_people_are_added_to_the_report(cli: Cli, gateway: GatewayOutside, report: Path) -> None:
    table = corrected(read(report))
    table += [[number(200 + n), "Welcome.", *[None] * (len(table[0]) - 2)] for n in range(3)]
    ended = cli.json("run", write(report, table).name, "--yes", **LATER)
    assert ended["counts"] == {"accepted": 4, "already_sent": SENT}
    assert set(gateway.sends().values()) == {1}


def test_a_corrected_number_of_a_row_that_was_sent_gets_the_text(
    cli: Cli, gateway: GatewayOutside, report: Path
) -> None:
    table = corrected(read(report))
    table[1][0] = number(99)
    ended = cli("run", write(report, table).name, "--yes", **LATER)
    assert "1 row of this report was sent, but to another number" in ended.out
    assert {number(99), number(77)} < {message.recipient for message in gateway.accepted()}
    assert len(gateway.accepted()) == SENT + 2


def test_again_sends_to_everybody(cli: Cli, gateway: GatewayOutside, report: Path) -> None:
    ended = cli.json("run", write(report, corrected(read(report))).name, "--yes", "--again")
    assert ended["counts"] == {"accepted": SENT + 1}


def test_whoever_runs_the_report_within_the_guard_days_is_told_the_report_not_the_guard(
    cli: Cli, gateway: GatewayOutside, report: Path
) -> None:
    checked = cli("check", write(report, corrected(read(report))).name)
    assert "already got this text" not in checked.out
    assert "this report says" in checked.out


def test_the_guard_names_the_earlier_message_too(cli: Cli, gateway: GatewayOutside) -> None:
    write_rows(cli.folder / "a.csv", people(3))
    write_rows(cli.folder / "b.csv", people(3))
    first, second = (cli.json("run", name, "--yes") for name in ("a.csv", "b.csv"))
    assert second["counts"] == {"already_sent": 3}
    for column in ("sms_message_id", "sms_sent_at", "sms_recipient"):
        values = [[row[column] for row in report_of(cli, answer)] for answer in (first, second)]
        assert values[0] == values[1]
        assert all(values[0])


def test_a_simulated_report_keeps_nobody_from_the_real_text(cli: Cli) -> None:
    write_rows(cli.folder / "a.csv", people(3))
    simulated = cli.json("run", "a.csv", "--yes")
    assert simulated["report"].endswith("a.simulated.report.csv")
    with SimulatorThread(SimulatorConfig(token=TOKEN, requests_per_minute=None)) as thread:
        real: dict[str, Any] = {"DISPATCHER_GATEWAY": thread.url, "DISPATCHER_TOKEN": TOKEN}
        ended = cli("run", "a.simulated.report.csv", "--yes", **real)
        assert "3 rows of this report were sent through another gateway" in ended.err
        assert ended.code == 0
        assert thread.simulator.sends().total() == 3


def test_a_report_from_another_machine_is_told_and_sent(
    cli: Cli, gateway: GatewayOutside, report: Path
) -> None:
    elsewhere: dict[str, Any] = {"DISPATCHER_LEDGER": f"sqlite:///{cli.folder}/other.db"}
    file = write(report, corrected(read(report)))
    ended = cli("run", file.name, "--yes", **elsewhere)
    assert "5 rows of this report say that they were sent, but this ledger knows nothing" in ended.err
    assert Counter(gateway.sends().values()) == {2: SENT, 1: 1}
