"""Ctrl-C, a polite end, a kill, two at once, a ledger that goes away: nothing twice, nothing lost."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from dispatcher.gateway.simulator import Faults
from tests.integration.processes import (
    Cli,
    GatewayOutside,
    Running,
    once_each,
    people,
    report_of,
    write_rows,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")

SEED = 20261121
SLOW_ANSWERS = Faults(latency=(0.05, 0.2), only_sends=False)


def campaigns(cli: Cli) -> list[tuple[str, int]]:
    """State name and rows of every campaign, read beside the running process."""
    if not cli.ledger.exists():
        return []
    with closing(sqlite3.connect(f"file:{cli.ledger}?mode=ro", uri=True, timeout=5)) as ledger:
        try:
            found = ledger.execute(
                "SELECT c.state, (SELECT count(*) FROM rows r WHERE r.campaign_id = c.id) FROM campaigns c"
            ).fetchall()
        except sqlite3.OperationalError:  # the tables are being made
            return []
    from dispatcher.ledger import CampaignState

    return [(CampaignState(state).code, rows) for state, rows in found]


def in_state(cli: Cli, state: str) -> Callable[[], bool]:
    """Whether the only campaign is in that state."""
    return lambda: [found for found, _ in campaigns(cli)] == [state]


def asked(gateway: GatewayOutside, n: int) -> Callable[[], bool]:
    """Whether so many requests have arrived at the gateway."""
    return lambda: len(gateway.simulator.arrivals()) >= n


def whole(cli: Cli, answer: dict[str, Any], rows: list[tuple[str, str]]) -> None:
    """The answer and its report account for every row of the file."""
    assert sum(answer["counts"].values()) == answer["rows"] == len(rows)
    statuses = Counter(row["sms_status"] for row in report_of(cli, answer))
    assert dict(statuses) == answer["counts"]


@pytest.mark.parametrize(
    ("number", "again"), [(signal.SIGINT, "run"), (signal.SIGTERM, "resume"), (signal.SIGHUP, "run")]
)
def test_ended_politely_while_sending(
    cli: Cli, gateways: Callable[..., GatewayOutside], number: signal.Signals, again: str
) -> None:
    gateway = gateways(faults=Faults(latency=(0.0, 0.3)))
    rows = people(900)
    write_rows(cli.folder / "a.csv", rows)
    running = cli.start("run", "a.csv", "--yes", "--json").when(asked(gateway, 300))
    paused = running.signal(number).ended(20)
    assert paused.code == 130
    answer = paused.json
    assert answer["state"] == "paused"
    assert set(answer["counts"]) == {"accepted", "ready"}  # everything that was on its way is settled
    assert answer["counts"]["accepted"] == gateway.sends().total() < 900
    assert "resume 1" in paused.err
    whole(cli, answer, rows)
    status = cli.json("status", "1")
    assert (status["code"], status["counts"]) == (130, answer["counts"])
    command = ("run", "a.csv") if again == "run" else ("resume", "1")
    done = cli.json(*command, "--yes")
    assert (done["code"], done["campaign"], done["counts"]) == (0, 1, {"accepted": 900})
    assert gateway.sends() == once_each(rows)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_politely_during_preflight(
    cli: Cli, gateways: Callable[..., GatewayOutside], number: signal.Signals
) -> None:
    # so slow that the preflight cannot end before the signal comes, however busy the machine is
    gateway = gateways(faults=Faults(latency=(2.0, 3.0), only_sends=False))
    rows = people(400, texts=400)
    write_rows(cli.folder / "a.csv", rows)
    running = cli.start("run", "a.csv", "--yes", "--json").when(in_state(cli, "preflight"))
    running.when(asked(gateway, 20))
    ended = running.signal(number).ended(60)
    assert (ended.code, ended.json["state"]) == (130, "paused")
    assert ended.json["counts"] == {"ready": 400}
    assert not gateway.accepted()
    gateway.simulator.set_faults(Faults())
    assert cli.json("run", "a.csv", "--yes")["counts"] == {"accepted": 400}
    assert gateway.sends() == once_each(rows)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_politely_while_loading(cli: Cli, gateway: GatewayOutside, number: signal.Signals) -> None:
    rows = people(60_000)
    write_rows(cli.folder / "a.csv", rows)
    running = cli.start("run", "a.csv", "--yes", "--json").when(lambda: any(n for _, n in campaigns(cli)))
    ended = running.signal(number).ended(20)
    assert (ended.code, ended.error["code"]) == (130, "interrupted_loading")
    assert cli.json("status")["campaigns"] == []
    assert not gateway.received()


@pytest.mark.long
def test_a_second_ctrl_c_leaves_at_once(cli: Cli, gateways: Callable[..., GatewayOutside]) -> None:
    gateway = gateways(faults=Faults(latency=(5.0, 5.0)))
    rows = people(20)
    write_rows(cli.folder / "a.csv", rows)
    running = cli.start("run", "a.csv", "--yes").when(in_state(cli, "sending"))
    running.when(asked(gateway, 10))
    running.signal(signal.SIGINT).when(lambda: "Press Ctrl-C again" in running.said)
    ended = running.signal(signal.SIGINT).ended(4)  # before the answers come
    assert ended.code == 130
    running.until(
        lambda: len(gateway.received()) == len(gateway.simulator.arrivals())
    )  # the answers nobody read
    gateway.simulator.set_faults(Faults())
    assert cli("reconcile", "--absent-after", "1s").code == 0
    assert cli.json("run", "a.csv", "--yes")["counts"] == {"accepted": 20}
    assert gateway.sends() == once_each(rows)


def killed(running: Running) -> None:
    running.signal(signal.SIGKILL)
    assert running.ended(20).code == -signal.SIGKILL


def test_killed_anywhere_with_the_gateway_outside(cli: Cli, gateways: Callable[..., GatewayOutside]) -> None:
    """Killed while loading, in preflight, and three times at random while sending; then it goes on to the end."""
    rng = random.Random(SEED)
    gateway = gateways(faults=SLOW_ANSWERS)
    rows = people(1_000, texts=40)
    write_rows(cli.folder / "a.csv", rows)
    killed(cli.start("run", "a.csv", "--yes").when(lambda: campaigns(cli) != []))
    killed(cli.start("run", "a.csv", "--yes").when(asked(gateway, 5)))
    gateway.simulator.set_faults(Faults(latency=(0.0, 0.05)))
    for moment in sorted(rng.sample(range(150, 900), 3)):
        killed(cli.start("run", "a.csv", "--yes").when(asked(gateway, moment)))
        assert max(gateway.sends().values()) == 1
    settled = cli.json("reconcile", "--absent-after", "1s")
    assert (settled["code"], settled["in_doubt"]) == (0, [])
    done = cli.json("run", "a.csv", "--yes")
    assert (done["code"], done["counts"]) == (0, {"accepted": 1_000})
    whole(cli, done, rows)
    assert gateway.sends() == once_each(rows)


@pytest.mark.long
def test_killed_anywhere_with_the_gateway_inside(cli: Cli) -> None:
    """The embedded simulator dies with its process and comes back with what it had accepted."""
    rng = random.Random(SEED)
    rows = people(600, texts=10)
    write_rows(cli.folder / "a.csv", rows)

    def sent() -> int:
        if in_state(cli, "sending")():
            with closing(sqlite3.connect(f"file:{cli.ledger}?mode=ro", uri=True, timeout=5)) as ledger:
                return int(ledger.execute("SELECT count(*) FROM rows WHERE state = 4").fetchone()[0])
        return 0

    for moment in sorted(rng.sample(range(20, 500), 3)):
        killed(cli.start("run", "a.csv", "--yes").when(lambda moment=moment: sent() >= moment))
    done = cli.json("run", "a.csv", "--yes")
    assert (done["code"], done["counts"]) == (0, {"accepted": 600})
    whole(cli, done, rows)
    assert cli.sends() == once_each(rows)


def test_two_runs_of_one_file_send_it_once(cli: Cli, gateway: GatewayOutside) -> None:
    rows = people(600)
    write_rows(cli.folder / "a.csv", rows)
    first = cli.start("run", "a.csv", "--yes", "--json").when(in_state(cli, "sending"))
    second = cli.start("run", "a.csv", "--yes", "--json")
    ends = [first.ended(), second.ended()]
    assert [end.code for end in ends] == [0, 0]
    assert gateway.sends() == once_each(rows)
    for end in ends:
        whole(cli, end.json, rows)


def test_two_runs_of_one_file_started_together(cli: Cli, gateway: GatewayOutside) -> None:
    rows = people(100)
    write_rows(cli.folder / "a.csv", rows)
    ends = [each.ended() for each in [cli.start("run", "a.csv", "--yes", "--json") for _ in range(2)]]
    # the later one joins, or finds the file being loaded by the other, or finds it sent
    assert 0 in {end.code for end in ends}
    for end in ends:
        assert end.code == 0 or end.error["code"] == "ledger_same_file_open", end
    assert gateway.sends() == once_each(rows)


@pytest.mark.long
def test_two_files_share_the_pace(cli: Cli, gateway: GatewayOutside) -> None:
    first, second = people(60), people(60, first=1_000)
    write_rows(cli.folder / "a.csv", first)
    write_rows(cli.folder / "b.csv", second)
    limit = ("--rate-per-minute", "600")
    ends = [each.ended() for each in [cli.start("run", name, "--yes", *limit) for name in ("a.csv", "b.csv")]]
    assert [end.code for end in ends] == [0, 0]
    assert gateway.sends() == once_each([*first, *second])
    # ten a second over both: without sharing there would be twenty
    assert gateway.simulator.busiest(5.0) <= 65


def test_a_ledger_deleted_while_running_stops_everything(cli: Cli, gateway: GatewayOutside) -> None:
    write_rows(cli.folder / "a.csv", people(2_000))
    running = cli.start("run", "a.csv", "--yes", "--json").when(asked(gateway, 200))
    for path in cli.ledger.parent.glob("ledger.db*"):
        path.unlink()
    ended = running.ended(60)
    assert (ended.code, ended.error["code"]) == (5, "ledger_file_gone")
    assert gateway.sends().total() < 2_000
    assert max(gateway.sends().values()) == 1


@pytest.mark.long
def test_a_ledger_that_another_program_locks_is_waited_for_and_then_told(
    cli: Cli, gateway: GatewayOutside
) -> None:
    rows = people(2)
    write_rows(cli.folder / "a.csv", rows)
    assert cli("run", "a.csv").code == 2  # makes the ledger
    with closing(sqlite3.connect(cli.ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ended = cli("resume", "1", "--yes", "--json")
    assert (ended.code, ended.error["code"]) == (5, "ledger_locked")
    assert not gateway.accepted()
    assert cli("resume", "1", "--yes").code == 0
    assert gateway.sends() == once_each(rows)


def test_a_damaged_ledger_is_told_and_kept(cli: Cli, gateway: GatewayOutside) -> None:
    write_rows(cli.folder / "a.csv", people(2))
    cli.ledger.parent.mkdir()
    cli.ledger.write_bytes(b"this was a ledger once" * 400)
    before = cli.ledger.read_bytes()
    ended = cli("run", "a.csv", "--yes", "--json")
    assert (ended.code, ended.error["code"]) == (5, "ledger_damaged")
    assert cli.ledger.read_bytes() == before
    assert not gateway.received()


def test_a_ledger_in_an_impossible_place_is_told(cli: Cli, gateway: GatewayOutside) -> None:
    write_rows(cli.folder / "a.csv", people(2))
    ended = cli(
        "run", "a.csv", "--yes", "--json", DISPATCHER_LEDGER=f"sqlite:///{cli.folder}/a.csv/ledger.db"
    )
    assert (ended.code, ended.error["code"]) == (5, "ledger_cannot_open")
    assert not gateway.received()
