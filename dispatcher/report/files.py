"""Where a report goes, and how it gets there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dispatcher.errors import FileError, UsageError

_EARLIER_REPORT = re.compile(r"(?:\.simulated)?\.report(?:-\d+)?$", re.IGNORECASE)
_NUMBERED = re.compile(r"(.*\.report)-(\d+)", re.IGNORECASE)
_TEXT_SUFFIXES = (".csv", ".txt", ".tsv", ".tab")
_WORKBOOK_SUFFIXES = (".xlsx", ".xlsm")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def report_path(
    input_path: Path, *, simulated: bool, report_dir: Path | None, kind: str | None = None
) -> Path:
    """``X.xlsx`` -> ``X.report.xlsx`` beside it or in ``report_dir``; ``X.simulated.report.xlsx`` for the
    simulator.

    ``.xls`` and ``.ods`` give ``.xlsx``.  ``kind`` is the file's kind by content where it is known: a CSV
    called ``X.xlsx`` gives ``X.report.csv``.  A report used as the input (``X.report.xlsx``) does not become
    ``X.report.report.xlsx``; :func:`choose_target` keeps the two apart.
    """
    folder = input_path.parent if report_dir is None else report_dir
    stem = _EARLIER_REPORT.sub("", input_path.stem) or input_path.stem
    mark = ".simulated.report" if simulated else ".report"
    return folder / f"{stem}{mark}{_suffix(input_path.suffix, kind)}"


def _suffix(written: str, kind: str | None) -> str:
    is_text = kind == "csv" if kind is not None else written.lower() in _TEXT_SUFFIXES
    if is_text:
        return written if written.lower() in _TEXT_SUFFIXES else ".csv"
    if kind in ("xls", "ods"):
        return ".xlsx"
    if kind == "xlsm":
        return ".xlsm"
    return written if written.lower() in _WORKBOOK_SUFFIXES else ".xlsx"


def choose_target(path: Path, last_written_sha256: str | None) -> Path:
    """``path``, or ``X.report-2.xlsx``, ``-3`` … where that one is not ours to overwrite.

    A report may be overwritten when its bytes are those we wrote last and nobody has it open (the lock file
    of Excel or LibreOffice is beside it, or it cannot be opened for writing).
    """
    numbered = _NUMBERED.fullmatch(path.stem)
    stem, first = (numbered[1], int(numbered[2])) if numbered else (path.stem, 1)
    for n in itertools.count(first):
        candidate = path if n == first else path.with_name(f"{stem}-{n}{path.suffix}")
        if not _exists(candidate) or (
            last_written_sha256 is not None
            and not _is_open(candidate)
            and _sha256(candidate) == last_written_sha256
        ):
            return candidate
    raise AssertionError("unreachable")


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _is_open(path: Path) -> bool:
    locks = (path.with_name(f"~${path.name}"), path.with_name(f".~lock.{path.name}#"))
    if any(_exists(lock) for lock in locks):
        return True
    try:
        with path.open("r+b"):
            return False
    except OSError:
        return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_folder(folder: Path) -> None:
    """Prove that a report can be created in ``folder``, before anything is sent.

    Raises UsageError ``report_folder_not_writable``.
    """
    probe = folder / f".dispatcher-{secrets.token_hex(8)}.tmp"
    try:
        with probe.open("xb"):
            pass
        probe.unlink()
    except OSError as error:
        raise _folder_error(folder, error) from error


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[BinaryIO]:
    """A file to write and read back; it becomes ``target`` when the block ends well and is gone when it does
    not.

    Raises UsageError ``report_folder_not_writable``, FileError ``report_disk_full``, ``report_is_open`` (the
    target cannot be replaced) or ``report_not_written``.
    """
    # Beside the target, so that the last step is a rename; not from tempfile, whose files only their owner
    # may read.
    temporary = target.with_name(f".dispatcher-{secrets.token_hex(8)}.tmp")
    try:
        file = temporary.open("x+b")
    except OSError as error:
        raise _folder_error(target.parent, error) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _rename(temporary, target)
    except OSError as error:
        raise _write_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()  # already renamed when all went well
    _keep_rename(target.parent)


def _rename(temporary: Path, target: Path) -> None:
    try:
        os.replace(temporary, target)
    except (PermissionError, IsADirectoryError) as error:  # Windows refuses while Excel has the target open
        raise FileError("report_is_open", file=str(target), found=type(error).__name__) from error


def _keep_rename(folder: Path) -> None:
    # Windows cannot open a folder, and some network drives cannot sync one; the file's own bytes are safe
    # anyway.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _folder_error(folder: Path, error: OSError) -> UsageError | FileError:
    if error.errno in _NO_SPACE:
        return FileError("report_disk_full", file=str(folder))
    return UsageError("report_folder_not_writable", file=str(folder), found=type(error).__name__)


def _write_error(target: Path, error: OSError) -> FileError:
    if error.errno in _NO_SPACE:
        return FileError("report_disk_full", file=str(target))
    return FileError("report_not_written", file=str(target), found=type(error).__name__)
