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


def test_a_second_ctrl_c_ends_without_a_traceback() -> None:
    ended = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (Interrupted.exit_code, b"")
