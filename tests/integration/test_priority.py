"""Urgent batches beside large ones, in processes and on machines that share one limit."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import pytest

from tests.integration.cluster import Cluster, new_cluster
from tests.integration.processes import Cli, GatewayOutside, Running, number, once_each, write_rows
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey

A_SECOND = 15  # requests
RATE = {"DISPATCHER_RATE_PER_MINUTE": str(60 * A_SECOND)}
URGENT = [(number(n), "Urgent.") for n in range(50_000, 50_100)]


@pytest.fixture
def cluster(cli: Cli, gateway: GatewayOutside, postgres: Postgres, valkey: Valkey) -> Iterator[Cluster]:
    with new_cluster(cli, postgres, valkey) as made:
        yield made


def beside_a_large_one(cli: Cli, gateway: GatewayOutside) -> Running:
    """The large one, under way; the urgent one is sent, and has hardly had to share."""
    write_rows(cli.folder / "large.csv", [(number(n), "Large.") for n in range(3_000)])
    write_rows(cli.folder / "urgent.csv", URGENT)
    large = cli.start("run", "large.csv", "--yes", "--json", **RATE)
    large.when(lambda: len(gateway.accepted()) >= 40)
    done = cli.json("run", "urgent.csv", "--yes", "--priority", "high", **RATE)
    assert (done["code"], done["priority"], done["counts"]) == (0, "high", {"accepted": len(URGENT)})
    texts = [message.message for message in gateway.received() if message.accepted]
    first = texts.index("Urgent.")
    last = len(texts) - 1 - texts[::-1].index("Urgent.")
    among = texts[first + A_SECOND : last]  # within a second the large one knows
    seconds = [among[n : n + A_SECOND] for n in range(0, len(among), A_SECOND)]
    # in most of them: while a busy machine lets the urgent one stand still, the large one rightly takes what is left
    assert median(second.count("Large.") / len(second) for second in seconds) <= 0.25, texts[first:last]
    return large


def paused(cli: Cli, gateway: GatewayOutside, large: Running) -> None:
    """The large one has the limit again; then it is enough."""
    sent = len(gateway.accepted())
    large.when(lambda: len(gateway.accepted()) >= sent + 60)
    assert cli.json("status", "1")["priority"] == "normal"
    assert cli("pause", "1").code == 0
    assert large.ended().json["state"] == "paused"
    assert max(gateway.sends().values()) == 1
    assert gateway.sends() >= once_each(URGENT)


@pytest.mark.long
def test_an_urgent_run_goes_first_beside_another_process(cli: Cli, gateway: GatewayOutside) -> None:
    paused(cli, gateway, beside_a_large_one(cli, gateway))


@pytest.mark.long
def test_an_urgent_run_goes_first_on_several_machines(
    cluster: Cluster, cli: Cli, gateway: GatewayOutside
) -> None:
    for _ in range(2):
        cluster.worker(**RATE)
    paused(cli, gateway, beside_a_large_one(cli, gateway))


@pytest.mark.long
def test_a_campaign_is_made_urgent_later_and_a_word_that_is_none_is_refused(
    cli: Cli, gateway: GatewayOutside
) -> None:
    write_rows(cli.folder / "a.csv", URGENT[:3])
    assert cli("run", "a.csv", "--priority", "low").code == 2  # nobody said yes
    assert cli.json("status", "1")["priority"] == "low"
    assert "priority: low" in cli("status").out
    done = cli.json("resume", "1", "--yes", "--priority", "HIGH")
    assert (done["code"], done["priority"], done["counts"]) == (0, "high", {"accepted": 3})
    wrong = cli("run", "a.csv", "--priority", "soon", "--json")
    assert (wrong.code, wrong.error["code"]) == (2, "usage_choice")
