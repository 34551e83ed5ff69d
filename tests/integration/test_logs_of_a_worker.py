"""What real services log: JSON lines that say what happened to which campaign, and nothing of anybody."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from dispatcher.gateway.simulator import Fault, Faults
from tests.integration.processes import TOKEN, Cli, GatewayOutside, people, write_rows

EVENTS = frozenset({"worker_started", "row_answered", "doubts_looked_for", "worker_ended"})
JSON = {"DISPATCHER_LOG": "debug", "DISPATCHER_LOG_FORMAT": "json"}


def test_a_worker_logs_json_and_nothing_of_anybody(cli: Cli, gateways: Callable[..., GatewayOutside]) -> None:
    gateway = gateways(faults=Faults(rates={Fault.RESET_AFTER: 0.05, Fault.ERROR_BEFORE: 0.05}), seed=3)
    rows = people(80)
    write_rows(cli.folder / "a.csv", rows)
    running = cli.start("run", "a.csv", "--yes", DISPATCHER_RATE_PER_MINUTE="600")
    running.when(lambda: len(gateway.accepted()) >= 10)
    running.process.kill()
    running.process.wait()
    worker = cli.start("worker", "--json", **JSON)
    worker.when(lambda: all(name in worker.said for name in EVENTS - {"worker_ended"}))
    ended = worker.signal(signal.SIGTERM).ended()
    assert ended.code == 0
    logged: list[dict[str, Any]] = [json.loads(line) for line in ended.err.splitlines()]
    assert all({"time", "level", "logger", "event"} <= line.keys() for line in logged)
    assert [line["event"] for line in ended.lines] == ["started", "ended"]
    events = {line["event"] for line in logged}
    assert events >= EVENTS
    answered = next(line for line in logged if line["event"] == "row_answered")
    assert (answered["campaign"], answered["outcome"]) == (1, "in_doubt")
    assert 2 <= answered["row"] <= 81
    assert len({line["owner"] for line in logged if line["logger"].startswith("jobs")}) == 1
    numbers, texts = zip(*rows, strict=True)
    for secret in (TOKEN, *(number[1:] for number in numbers), *set(texts)):
        assert secret not in ended.err + ended.out


@pytest.mark.skipif(sys.platform == "win32", reason="there a child cannot be ended politely")
@pytest.mark.parametrize(
    ("command", "first", "last"),
    [
        (("schedule", "run"), "schedule_run_started", "schedule_run_ended"),
        (("watch", "desk"), "watch_started", "watch_ended"),
    ],
)
def test_every_service_logs_what_happens_without_being_asked(
    cli: Cli, gateway: GatewayOutside, command: tuple[str, str], first: str, last: str
) -> None:
    (cli.folder / "desk").mkdir()
    running = cli.start(*command, "--json", DISPATCHER_LOG_FORMAT="json")
    ended = running.when(lambda: first in running.said).signal(signal.SIGTERM).ended()
    assert ended.code == 0
    logged = [json.loads(line)["event"] for line in ended.err.splitlines()]
    assert (logged[0], logged[-1]) == (first, last)
    assert [line["event"] for line in ended.lines][-1] == "ended"
    in_words = cli.start(*command)
    ended = in_words.when(lambda: first in in_words.said).signal(signal.SIGTERM).ended()
    assert first in ended.err
    assert not ended.out.startswith("{")
