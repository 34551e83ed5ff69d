from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

from dispatcher.ledger import Ledger
from dispatcher.report import Answers, ReportWritten, Source, write_report

SENT = "2026-12-01 09:00:05"

Write = Callable[..., ReportWritten]
Package = Callable[..., Path]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'l.db'}", create=True)
    yield opened
    opened.dispose()


class Answer(NamedTuple):
    """What the report says of one row."""

    row: int
    status: str
    reason: str | None = None
    recipient: str | None = None
    country: str | None = None
    route: str | None = None
    sender: str | None = None
    encoding: str | None = None
    parts: int | None = None
    estimated_cost: Decimal | None = None
    actual_cost: Decimal | None = None
    message_id: str | None = None
    sent_at: str | None = None
    delivered_at: str | None = None
    error_code: str | None = None


def pages(answers: Sequence[Answer], size: int = 100) -> Iterator[Answers]:
    """The answers as they are written, so many at a time."""
    left = iter(answers)
    while some := list(islice(left, size)):
        numbers, *columns = zip(*some, strict=True)
        yield Answers(numbers, columns)


@pytest.fixture
def answer() -> Callable[[int], Answer]:
    """The answer to a row: everything filled in."""

    def make(row: int) -> Answer:
        return Answer(
            row=row,
            status="delivered",
            reason=None,
            recipient="+393123456789",
            country="IT",
            route="IT",
            sender="Studio",
            encoding="GSM-7",
            parts=2,
            estimated_cost=Decimal("0.1040"),
            actual_cost=Decimal("0.1040"),
            message_id=f"id{row}",
            sent_at=SENT,
            delivered_at=SENT,
            error_code=None,
        )

    return make


@pytest.fixture
def write() -> Write:
    """``write(path, rows, target, kind="xlsx", ...)`` with the rest of the arguments filled in."""

    def run(path: Path, rows: Sequence[Answer], target: Path, **source: object) -> ReportWritten:
        facts = {
            "kind": path.suffix[1:],
            "sheet_name": None,
            "heading_row": 1,
            "delimiter": ";",
            "encoding": "utf-8",
            "name": path.name,
        }
        return write_report(Source(path=path, **{**facts, **source}), pages(rows), target)  # type: ignore[arg-type]

    return run


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A minimal workbook around one sheet's XML (and shared strings)."""

    def make(sheet: str | bytes, *, strings: str | None = None, extra: dict[str, str] | None = None) -> Path:
        office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        kinds = "http://schemas.openxmlformats.org/package/2006"
        main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
        parts: dict[str, str | bytes] = {
            "[Content_Types].xml": f'<Types xmlns="{kinds}/content-types">'
            '<Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{types}.worksheet+xml"/>'
            f'<Override PartName="/xl/sharedStrings.xml" ContentType="{types}.sharedStrings+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{kinds}/relationships">'
            f'<Relationship Id="a" Type="{office}/officeDocument" Target="/xl/workbook.xml"/>'
            "</Relationships>",
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:q="{office}">'
            '<sheets><sheet name="S" sheetId="1" q:id="s"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{kinds}/relationships">'
            f'<Relationship Id="s" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="t" Type="{office}/sharedStrings" Target="sharedStrings.xml"/>'
            "</Relationships>",
            "xl/sharedStrings.xml": strings or f'<sst xmlns="{main}"/>',
            "xl/worksheets/sheet1.xml": sheet,
            **(extra or {}),
        }
        path = tmp_path / "made.xlsx"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return path

    return make
