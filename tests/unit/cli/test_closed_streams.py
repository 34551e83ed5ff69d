"""A shell may have closed the standard streams, and a person may press Ctrl-C twice: neither is a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dispatcher.errors import Interrupted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell that closes streams")
TWICE = """
import dispatcher.cli.app, dispatcher.cli
def run():
    raise KeyboardInterrupt  # while the first one was being told of
dispatcher.cli.app.run = run
dispatcher.cli.main()
"""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_lead_nowhere(tmp_path: Path, closed: str) -> None:
    env = {**os.environ, "DISPATCHER_LEDGER": f"sqlite:///{tmp_path}/ledger.db", "TMPDIR": str(tmp_path)}
    command = f"{sys.executable} -m dispatcher optout list {closed}"
    ended = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=env, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert list(tmp_path.iterdir()) == []  # no log of a bug


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full")
@pytest.mark.parametrize(
    ("command", "code"), [("optout list --json", 1), ("optout list", 0), ("check nothing.csv --json", 3)]
)
def test_a_full_disk_behind_the_output_is_told_of(tmp_path: Path, command: str, code: int) -> None:
    env = {**os.environ, "DISPATCHER_LEDGER": f"sqlite:///{tmp_path}/ledger.db", "TMPDIR": str(tmp_path)}
    shell = f"{sys.executable} -m dispatcher {command} > /dev/full"
    ended = subprocess.run(
        ["sh", "-c", shell],
        cwd=tmp_path,
        env={**env, "DISPATCHER_LANG": "it"},
        capture_output=True,
        timeout=60,
    )
    assert ended.returncode == code
    assert (
        ended.stderr.decode().count("Errore: l'output non si è potuto scrivere: No space left on device\n")
        == 1
    )
    assert "Traceback" not in ended.stderr.decode()


@pytest.mark.parametrize(("flags", "told"), [(["--json"], b"Nobody has opted out.\n"), ([], b"")])
def test_a_reader_who_has_gone_away_is_no_mistake(tmp_path: Path, flags: list[str], told: bytes) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # what `head` does when it has read enough
    env = {**os.environ, "DISPATCHER_LEDGER": f"sqlite:///{tmp_path}/ledger.db"}
    program = [sys.executable, "-m", "dispatcher", "optout", "list", *flags]
    try:
        ended = subprocess.run(
            program, cwd=tmp_path, env=env, stdout=writing, stderr=subprocess.PIPE, timeout=60
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, told)


def test_a_second_ctrl_c_ends_without_a_traceback() -> None:
    ended = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (Interrupted.exit_code, b"")
