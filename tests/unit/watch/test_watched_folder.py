"""Moves between the folders, whose folder it is, and what tells of changes in it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dispatcher.errors import UsageError
from dispatcher.watch.bell import Bell, kind_of_mount
from dispatcher.watch.folder import Place, WatchedFolder
from dispatcher.watch.ownership import MARK, folder_id
from dispatcher.watch.settling import Mark, Settled
from dispatcher.wording import LANGUAGES, Wording

NOW = datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)
TAKEN = "2026-11-22 12.00.05 a.csv"


@pytest.fixture
def folder(tmp_path: Path) -> WatchedFolder:
    made = WatchedFolder(tmp_path / "in")
    made.root.mkdir()
    made.prepare()
    return made


def settled(folder: WatchedFolder, content: str = "phone\n1\n") -> Settled:
    path = folder.root / "a.csv"
    path.write_text(content)
    mark = Mark.of(path)
    assert mark is not None
    return Settled(path, mark)


def test_a_settled_file_is_taken(folder: WatchedFolder) -> None:
    one = settled(folder)
    assert folder.take(one, NOW) == TAKEN
    assert folder.files(Place.PROCESSING) == [TAKEN]
    assert not one.path.exists()


@pytest.mark.parametrize(
    ("meanwhile", "is_there"),
    [
        pytest.param(lambda path: path.unlink(), False, id="gone"),
        pytest.param(lambda path: path.write_text("another and longer"), True, id="written to"),
        pytest.param(
            lambda path: path.with_name("b").write_text("x") and path.with_name("b").replace(path),
            True,
            id="replaced",
        ),
        pytest.param(lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), True, id="a link now"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), True, id="a folder now"),
    ],
)
def test_what_is_no_longer_the_file_that_settled_stays(
    folder: WatchedFolder, meanwhile: Callable[[Path], object], is_there: bool
) -> None:
    one = settled(folder)
    meanwhile(one.path)
    assert folder.take(one, NOW) is None
    assert os.path.lexists(one.path) == is_there
    assert list(folder[Place.PROCESSING].iterdir()) == []


def test_nothing_is_ever_replaced(folder: WatchedFolder) -> None:
    for place in (Place.PROCESSING, Place.DONE):
        (folder[place] / TAKEN).write_text(place)
    assert not folder.move(TAKEN, Place.PROCESSING, Place.DONE)
    assert (folder[Place.DONE] / TAKEN).read_text() == "done"
    assert folder.take(settled(folder), NOW) == "2026-11-22 12.00.05 (2) a.csv"


def test_notes_of_every_language_are_cleared(folder: WatchedFolder) -> None:
    for language in LANGUAGES:
        folder.note(Place.WAITING, TAKEN, "text\n", Wording(language))
    (folder[Place.WAITING] / "2026-11-22 12.00.05 a.plan.xlsx").touch()
    kept = folder[Place.WAITING] / "2026-11-22 12.00.05 ab.plan.xlsx"
    kept.touch()
    folder.clear(TAKEN, [Place.WAITING])
    assert list(folder[Place.WAITING].iterdir()) == [kept]


def test_a_note_opens_in_every_editor(folder: WatchedFolder) -> None:
    path = folder.note(Place.FAILED, TAKEN, "perché\nno\n", Wording("it"))
    assert path.name == "2026-11-22 12.00.05 a.LEGGIMI.txt"
    assert path.read_bytes() == b"\xef\xbb\xbfperch\xc3\xa9\r\nno\r\n"


# --- whose it is


def no_wait(seconds: float) -> None:
    return None


def test_the_first_ledger_has_the_folder_for_good(folder: WatchedFolder) -> None:
    first = folder_id(folder.state, "aaaa1111", no_wait)
    assert folder_id(folder.state, "aaaa1111", no_wait) == first
    with pytest.raises(UsageError) as caught:
        folder_id(folder.state, "bbbb2222", no_wait)
    assert caught.value.code == "watch_other_ledger"


def test_of_many_that_begin_at_once_all_see_the_same_owner(folder: WatchedFolder) -> None:
    found: list[str] = []
    together = threading.Barrier(8)

    def begin() -> None:
        together.wait()
        found.append(folder_id(folder.state, "aaaa1111", no_wait))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [entry.name for entry in folder.state.iterdir()] == [MARK]


def test_a_mark_that_cannot_be_read_is_not_guessed_at(folder: WatchedFolder) -> None:
    (folder.state / MARK).write_text('{"ledger": ')
    with pytest.raises(UsageError) as caught:
        folder_id(folder.state, "aaaa1111", no_wait)
    assert caught.value.code == "watch_mark_unreadable"


# --- who tells of changes


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/sms", "ext4"),
        ("/srv/share/sms", "cifs"),
        ("/srv/sharer", "ext4"),
        ("/mnt/nas", "nfs4"),
        ("/", "ext4"),
    ],
)
def test_the_kind_of_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    mounts = [("/", "ext4"), ("/srv/share", "cifs"), ("/mnt/nas", "nfs4")]
    assert kind_of_mount(Path(path), mounts) == kind


def test_a_bell_rings_when_a_file_comes(folder: WatchedFolder) -> None:
    rung = threading.Event()
    bell = Bell([folder.root], listens=True)
    with bell.hung():
        waiting = threading.Thread(target=lambda: (bell.wait(60), rung.set()))
        waiting.start()
        # until it listens nothing is heard: so a file comes again and again
        for n in range(600):
            (folder.root / f"{n}.csv").touch()
            if rung.wait(0.1):
                break
        assert rung.is_set()
        waiting.join()
