"""Where a report goes, and that it gets there whole or not at all."""

from __future__ import annotations

import hashlib
import resource
import signal
import sys
from pathlib import Path

import pytest
from openpyxl import Workbook

from dispatcher.errors import FileError, UsageError
from dispatcher.report import check_folder, choose_target, report_path
from dispatcher.wording import LANGUAGES, Wording


@pytest.mark.parametrize(
    ("name", "kind", "simulated", "expected"),
    [
        ("X.xlsx", None, False, "X.report.xlsx"),
        ("X.xlsx", None, True, "X.simulated.report.xlsx"),
        ("X.XLSM", "xlsm", False, "X.report.xlsm"),
        ("X.xls", None, False, "X.report.xlsx"),
        ("X.ods", None, True, "X.simulated.report.xlsx"),
        ("X.csv", "csv", False, "X.report.csv"),
        ("X.csv", None, True, "X.simulated.report.csv"),
        ("X.TXT", "csv", False, "X.report.TXT"),
        ("X.xlsx", "csv", False, "X.report.csv"),  # a CSV by another name
        ("X.csv", "xlsx", False, "X.report.xlsx"),
        ("X.xlsx", "xlsm", False, "X.report.xlsm"),
        ("X", "csv", False, "X.report.csv"),
        ("X.2026.xlsx", None, False, "X.2026.report.xlsx"),
        ("X.report.xlsx", None, False, "X.report.xlsx"),
        ("X.simulated.report-3.xlsx", None, False, "X.report.xlsx"),
        ("annual.reports.xlsx", None, False, "annual.reports.report.xlsx"),
        (".report.csv", None, False, ".report.report.csv"),
    ],
)
def test_report_path(tmp_path, name, kind, simulated, expected):
    assert (
        report_path(tmp_path / name, simulated=simulated, report_dir=None, kind=kind) == tmp_path / expected
    )
    elsewhere = report_path(tmp_path / name, simulated=simulated, report_dir=Path("out"), kind=kind)
    assert elsewhere == Path("out") / expected


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("files", "last", "expected"),
    [
        ({}, None, "X.report.xlsx"),
        ({}, sha(b"ours"), "X.report.xlsx"),
        ({"X.report.xlsx": b"ours"}, sha(b"ours"), "X.report.xlsx"),
        ({"X.report.xlsx": b"ours"}, None, "X.report-2.xlsx"),
        ({"X.report.xlsx": b"changed"}, sha(b"ours"), "X.report-2.xlsx"),
        ({"X.report.xlsx": b"changed", "X.report-2.xlsx": b"ours"}, sha(b"ours"), "X.report-2.xlsx"),
        ({"X.report.xlsx": b"changed", "X.report-2.xlsx": b"too"}, sha(b"ours"), "X.report-3.xlsx"),
        ({"X.report.xlsx": b"ours", "~$X.report.xlsx": b""}, sha(b"ours"), "X.report-2.xlsx"),
        ({"X.report.xlsx": b"ours", ".~lock.X.report.xlsx#": b""}, sha(b"ours"), "X.report-2.xlsx"),
        ({"X.report.xlsx": b"ours", "~$X.xlsx": b""}, sha(b"ours"), "X.report.xlsx"),
    ],
)
def test_choose_target(tmp_path, files, last, expected):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert choose_target(tmp_path / "X.report.xlsx", last).name == expected


def test_a_numbered_report_is_followed_by_the_next_number(tmp_path):
    (tmp_path / "X.report-2.xlsx").write_bytes(b"changed")
    assert choose_target(tmp_path / "X.report-2.xlsx", None).name == "X.report-3.xlsx"


def test_a_folder_or_dangling_link_of_that_name_is_not_overwritten(tmp_path):
    (tmp_path / "X.report.xlsx").mkdir()
    (tmp_path / "X.report-2.xlsx").symlink_to(tmp_path / "nowhere")
    assert choose_target(tmp_path / "X.report.xlsx", sha(b"")).name == "X.report-3.xlsx"


def make(path: Path, kind: str) -> Path:
    if kind == "csv":
        path.write_text("tel\n1\n2\n", encoding="utf-8")
        return path
    book = Workbook()
    for value in ("tel", "1", "2"):
        book.active.append([value])
    book.save(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "xlsx", "ods"])
@pytest.mark.parametrize("before", [None, b"the last report"])
def test_a_failure_on_the_way_leaves_what_was_there(tmp_path, write, answer, kind, before):
    source = make(tmp_path / f"a.{kind}", kind)
    target = tmp_path / "out" / "r"
    target.parent.mkdir()
    if before is not None:
        target.write_bytes(before)

    def rows():
        yield answer(2)
        raise RuntimeError("the ledger went away")

    with pytest.raises(RuntimeError, match="the ledger"):
        write(source, rows(), target)
    assert [path.read_bytes() for path in target.parent.iterdir()] == ([] if before is None else [before])


def test_success_replaces_the_old_report_and_says_its_digest(tmp_path, write, answer):
    target = tmp_path / "r.csv"
    target.write_bytes(b"old")
    written = write(make(tmp_path / "a.csv", "csv"), [answer(2), answer(3)], target)
    assert written.sha256 == sha(target.read_bytes())
    assert choose_target(target, written.sha256) == target
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "r.csv"]


@pytest.mark.parametrize("folder", ["missing", "a.csv"])
def test_a_folder_that_cannot_take_it(tmp_path, write, answer, folder):
    source = make(tmp_path / "a.csv", "csv")
    with pytest.raises(UsageError) as error:
        write(source, [answer(2)], tmp_path / folder / "r.csv")
    assert (error.value.code, error.value.file) == ("report_folder_not_writable", str(tmp_path / folder))
    with pytest.raises(UsageError):
        check_folder(tmp_path / folder)


def test_a_folder_that_can_is_left_as_it_was(tmp_path):
    check_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_replaced(tmp_path, write, answer):
    source = make(tmp_path / "a.csv", "csv")
    (tmp_path / "r.csv").mkdir()
    with pytest.raises(FileError) as error:
        write(source, [answer(2)], tmp_path / "r.csv")
    assert error.value.code == "report_is_open"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "r.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a file's size are POSIX")
@pytest.mark.parametrize("kind", ["csv", "xlsx", "ods"])
def test_a_full_disk_is_said_and_nothing_stays(tmp_path, write, answer, kind):
    source = make(tmp_path / f"a.{kind}", kind)
    target = tmp_path / "out" / "r"
    target.parent.mkdir()
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(FileError) as error:
            write(source, [answer(n) for n in range(2, 2000)], target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert error.value.code == "report_disk_full"
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "content", "code"),
    [
        ("csv", None, "report_source_missing"),
        ("xlsx", None, "report_source_missing"),
        ("xls", None, "report_source_missing"),
        ("xlsx", b"no package", "report_source_unreadable"),
        ("ods", b"no package", "report_source_unreadable"),
    ],
)
def test_a_kept_input_that_is_gone_or_damaged(tmp_path, write, answer, kind, content, code):
    source = tmp_path / f"a.{kind}"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(FileError) as error:
        write(source, [answer(2)], tmp_path / "r")
    assert error.value.code == code
    assert not (tmp_path / "r").exists()
    for language in LANGUAGES:
        told = Wording(language).error(error.value)
        assert f"a.{kind}" in (told["message"] or "")
