"""Rows taken many at a time come out as they do one by one."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dispatcher.report.plainrows import NotPlain, PlainRows
from dispatcher.report.rows import CellValue, brief
from dispatcher.report.sheetxml import SheetXml
from dispatcher.report.xmlcells import CellWriter
from tests.unit.report.conftest import Answer, Package, Write

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
ROWS = 9_000  # several blocks of XML
PART = "xl/worksheets/sheet1.xml"


def rows_of(chance: random.Random, *, wide: int, spans: float, empty: float, report: bool) -> str:
    """Rows of a sheet, of which some ``empty`` ones have no cells; with an earlier report in columns C and D."""
    made = [
        '<row r="1"><c r="A1" t="inlineStr"><is><t>tel</t></is></c><c r="B1" t="inlineStr"><is><t>x</t></is></c>'
    ]
    if report:
        made.append('<c r="C1" t="inlineStr"><is><t>sms_status</t></is></c>')
    made.append("</row>")
    for number in range(2, ROWS):
        if chance.random() < 0.002:
            continue  # a row that the file does not have
        tag = f'<row r="{number}"' + (' spans="1:2" ht="15"' if chance.random() < spans else "")
        if chance.random() < empty:
            made.append(tag + chance.choice(("/>", "></row>")))
            continue
        cells = f'<c r="A{number}" s="1"/>' + (
            f'<c r="B{number}"><v>{number}</v></c>' if chance.random() < 0.9 else ""
        )
        if report:
            cells += f'<c r="C{number}" t="inlineStr"><is><t>accepted</t></is></c>'
        if chance.random() < 0.0005:
            cells += f'<c r="{chr(64 + wide)}{number}"><v>1</v></c>'
        made.append(f"{tag}>{cells}</row>")
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(made)}</sheetData></worksheet>'


@pytest.mark.parametrize(
    ("wide", "spans", "empty", "report", "answered"),
    [
        (2, 0.0, 0.0, False, 1.0),
        (2, 1.0, 0.0, False, 1.0),
        (9, 0.5, 0.0, False, 0.9),
        (30, 0.0, 0.0, False, 0.5),
        (2, 0.2, 0.001, False, 0.99),
        (9, 1.0, 0.0, True, 1.0),
        (2, 0.0, 0.0, False, 0.0),
    ],
)
def test_many_at_a_time_and_one_by_one(
    tmp_path: Path,
    package: Package,
    write: Write,
    answer: Callable[[int], Answer],
    monkeypatch: pytest.MonkeyPatch,
    wide: int,
    spans: float,
    empty: float,
    report: bool,
    answered: float,
) -> None:
    chance = random.Random(wide * 7 + int(spans * 5))
    path = package(rows_of(chance, wide=wide, spans=spans, empty=empty, report=report))
    rows = [answer(number) for number in range(2, ROWS + 50) if chance.random() < answered]
    fast = zipfile.ZipFile(write(path, rows, tmp_path / "a.xlsx").target).read(PART)
    monkeypatch.setattr(SheetXml, "plain_rows", lambda sheet: iter(()))
    slow = zipfile.ZipFile(write(path, rows, tmp_path / "b.xlsx").target).read(PART)
    assert fast == slow


@pytest.mark.parametrize(
    "data",
    [
        b'<row r="2"><c r="A2"><v>1</v></c><extLst/></row>',
        b'<row r="2"/>',
        b'<row r="2"><c s="1" r="A2"><v>1</v></c></row>',
        b'<row><c r="A1"><v>1</v></c></row>',
        b'<row r="3"><c r="A3"/></row><row r="2"><c r="A2"/></row>',
        b'<row r="2"><!-- --></row>',
        b'<row r="2" spans="\xff"><c r="A2"/></row>',
        b'<row r="2"><c r="A2"/></row><row r="3" spans="\xff"><c r="A3"/></row>',
    ],
)
def test_rows_that_have_to_be_looked_at(data: bytes) -> None:
    with pytest.raises(NotPlain):
        PlainRows.of(data)


TEXTS = st.sampled_from(
    ["", "+393331234567", "6f1e", "6f1f", " lead", "a\nb", "_x0041_", "a & b", "\0", "é", "%s", "x" * 32_768]
)
KINDS = (TEXTS | st.text(max_size=5), st.integers(0, 3), st.decimals(0, 2, places=2).map(brief))


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.lists(
            st.one_of(*(st.lists(st.none() | kind, min_size=n, max_size=n) for kind in KINDS)), max_size=4
        )
    ),
    st.sampled_from(["", "x:"]),
)
@example([["x" * 32_768]], "")
def test_cells_by_the_column_and_one_by_one(columns: list[list[CellValue]], prefix: str) -> None:
    numbers = list(range(7, 7 + len(columns[0]))) if columns else [7, 8]
    writer = CellWriter(prefix)
    named = list(zip("ABCD", columns, strict=False))
    alone = [
        "".join(writer.cell(letter, number, values[place]) for letter, values in named).encode()
        for place, number in enumerate(numbers)
    ]
    assert writer.rows(numbers, named) == alone
