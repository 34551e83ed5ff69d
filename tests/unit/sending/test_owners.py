"""Owners of claims: proved dead exactly when their process has ended, however it ended."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dispatcher.ledger import Ledger
from dispatcher.sending.owners import OwnerLock, Owners, is_dead, place_of

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


# -- as far as can be judged from here

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    yield opened
    opened.dispose()


def register(ledger: Ledger, owner: str, lock: Path | None, place: str, seen: datetime = NOW) -> None:
    ledger.processes.register(
        owner, pid=1, host=place, role="worker", lock_path=str(lock) if lock else None, now=seen
    )


def test_a_place_keeps_its_name_and_no_two_share_one(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert place_of(first) == place_of(first)
    assert place_of(first) != place_of(second)
    assert sorted(path.name for path in first.iterdir()) == ["place"]


def test_processes_that_name_a_place_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(place_of, [tmp_path / "owners"] * 32))
    assert len(names) == 1


def test_where_there_are_no_hard_links_a_place_has_a_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    monkeypatch.setattr(os, "link", refused)
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(place_of, [tmp_path / "owners"] * 32))
    assert len(names) == 1
    assert not names.pop().endswith("/")
    (mark,) = (tmp_path / "owners").iterdir()
    assert mark.name == "place"
    if os.name == "posix":
        assert mark.stat().st_mode & 0o777 == 0o600


def test_who_comes_while_a_place_gets_its_name_waits_for_it(tmp_path: Path) -> None:
    mark = tmp_path / "place"
    mark.touch()
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            mark.write_text("ab" * 8, encoding="ascii")

    assert place_of(tmp_path, wait).endswith("/" + "ab" * 8)
    assert len(waited) == 3


def test_who_died_while_naming_a_place_leaves_it_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "place").touch()
    first = place_of(tmp_path, lambda seconds: None)
    assert len(first.rpartition("/")[2]) == 16
    assert place_of(tmp_path) == first


def test_only_a_lock_of_this_place_proves_anything(ledger: Ledger, tmp_path: Path) -> None:
    here = tmp_path / "here"
    owners = Owners(ledger, here, timedelta(minutes=5))
    with OwnerLock(here) as alive:
        register(ledger, "alive", alive.path, owners.place)
        register(ledger, "dead", here / "dead.lock", owners.place)
        register(ledger, "elsewhere", here / "gone.lock", place_of(tmp_path / "there"))
        register(ledger, "without a lock", None, owners.place)
        names = ("alive", "dead", "elsewhere", "without a lock", "never registered")
        assert [name for name in names if owners.is_gone(name)] == ["dead", "never registered"]
        owners.forget_dead()
        left = {process.owner for process in ledger.processes.all()}
        assert left == {"alive", "elsewhere", "without a lock"}


def test_who_is_elsewhere_is_silent_after_a_while(ledger: Ledger, tmp_path: Path) -> None:
    owners = Owners(ledger, tmp_path / "here", timedelta(minutes=5))
    register(ledger, "elsewhere", tmp_path / "x.lock", "another/place")
    register(ledger, "here", tmp_path / "x.lock", owners.place)
    assert not owners.is_silent("elsewhere", NOW + timedelta(minutes=5))
    assert owners.is_silent("elsewhere", NOW + timedelta(minutes=5, seconds=1))
    ledger.processes.seen("elsewhere", NOW + timedelta(minutes=4))
    assert not owners.is_silent("elsewhere", NOW + timedelta(minutes=8))
    for other in ("here", "never registered"):
        assert not owners.is_silent(other, NOW + timedelta(days=1))


@pytest.mark.parametrize(("asked", "seconds"), [(1, 60), (60, 60), (300, 300)])
def test_silence_is_never_quick(ledger: Ledger, tmp_path: Path, asked: int, seconds: int) -> None:
    """Signs of life come every few seconds, and a loaded server may be late with some of them."""
    owners = Owners(ledger, tmp_path / "here", timedelta(seconds=asked))
    register(ledger, "elsewhere", None, "another/place")
    assert not owners.is_silent("elsewhere", NOW + timedelta(seconds=seconds))
    assert owners.is_silent("elsewhere", NOW + timedelta(seconds=seconds + 1))
