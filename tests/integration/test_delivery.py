"""What became of messages, asked of a gateway over real sockets: waiting, refreshing, a worker that asks by itself."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.gateway.models import MessageState
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from tests.integration.processes import TOKEN, Cli, GatewayOutside, people, report_of, write_rows
from tests.integration.watching import Watched, table

S = MessageState
SOON: dict[str, Any] = {"pending_after": 0.0, "final_after": (0.1, 0.3)}
# by the last digits of the number
FATES = {"01": S.UNDELIVERABLE, "02": S.REJECTED}


def statuses(cli: Cli, answer: dict[str, Any]) -> Counter[str]:
    return Counter(row["sms_status"] for row in report_of(cli, answer))


def test_run_waits_until_every_message_is_final(cli: Cli, gateways: Callable[..., GatewayOutside]) -> None:
    gateways(**SOON, forced_results=FATES)
    write_rows(cli.folder / "a.csv", people(12))
    ended = cli("run", "a.csv", "--yes", "--json", "--wait-delivery", "5m")
    counts = {"delivered": 10, "undeliverable": 1, "rejected": 1}
    assert (ended.code, ended.json["counts"]) == (1, counts)
    rows = report_of(cli, ended.json)
    assert Counter(row["sms_status"] for row in rows) == counts
    assert all(bool(row["sms_delivered_at"]) == (row["sms_status"] == "delivered") for row in rows)
    status = cli.json("status", "1")
    whole = {"accepted": 12, "expired": 0, "on_the_way": 0, **counts}
    assert status["code"] == 1
    assert status["delivery"] == {**whole, "lines": [{"country": "IT", "route": "IT", **whole}]}
    assert "12 (10 delivered, 1 undeliverable, 1 rejected)" in cli("status", "1").out


@pytest.mark.long
def test_waiting_ends_in_time_and_the_report_is_refreshed_later(
    cli: Cli, gateways: Callable[..., GatewayOutside]
) -> None:
    late = timedelta(0)
    config = SimulatorConfig(token=TOKEN, requests_per_minute=None, forced_results={"00": S.EXPIRED})
    with SimulatorThread(config, clock=lambda: datetime.now(UTC) + late) as thread:
        cli.env |= {"DISPATCHER_GATEWAY": thread.url, "DISPATCHER_TOKEN": TOKEN}
        write_rows(cli.folder / "a.csv", people(3))
        waited = cli("run", "a.csv", "--yes", "--json", "--wait-delivery", "1s")
        assert (waited.code, waited.json["state"]) == (0, "finished")
        assert waited.json["counts"].get("accepted", 0) >= 1  # one of them lives for two days
        late = timedelta(hours=48)
        refreshed = cli.json("report", "1", "--refresh")
    assert (refreshed["code"], refreshed["counts"]) == (1, {"delivered": 2, "expired": 1})
    assert refreshed["delivery"]["expired"] == 1
    assert statuses(cli, refreshed) == {"delivered": 2, "expired": 1}


@pytest.mark.long
def test_another_accounts_token_tells_nothing(cli: Cli, gateways: Callable[..., GatewayOutside]) -> None:
    other = "token-of-somebody-else-77aa"
    gateways(**SOON, accounts={other: "mallory"})
    write_rows(cli.folder / "a.csv", people(2))
    write_rows(cli.folder / "b.csv", people(2, first=50))
    assert cli("run", "a.csv", "--yes").code == 0
    assert cli("run", "b.csv", "--yes", DISPATCHER_TOKEN=other).code == 0
    refreshed = cli("report", "1", "--refresh", DISPATCHER_TOKEN=other)
    assert refreshed.code == 0
    assert "another account" in refreshed.err
    assert cli.json("status", "1")["counts"] == {"accepted": 2}


def test_a_worldwide_price_that_comes_later_is_in_the_refreshed_report(
    cli: Cli, gateways: Callable[..., GatewayOutside]
) -> None:
    gateways(**SOON, ww_price_delay=0.5)
    write_rows(cli.folder / "a.csv", people(2))
    first = cli.json("run", "a.csv", "--yes", "--route", "ww")
    assert (first["actual_cost"], first["accepted_unpriced"]) == (None, 2)
    refreshed = cli.json("report", "1", "--refresh")
    assert (refreshed["actual_cost"], refreshed["accepted_unpriced"]) == ("0.11", 0)
    assert {row["sms_actual_cost"] for row in report_of(cli, refreshed)} == {"0.055"}


def test_a_worker_asks_by_itself(cli: Cli, gateways: Callable[..., GatewayOutside]) -> None:
    gateways(**SOON, forced_results=FATES)
    write_rows(cli.folder / "a.csv", people(12))
    assert cli("run", "a.csv", "--yes").code == 0
    worker = cli.start("worker", "--json")
    worker.when(lambda: "accepted" not in cli.json("status", "1")["counts"])
    worker.process.terminate()
    assert worker.ended().code in (0, 130)
    assert cli.json("status", "1")["counts"] == {"delivered": 10, "undeliverable": 1, "rejected": 1}


def test_ctrl_c_ends_the_waiting_and_not_the_campaign(
    cli: Cli, gateways: Callable[..., GatewayOutside]
) -> None:
    gateways(pending_after=0.0, expired_rate=1.0)
    write_rows(cli.folder / "a.csv", people(3))
    running = cli.start("run", "a.csv", "--yes", "--json", "--wait-delivery", "30m")
    running.when(lambda: cli.json("status", "1").get("state") == "finished")
    running.when(
        lambda: "on the way" in running.said
    )  # a line for those who have no live bar comes every few seconds
    ended = running.signal(signal.SIGINT).ended()
    assert (ended.code, ended.json["state"], ended.json["counts"]) == (0, "finished", {"accepted": 3})
    assert statuses(cli, ended.json) == {"accepted": 3}
    assert "report ID --refresh" in ended.err


@pytest.mark.long
def test_a_watched_folder_updates_the_report_of_a_file_that_is_done(
    cli: Cli, gateways: Callable[..., GatewayOutside]
) -> None:
    gateways(pending_after=0.0, final_after=(3.0, 4.0), forced_results=FATES)
    watched = Watched(cli)
    running = watched.start()
    watched.drop("a.csv", table(people(5)))
    running.when(watched.is_at("done", "a.csv"))
    report = watched.beside("a.csv", ".report.csv")
    assert report.read_text("utf-8-sig").count(",accepted,") == 5
    # messages are asked about half a minute after the first look at nothing
    running.when(lambda: bool(watched.told(running, "report_updated")), seconds=120)
    text = report.read_text("utf-8-sig")
    assert (text.count(",delivered,"), text.count(",undeliverable,"), text.count(",rejected,")) == (3, 1, 1)
    assert running.signal(signal.SIGTERM).ended().code in (0, 130)


@pytest.mark.parametrize("other", ["--detach", "--dry-run"])
def test_there_is_no_waiting_for_what_is_not_sent_here(cli: Cli, other: str) -> None:
    write_rows(cli.folder / "a.csv", people(1))
    refused = cli("run", "a.csv", "--wait-delivery", "1m", other, "--json")
    assert (refused.code, refused.error["code"]) == (2, "usage_contradiction")


def test_a_length_of_time_has_a_unit(cli: Cli) -> None:
    write_rows(cli.folder / "a.csv", people(1))
    assert cli("run", "a.csv", "--wait-delivery", "10").code == 2
