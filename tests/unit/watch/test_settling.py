"""Files that appear in every bad way, and when each of them is taken."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dispatcher.watch.settling import Content, Settler, content_of

CSV = b"phone,text\n+393123400001,Hello\n"
LONG = 10_000.0
POSIX = pytest.mark.skipif(
    sys.platform == "win32", reason="links and pipes need rights there, or do not exist"
)


def workbook(rows: int = 2_000) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("xl/workbook.xml", "x" * rows)
    return packed.getvalue()


@dataclass
class Folder:
    """A folder looked at by a clock that is set by hand."""

    path: Path
    now: float = 0.0
    settler: Settler = field(init=False)

    def __post_init__(self) -> None:
        self.settler = Settler(self.path, settle=5.0, monotonic=lambda: self.now)

    def put(self, name: str, content: bytes, *, mtime: int | None = None) -> Path:
        path = self.path / name
        path.write_bytes(content)
        if mtime is not None:
            os.utime(path, ns=(mtime, mtime))
        return path

    def look(self, at: float) -> list[str]:
        self.now = at
        return [one.path.name for one in self.settler.look()]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_whole_file_is_taken_once_it_has_stood_still(folder: Folder) -> None:
    folder.put("a.csv", CSV)
    assert (folder.look(0), folder.look(4.9), folder.look(5)) == ([], [], ["a.csv"])


def test_one_that_grows_starts_anew(folder: Folder) -> None:
    folder.put("a.csv", CSV, mtime=1)
    folder.look(0)
    folder.put("a.csv", CSV * 2, mtime=2)
    assert (folder.look(4), folder.look(8.9), folder.look(9)) == ([], [], ["a.csv"])


def test_one_of_the_same_size_but_another_time_starts_anew(folder: Folder) -> None:
    folder.put("a.csv", CSV, mtime=1)
    folder.look(0)
    folder.put("a.csv", CSV, mtime=2)
    assert (folder.look(5), folder.look(10)) == ([], ["a.csv"])


def test_one_that_is_replaced_by_another_file_starts_anew(folder: Folder) -> None:
    folder.put("a.csv", CSV, mtime=1)
    folder.look(0)
    folder.put("b.tmp", CSV, mtime=1).replace(folder.path / "a.csv")
    assert (folder.look(5), folder.look(10)) == ([], ["a.csv"])


def broken(content: bytes) -> Callable[[Folder], object]:
    return lambda folder: folder.put("a.xlsx", content)


@pytest.mark.parametrize(
    ("appears", "taken_at"),
    [
        pytest.param(broken(workbook()), 5, id="a whole workbook"),
        pytest.param(broken(workbook()[:-30]), 60, id="a workbook without its end"),
        pytest.param(broken(workbook()[:500]), 60, id="the beginning of a workbook"),
        pytest.param(broken(workbook().replace(b"xxx", b"\0\0\0", 1)), 60, id="a workbook with a hole"),
        pytest.param(broken(CSV + b'+393123400002,"Hello'), 60, id="a CSV within a quote"),
        pytest.param(broken(CSV + b"\0" * 4096), 60, id="space set aside for a CSV"),
        pytest.param(broken(CSV[:-1]), 5, id="text without a last line end, not called a list"),
        pytest.param(broken("phone,text\r\n".encode("utf-16")), 5, id="a CSV in UTF-16"),
        pytest.param(broken(b"%PDF-1.7"), 5, id="no spreadsheet at all"),
        pytest.param(broken(bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600), 5, id="an old workbook"),
        pytest.param(broken(b""), None, id="0 bytes"),
        pytest.param(lambda folder: (folder.path / "a.xlsx").mkdir(), None, id="a folder"),
        pytest.param(
            lambda folder: (folder.path / "a.xlsx").symlink_to("/etc/hostname"),
            None,
            id="a link",
            marks=POSIX,
        ),
        pytest.param(
            lambda folder: (folder.path / "a.xlsx").symlink_to("nowhere"),
            None,
            id="a link to nothing",
            marks=POSIX,
        ),
        pytest.param(lambda folder: os.mkfifo(folder.path / "a.xlsx"), None, id="a pipe", marks=POSIX),
        pytest.param(lambda folder: folder.put("~$a.xlsx", CSV), None, id="a lock file"),
        pytest.param(lambda folder: folder.put("a.xlsx.part", CSV), None, id="a sync client's partial"),
    ],
)
def test_when_a_file_is_taken(
    folder: Folder, appears: Callable[[Folder], object], taken_at: float | None
) -> None:
    appears(folder)
    times = (0, 4.9, 5, 59.9, 60, LONG)
    taken = next((at for at in times if folder.look(at)), None)
    assert taken == taken_at


def test_an_empty_file_that_is_filled_is_taken(folder: Folder) -> None:
    folder.put("a.csv", b"", mtime=1)
    folder.look(0)
    folder.look(LONG)
    folder.put("a.csv", CSV, mtime=2)
    assert (folder.look(LONG + 1), folder.look(LONG + 6)) == ([], ["a.csv"])


def test_one_that_is_gone_again_is_forgotten(folder: Folder) -> None:
    path = folder.put("a.csv", CSV)
    folder.look(0)
    path.unlink()
    folder.look(3)
    assert not folder.settler.is_waiting
    folder.put("a.csv", CSV)
    assert (folder.look(5), folder.look(10)) == ([], ["a.csv"])


def test_the_oldest_is_first(folder: Folder) -> None:
    for mtime, name in ((3, "a.csv"), (1, "c.csv"), (2, "b.csv")):
        folder.put(name, CSV, mtime=mtime)
    folder.look(0)
    assert folder.look(5) == ["c.csv", "b.csv", "a.csv"]


def test_what_unpacks_to_far_too_much_is_left_to_the_reader(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(3):
            with archive.open(f"{n}.xml", "w", force_zip64=True) as part:
                for _ in range(400):
                    part.write(b"\0" * (1 << 20))
    assert content_of(bomb) is Content.WHOLE


@pytest.mark.parametrize(
    ("name", "content", "whole"),
    [
        ("a.csv", "phone,text\n+393123400001,Ciao An", False),
        ("a.txt", "phone\ttext\r\n+393123400001\tCiao Anna\r\n", True),
        ("a.csv", "phone,text\r+393123400001,Ciao Anna\r", True),
        ("a.pdf", "%PDF-1.7 scan", True),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_half_a_line_is_half_a_text(
    tmp_path: Path, name: str, content: str, whole: bool, encoding: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode(encoding))
    assert content_of(path) is (Content.WHOLE if whole else Content.BROKEN_OFF)
