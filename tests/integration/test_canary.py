"""``run --canary``: a few rows first, over a real gateway, and what becomes of the rest."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dispatcher.gateway.models import MessageState
from tests.integration.cluster import new_cluster
from tests.integration.processes import Cli, GatewayOutside, once_each, people, write_rows
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey

S = MessageState
SOON: dict[str, Any] = {"pending_after": 0.0, "final_after": (0.1, 0.3)}
ROWS = people(40)
CANARY = ("--yes", "--canary", "5", "--canary-wait", "5m")


@pytest.fixture
def file(cli: Cli) -> Path:
    return write_rows(cli.folder / "a.csv", ROWS)


def test_the_rest_goes_when_the_first_rows_are_as_they_should_be(
    cli: Cli, gateways: Callable[..., GatewayOutside], file: Path
) -> None:
    gateway = gateways(**SOON)
    ended = cli("run", file, *CANARY, "--json")
    assert (ended.code, ended.json["state"], ended.json["canary"]) == (0, "finished", None)
    assert ended.json["counts"] == {"accepted": 35, "delivered": 5}
    assert gateway.sends() == once_each(ROWS)
    assert "5 were accepted; 5 reached an end, 5 of them were delivered" in ended.err
    # the five were there before anything else
    assert {message.recipient for message in gateway.accepted()[:5]} == {number for number, _ in ROWS[:5]}


def test_a_price_above_the_estimate_holds_the_rest_until_a_person_says_so(
    cli: Cli, gateways: Callable[..., GatewayOutside], file: Path
) -> None:
    gateway = gateways(**SOON)
    (cli.folder / "book.toml").write_text('currency = "EUR"\n[[price]]\nroute = "IT"\nper_part = "0.03"\n')
    held = cli("run", file, *CANARY, "--prices", "book.toml", "--json")
    assert (held.code, held.json["state"], held.json["reason"]) == (4, "held", "canary_price")
    assert held.json["counts"] == {"delivered": 5, "ready": 35}
    assert held.json["canary"] == [2, 3, 4, 5, 6]
    assert "row 2: 0.045 a part instead of 0.03" in held.err
    # nobody has looked yet
    assert cli("resume", "1").code == 2
    assert len(gateway.accepted()) == 5
    still = cli.json("status", "1")
    assert (still["code"], still["reason"]) == (4, "canary_price")
    done = cli.json("resume", "1", "--yes")
    assert (done["code"], done["counts"]) == (0, {"accepted": 35, "delivered": 5})
    assert gateway.sends() == once_each(ROWS)


def test_what_does_not_arrive_holds_the_rest(
    cli: Cli, gateways: Callable[..., GatewayOutside], file: Path
) -> None:
    gateways(**SOON, undeliverable_rate=1.0)
    held = cli.json("run", file, *CANARY)
    assert (held["code"], held["reason"]) == (4, "canary_undelivered")
    assert held["counts"] == {"undeliverable": 5, "ready": 35}


def test_no_word_in_time_holds_the_rest(
    cli: Cli, gateways: Callable[..., GatewayOutside], file: Path
) -> None:
    gateways(expired_rate=1.0)
    held = cli.json("run", file, "--yes", "--canary", "5", "--canary-wait", "1s")
    assert (held["code"], held["reason"], held["counts"]["ready"]) == (4, "canary_silent", 35)


def test_killed_while_the_first_rows_are_waited_for_it_goes_on_exactly_there(
    cli: Cli, gateways: Callable[..., GatewayOutside], file: Path
) -> None:
    gateway = gateways(pending_after=0.0, forced_results={number[-2:]: S.EXPIRED for number, _ in ROWS[:5]})
    running = cli.start("run", file, *CANARY, "--json")
    running.when(lambda: cli.json("status", "1").get("counts", {}).get("accepted") == 5)
    running.signal(signal.SIGKILL).process.wait()
    status = cli.json("status", "1")
    assert (status["counts"], status["canary"]) == ({"accepted": 5, "ready": 35}, [2, 3, 4, 5, 6])
    # the flag need not be said again: what goes first stands in the ledger
    held = cli.json("resume", "1", "--yes", "--canary-wait", "1s")
    assert (held["code"], held["reason"]) == (4, "canary_silent")
    assert len(gateway.accepted()) == 5


def test_ctrl_c_while_waiting_pauses_and_resume_goes_on(
    cli: Cli, gateways: Callable[..., GatewayOutside], file: Path
) -> None:
    gateways(expired_rate=1.0, pending_after=0.0)
    running = cli.start("run", file, *CANARY, "--json")
    running.when(lambda: cli.json("status", "1").get("counts", {}).get("accepted") == 5)
    ended = running.signal(signal.SIGINT).ended()
    assert (ended.code, ended.json["state"]) == (130, "paused")
    again = cli.json("resume", "1", "--yes", "--canary-wait", "1s")
    assert (again["code"], again["reason"]) == (4, "canary_silent")
    done = cli.json("resume", "1", "--yes")
    assert done["counts"] == {"accepted": 40}


def test_a_canary_of_everybody_is_none(cli: Cli, gateways: Callable[..., GatewayOutside], file: Path) -> None:
    gateways(expired_rate=1.0)
    done = cli.json("run", file, "--yes", "--canary", "40")
    assert (done["code"], done["counts"]) == (0, {"accepted": 40})


@pytest.mark.long
def test_workers_leave_the_rest_alone_while_nobody_waits_for_the_first_rows(
    cli: Cli, gateways: Callable[..., GatewayOutside], file: Path, postgres: Postgres, valkey: Valkey
) -> None:
    gateway = gateways(**SOON)
    with new_cluster(cli, postgres, valkey) as cluster:
        cluster.worker()
        cluster.worker()
        (cli.folder / "book.toml").write_text(
            'currency = "EUR"\n[[price]]\nroute = "IT"\nper_part = "0.03"\n'
        )
        running = cli.start("run", file, *CANARY, "--prices", "book.toml", "--json")
        running.when(lambda: len(gateway.accepted()) == 5)
        running.signal(signal.SIGKILL).process.wait()
        # the workers have time for everything that they may send
        write_rows(cli.folder / "b.csv", people(60, first=500))
        assert cli.json("run", "b.csv", "--yes")["state"] == "finished"
        assert len(gateway.accepted()) == 65
        held = cli.json("resume", "1", "--yes")
        assert (held["code"], held["reason"], held["counts"]["ready"]) == (4, "canary_price", 35)
        assert cli.json("resume", "1", "--yes")["state"] == "finished"
    assert gateway.sends() == once_each([*ROWS, *people(60, first=500)])


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--canary", "5", "--detach"), "usage_contradiction"),
        (("--canary", "5", "--dry-run"), "usage_contradiction"),
        (("--canary-wait", "5m"), "usage_canary_wait"),
        (("--canary", "0"), "usage"),
        (("--canary", "1001"), "usage"),
    ],
)
def test_what_makes_no_sense_is_refused(cli: Cli, file: Path, flags: tuple[str, ...], code: str) -> None:
    refused = cli("run", file, *flags, "--json")
    assert refused.code == 2
    assert refused.error["code"].startswith(code)
