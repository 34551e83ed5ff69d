"""THE path from a kept input and its answers to the report on disk."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from dispatcher.errors import FileError
from dispatcher.report.cannot import CannotExtend
from dispatcher.report.extend import Extension
from dispatcher.report.files import written_whole
from dispatcher.report.rows import Answers, in_order, row_by_row
from dispatcher.report.sheets.model import ExtraSheet

_Write = Callable[[Iterable[Answers], BinaryIO], None]


@dataclass(frozen=True, slots=True)
class Source:
    """The user's file as it was read.

    ``path``: the kept input's bytes.  ``kind``: ``csv``, ``xlsx``, ``xlsm``, ``xls`` or ``ods``, by content.
    ``delimiter`` and ``encoding`` are those of a CSV.  ``name``: what the user calls the file.
    """

    path: Path
    kind: str
    sheet_name: str | None
    heading_row: int
    delimiter: str | None
    encoding: str | None
    name: str


@dataclass(frozen=True, slots=True)
class ReportWritten:
    """A report on disk.

    ``why_rebuilt``: a ``rebuilt`` entry of the catalogue if it is a new workbook.  ``without_sheets``: a
    ``without_sheets`` entry if our own sheets could not be added.
    """

    target: Path
    how: Literal["extended", "rebuilt"]
    why_rebuilt: str | None
    sha256: str
    without_sheets: str | None = None


def write_report(
    source: Source,
    answers: Iterable[Answers],
    target: Path,
    *,
    sheets: Sequence[ExtraSheet] = (),
) -> ReportWritten:
    """Write the user's file with our columns to ``target``, whole or not at all; an existing ``target`` is
    replaced.

    ``answers`` ascend by row number and are read once, as a stream.  ``sheets`` come into a workbook beside the user's
    own; a CSV has none.

    Raises FileError (``report_source_missing``, ``report_source_unreadable``, ``report_disk_full``,
    ``report_is_open``, ``report_not_written``), UsageError (``report_folder_not_writable``), and ValueError
    for rows that are not ascending.
    """
    with _source_errors(source):
        way = _way(source, target, sheets)
    with written_whole(target) as file:
        try:
            way.write(in_order(answers, source.heading_row), file)
        except CannotExtend as error:  # only rows of an earlier report are not looked at closely before
            raise FileError("report_source_unreadable", file=source.name, found=error.code) from error
        file.flush()
        sha256 = _sha256(file)
    how: Literal["extended", "rebuilt"] = "rebuilt" if way.why_rebuilt else "extended"
    return ReportWritten(target, how, way.why_rebuilt, sha256, way.without_sheets)


@dataclass(frozen=True, slots=True)
class _Way:
    write: _Write
    why_rebuilt: str | None = None
    without_sheets: str | None = None


def _way(source: Source, target: Path, sheets: Sequence[ExtraSheet]) -> _Way:
    """How this source is written, decided before the first row is taken."""
    source.path.open("rb").close()
    if source.kind == "csv":
        return _Way(_delimited(source))
    if source.kind not in ("xlsx", "xlsm"):
        return _Way(_rebuilt(source, target, sheets), "old_format")
    try:
        extension = Extension(source.path, source.sheet_name, source.heading_row, sheets)
        return _Way(extension.write, without_sheets=extension.without_sheets)
    except CannotExtend as reason:
        return _Way(_rebuilt(source, target, sheets), reason.code)


def _delimited(source: Source) -> _Write:
    from dispatcher.report.delimited import write_delimited  # needs a library that no workbook needs

    def write(answers: Iterable[Answers], file: BinaryIO) -> None:
        write_delimited(
            source.path,
            delimiter=source.delimiter or ",",
            encoding=source.encoding or "utf-8-sig",
            heading_row=source.heading_row,
            rows=row_by_row(answers),
            target=file,
        )

    return write


def _rebuilt(source: Source, target: Path, sheets: Sequence[ExtraSheet]) -> _Write:
    from dispatcher.report.rebuild import write_rebuilt  # needs a library that no other way needs

    def write(answers: Iterable[Answers], file: BinaryIO) -> None:
        write_rebuilt(
            source.path,
            source.sheet_name,
            source.heading_row,
            row_by_row(answers),
            file,
            macros=target.suffix.lower() == ".xlsm",
            sheets=sheets,
        )

    return write


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(1 << 18):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def _source_errors(source: Source) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileError("report_source_missing", file=source.name, found=str(source.path)) from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise FileError("report_source_unreadable", file=source.name, found=str(error)) from error
