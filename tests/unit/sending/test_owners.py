"""Owners of claims: proved dead exactly when their process has ended, however it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dispatcher.sending.owners import OwnerLock, is_dead

HOLDER = """
import sys
from pathlib import Path
from dispatcher.sending.owners import OwnerLock
with OwnerLock(Path(sys.argv[1])) as owner:
    print(owner.path, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that holds its lock until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    repository = str(Path(__file__).parents[3])
    env = {**os.environ, "PYTHONPATH": repository}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    try:
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def test_alive_while_the_block_lasts_also_for_its_own_process(tmp_path: Path) -> None:
    with OwnerLock(tmp_path / "owners") as owner:
        assert not is_dead(owner.path)
        assert not is_dead(owner.path)  # looking does not loosen it
    assert is_dead(owner.path)
    assert not owner.path.exists()


def test_every_owner_is_another(tmp_path: Path) -> None:
    with OwnerLock(tmp_path) as first, OwnerLock(tmp_path) as second:
        assert first.id != second.id
        assert not is_dead(first.path)
        assert not is_dead(second.path)


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    with OwnerLock(tmp_path / "owners") as owner:
        if os.name == "posix":
            assert (owner.path.parent.stat().st_mode & 0o777) == 0o700


def test_a_lock_nobody_ever_took_is_no_life(tmp_path: Path) -> None:
    assert is_dead(tmp_path / "never.lock")


def test_another_process_that_lives(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, path):
        assert not is_dead(path)
        process.communicate()
        assert process.returncode == 0
        assert is_dead(path)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("killed_by", ["SIGKILL", "SIGTERM"])
def test_another_process_that_is_killed(tmp_path: Path, killed_by: str) -> None:
    with holder(tmp_path) as (process, path):
        process.send_signal(signal.Signals[killed_by])
        process.wait()
        assert is_dead(path)
        assert is_dead(path)  # the proof can be repeated


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_frozen_process_is_not_dead(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, path):
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        assert not is_dead(path)
        process.send_signal(signal.SIGCONT)
        assert not is_dead(path)
