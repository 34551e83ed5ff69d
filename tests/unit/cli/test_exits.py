"""What the process ends with is what the command line decided, whatever happened on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dispatcher.application import Application
from dispatcher.cli.app import run

PROGRAM = """
import dispatcher.cli.app


def run():
    try:
        exec("raise KeyboardInterrupt")  # as a dataclass does that is made while somebody presses Ctrl-C
    except KeyboardInterrupt:
        return {code}


dispatcher.cli.app.run = run
from dispatcher.cli import main

main()
"""


@pytest.mark.parametrize("code", [0, 5, 130])
def test_an_interruption_that_was_dealt_with_is_no_death_by_a_signal(code: int, tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(PROGRAM.format(code=code), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (code, b"")


def test_serve_interrupted_before_it_listens_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(Application, "callback_service", interrupted)
    monkeypatch.chdir(tmp_path)
    assert run(["serve", "--gateway", "simulator", "--ledger", f"sqlite:///{tmp_path / 'ledger.db'}"]) == 130
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Error: Interrupted")
