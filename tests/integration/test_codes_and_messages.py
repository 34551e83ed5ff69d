"""One-time codes and messages, where it takes processes: a race, an interruption, a reader who goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from dispatcher.gateway.simulator import Fault, Faults
from tests.integration.processes import Cli, GatewayOutside, number


def test_several_processes_at_once_keep_to_the_limit(cli: Cli, gateway: GatewayOutside) -> None:
    env = {"DISPATCHER_OTP_PER_NUMBER": "2 per 1h"}
    assert cli("optout", "list").code == 0
    running = [cli.start("otp", "send", number(1), "--json", **env) for _ in range(4)]
    assert sorted(each.ended().code for each in running) == [0, 0, 2, 2]
    assert len(gateway.accepted()) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="there a child cannot be sent Ctrl-C alone")
def test_ctrl_c_while_the_answer_is_waited_for(cli: Cli, gateway: GatewayOutside) -> None:
    gateway.simulator.set_faults(Faults(rates={Fault.HANG_AFTER: 1}, hang_seconds=30))
    waiting = cli.start("otp", "send", number(1), "--json")
    waiting.when(lambda: len(gateway.received()) == 1)
    ended = waiting.signal(signal.SIGINT).ended(20)
    assert (ended.code, ended.json["outcome"]) == (1, "in_doubt")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_who_stops_reading_stops_the_paging(cli: Cli, gateway: GatewayOutside) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "dispatcher", "messages", "list", "--csv"]
    ended = subprocess.run(
        command, cwd=cli.folder, env=cli.env, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False)
