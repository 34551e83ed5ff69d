"""Workbooks: what readers lose, shift or invent, format by format; every file is written and read for real."""

from __future__ import annotations

import datetime as dt
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
import xlwt
from openpyxl.worksheet.table import Table
from openpyxl.worksheet.worksheet import Worksheet

from dispatcher.campaign.locale import Locale
from dispatcher.campaign.sheet import Sheet, SheetKind, open_sheet

# ruff: noqa: DTZ001 - the dates of a spreadsheet have no time zone

PHONE = 393123456789  # the example mobile number of libphonenumber for Italy


def cells(sheet: Sheet) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for chunk in sheet.chunks():
        assert all(dtype == pd.ArrowDtype(pa.string()) for dtype in chunk.cells.dtypes)
        found.update(zip(chunk.rows.tolist(), chunk.cells.itertuples(index=False, name=None), strict=True))
    return found


def hidden(sheet: Sheet) -> dict[int, int]:
    return {
        int(row): int(how)
        for chunk in sheet.chunks()
        for row, how in zip(chunk.rows, chunk.hidden, strict=True)
        if how
    }


def valueless(sheet: Sheet) -> set[tuple[int, str]]:
    return {cell for chunk in sheet.chunks() for cell in chunk.valueless}


def workbook(folder: Path, fill: Callable[[Worksheet], None], name: str = "campaign.xlsx") -> Path:
    book = openpyxl.Workbook()
    assert book.active is not None
    fill(book.active)
    path = folder / name
    book.save(path)
    return path


def table(rows: Sequence[Sequence[object]]) -> Callable[[Worksheet], None]:
    def fill(sheet: Worksheet) -> None:
        for row in rows:
            sheet.append(list(row))

    return fill


def rewrite(path: Path, part: str, change: Callable[[str], str]) -> Path:
    """The same package with one part changed: what other programs write and openpyxl cannot."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    before = parts[part].decode()
    parts[part] = change(before).encode()
    assert parts[part].decode() != before
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


SHEET1 = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (PHONE, "393123456789"),
        (3.93123456789e11, "393123456789"),
        ("+393123456789", "+393123456789"),
        ("00393123456789", "00393123456789"),
        ("0123", "0123"),
        (" 1.0 ", " 1.0 "),
        ("NA", "NA"),
        ("null", "null"),
        ("'=x", "'=x"),
        (12.5, "12,5"),
        (True, "vero"),
        (dt.date(2026, 12, 5), "05/12/2026"),
        (dt.datetime(2026, 12, 5, 9, 30), "05/12/2026 09:30"),
        (dt.time(9, 30), "09:30"),
        (dt.timedelta(hours=33, minutes=30), "33:30"),
        ("#N/A", "#N/A"),
        ("#REF!", "#REF!"),
        ("due\nrighe", "due\nrighe"),
    ],
)
def test_cells_of_an_xlsx(tmp_path: Path, value: object, text: str) -> None:
    path = workbook(tmp_path, table([["phone", "x"], ["a", value]]))
    assert cells(open_sheet(path)) == {2: ("a", text)}


def test_locale_and_1904_dates(tmp_path: Path) -> None:
    rows = [["a", "b", "c"], [12.5, dt.date(2026, 12, 5), dt.time(9, 30)]]
    path = workbook(tmp_path, table(rows))
    assert cells(open_sheet(path, locale=Locale.EN))[2] == ("12.5", "05/12/2026", "09:30")
    rewrite(path, "xl/workbook.xml", lambda xml: xml.replace("<workbookPr />", '<workbookPr date1904="1" />'))
    assert cells(open_sheet(path, locale=Locale.ES))[2] == ("12,5", "06/12/2030", "09:30")


def test_late_text_among_numbers_is_kept(tmp_path: Path) -> None:
    path = workbook(tmp_path, table([["phone"], *[[PHONE]] * 1999, *[["+393123456789"]] * 1001]))
    found = cells(open_sheet(path))
    assert len(found) == 3000
    assert found[2000] == ("393123456789",)
    assert found[2001] == found[3001] == ("+393123456789",)


def test_row_numbers_are_those_of_the_sheet(tmp_path: Path) -> None:
    def fill(sheet: Worksheet) -> None:
        sheet["B4"], sheet["C4"] = "nome", "tel"
        sheet["B6"], sheet["C6"] = "Ada", PHONE
        sheet["B9"] = "Ugo"
        for row in range(10, 40):  # styled, but blank
            sheet.cell(row, 2).font = openpyxl.styles.Font(bold=True)

    sheet = open_sheet(workbook(tmp_path, fill))
    assert (sheet.heading_row, sheet.headings) == (4, ("nome", "tel"))
    assert cells(sheet) == {6: ("Ada", "393123456789"), 9: ("Ugo", "")}


def test_the_first_visible_worksheet_or_the_one_asked_for(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for name, state in [
        ("Nascosto", "hidden"),
        ("Dati", "visible"),
        ("Altro", "visible"),
        ("Segreto", "veryHidden"),
    ]:
        sheet = book.create_sheet(name)
        sheet.sheet_state = state
        sheet.append(["where"])
        sheet.append([name])
    book.remove(book["Sheet"])
    book.active = 1
    book.save(tmp_path / "a.xlsx")
    first = open_sheet(tmp_path / "a.xlsx")
    assert (first.name, first.other_sheets) == ("Dati", ("Altro",))
    other = open_sheet(tmp_path / "a.xlsx", sheet="altro ")
    assert (other.name, other.other_sheets, cells(other)) == ("Altro", ("Dati",), {2: ("Altro",)})
    assert open_sheet(tmp_path / "a.xlsx", sheet="Nascosto").name == "Nascosto"


def test_hidden_rows(tmp_path: Path) -> None:
    def fill(sheet: Worksheet) -> None:
        table([["phone"], *[[f"r{i}"] for i in range(2, 11)]])(sheet)
        for row in (3, 5, 10):
            sheet.row_dimensions[row].hidden = True
        sheet.auto_filter.ref = "A1:A6"

    sheet = open_sheet(workbook(tmp_path, fill), chunk_rows=4)
    assert hidden(sheet) == {3: 2, 5: 2, 10: 1}
    assert len(cells(sheet)) == 9


def test_rows_hidden_by_the_filter_of_a_table(tmp_path: Path) -> None:
    def fill(sheet: Worksheet) -> None:
        table([["phone"], ["r2"], ["r3"], ["r4"]])(sheet)
        sheet.add_table(Table(displayName="T", ref="A1:A3"))
        for row in (3, 4):
            sheet.row_dimensions[row].hidden = True

    assert hidden(open_sheet(workbook(tmp_path, fill))) == {3: 2, 4: 1}


def _formula(result: str) -> Callable[[str], str]:
    return lambda xml: re.sub(r'<c r="B2"[^>]*><f>.*?</c>', result, xml)


@pytest.mark.parametrize(
    ("result", "text", "missing"),
    [
        ('<c r="B2" t="str"><f>A2</f><v>ciao</v></c>', "ciao", False),
        ('<c r="B2"><f>A2</f><v>393123456789</v></c>', "393123456789", False),
        ('<c r="B2" t="b"><f>A2</f><v>1</v></c>', "vero", False),
        ('<c r="B2" t="e"><f>A2</f><v>#N/A</v></c>', "#N/A", False),
        ('<c r="B2" t="str"><f>IF(A2="","",A2)</f><v></v></c>', "", False),
        ('<c r="B2"><f>A2</f><v></v></c>', "", True),
        ('<c r="B2"><f>A2</f><v/></c>', "", True),
        ('<c r="B2"><f>A2</f></c>', "", True),
        ('<c r="B2"><f t="shared" si="0"/></c>', "", True),
        # a library that does not compute stores 0 and asks for recalculation
        ('<c r="B2"><f>A2</f><v>0</v></c>', "0", True),
    ],
)
def test_formulas_give_their_stored_value_or_are_told(
    tmp_path: Path, result: str, text: str, missing: bool
) -> None:
    path = workbook(tmp_path, table([["phone", "text"], ["a", "=A2"]]))
    sheet = open_sheet(rewrite(path, SHEET1, _formula(result)))
    assert cells(sheet) == {2: ("a", text)}
    assert valueless(sheet) == ({(2, "text")} if missing else set())


def test_a_stored_zero_counts_when_the_program_computes(tmp_path: Path) -> None:
    path = workbook(tmp_path, table([["phone", "n"], ["a", "=A2"]]))
    rewrite(path, SHEET1, _formula('<c r="B2"><f>A2</f><v>0</v></c>'))
    rewrite(path, "xl/workbook.xml", lambda xml: xml.replace(' fullCalcOnLoad="1"', ""))
    assert valueless(open_sheet(path)) == set()


def test_rows_of_nothing_but_valueless_formulas_are_rows(tmp_path: Path) -> None:
    path = workbook(tmp_path, table([["phone", "text"], ["=X1", "=Y1"], ["=X2", "=Y2"]]))
    sheet = open_sheet(path)
    assert cells(sheet) == {2: ("", ""), 3: ("", "")}
    assert valueless(sheet) == {(row, column) for row in (2, 3) for column in ("phone", "text")}


def test_only_the_anchor_of_merged_cells_counts(tmp_path: Path) -> None:
    def fill(sheet: Worksheet) -> None:
        table([["a", "b", "c"], ["x", "", "1"], ["", "", "2"], ["u", "v", "3"]])(sheet)
        sheet.merge_cells("A2:B3")

    path = workbook(tmp_path, fill)
    leftover = '<c r="B3" t="inlineStr"><is><t>ghost</t></is></c>'
    rewrite(path, SHEET1, lambda xml: re.sub(r'(<row r="3"[^>]*>)', rf"\1{leftover}", xml))
    assert cells(open_sheet(path)) == {2: ("x", "", "1"), 3: ("", "", "2"), 4: ("u", "v", "3")}


def test_other_writers_of_xlsx(tmp_path: Path) -> None:
    """Without cell references, or with a namespace prefix: legal, and hidden rows and errors are still found."""

    def fill(sheet: Worksheet) -> None:
        table([["a", "b"], ["x", "#N/A"], ["y", "=A1"]])(sheet)
        sheet.row_dimensions[2].hidden = True

    def prefixed(xml: str) -> str:
        return re.sub(r"<(/?)(\w)", r"<\1x:\2", xml).replace("xmlns=", "xmlns:x=")

    for change in (prefixed, lambda xml: re.sub(r'<(row|c) r="\w+"', r"<\1", xml)):
        sheet = open_sheet(rewrite(workbook(tmp_path, fill), SHEET1, change))
        assert cells(sheet) == {2: ("x", "#N/A"), 3: ("y", "")}
        assert hidden(sheet) == {2: 1}
        assert valueless(sheet) == {(3, "b")}


def test_rich_text_and_macros(tmp_path: Path) -> None:
    path = workbook(tmp_path, table([["a"], ["placeholder"]]), "campaign.xlsm")
    rich = '<c r="A2" t="inlineStr"><is><r><t>per</t></r><r><t xml:space="preserve"> te </t></r></is></c>'
    rewrite(path, SHEET1, lambda xml: re.sub(r'<c r="A2".*?</c>', rich, xml))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"\0")
    sheet = open_sheet(path)
    assert sheet.kind is SheetKind.XLSM
    assert cells(sheet) == {2: ("per te ",)}


def test_report_columns_and_blank_columns_are_left_out(tmp_path: Path) -> None:
    rows = [
        ["phone", None, " Nome ", "SMS_status", "sms_parts"],
        [PHONE, None, "Ada", "accepted", 1],
        [None, None, None, "", 2],
    ]
    sheet = open_sheet(workbook(tmp_path, table(rows)))
    assert sheet.headings == ("phone", "Nome")
    assert cells(sheet) == {2: ("393123456789", "Ada")}


def test_chunks_of_a_workbook(tmp_path: Path) -> None:
    path = workbook(tmp_path, table([["n"], *[[i] for i in range(2, 12)]]))
    sheet = open_sheet(path, chunk_rows=4)
    assert [chunk.rows.tolist() for chunk in sheet.chunks()] == [[2, 3, 4, 5], [6, 7, 8, 9], [10, 11]]
    assert all(chunk.rows.dtype == np.int64 and chunk.hidden.dtype == np.int8 for chunk in sheet.chunks())
    assert cells(sheet) == cells(sheet)


# --- .xls -----------------------------------------------------------------------------------------------------


class StringFormula:
    """A formula cell with a stored text, which xlwt cannot write: FORMULA, then STRING."""

    def __init__(self, row: int, column: int, text: str) -> None:
        self._position, self._text = (row, column), text

    def get_biff_data(self) -> bytes:
        constant = b"\x17\x01\x00x"  # the formula ="x"
        result = b"\x00" * 6 + b"\xff\xff"
        formula = (
            struct.pack("<HHH", *self._position, 0x0F)
            + result
            + struct.pack("<HIH", 0, 0, len(constant))
            + constant
        )
        text = struct.pack("<HB", len(self._text), 1) + self._text.encode("utf-16-le")
        return struct.pack("<HH", 6, len(formula)) + formula + struct.pack("<HH", 0x207, len(text)) + text


def test_cells_and_hidden_rows_of_an_xls(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    book.add_sheet("Nascosto").visibility = 1
    sheet = book.add_sheet("Dati")
    book.active_sheet = 1
    values: list[tuple[object, str, str]] = [
        (PHONE, "General", "393123456789"),
        ("0039", "General", "0039"),
        (12.5, "General", "12,5"),
        (True, "General", "vero"),
        (dt.date(2026, 12, 5), "dd/mm/yyyy", "05/12/2026"),
        (dt.datetime(2026, 12, 5, 9, 30), "dd/mm/yyyy hh:mm", "05/12/2026 09:30"),
        (dt.time(9, 30), "hh:mm", "09:30"),
        (1.3958333333333333, "[h]:mm", "33:30"),
    ]
    sheet.write(2, 1, "x")
    for row, (value, form, _) in enumerate(values, 4):
        sheet.write(row, 1, value, xlwt.easyxf(num_format_str=form))
    sheet.row(12).set_cell_error(1, 42)
    sheet.row(13).insert_cell(1, StringFormula(13, 1, "perché"))
    sheet.row(6).hidden = True
    path = tmp_path / "campaign.xls"
    book.save(str(path))

    opened = open_sheet(path)
    assert (opened.kind, opened.name, opened.heading_row, opened.headings) == (
        SheetKind.XLS,
        "Dati",
        3,
        ("x",),
    )
    expected = {row: (text,) for row, (_, _, text) in enumerate(values, 5)}
    assert cells(opened) == expected | {13: ("#N/A",), 14: ("perché",)}
    assert hidden(opened) == {7: 1}


class FilteredWorkbook(xlwt.Workbook):
    """An .xls with a filter over A1:B3 of its first worksheet: the hidden name Excel keeps, which xlwt lacks."""

    def _Workbook__all_links_rec(self) -> bytes:  # noqa: N802 - the hook of xlwt
        area = struct.pack("<BHHHHH", 0x3B, 0, 0, 2, 0, 1)
        name = struct.pack("<HBBHHHI", 0x21, 0, 1, len(area), 0, 1, 0) + b"\x00\x0d" + area
        links: bytes = super()._Workbook__all_links_rec()  # type: ignore[misc]
        return links + struct.pack("<HH", 0x18, len(name)) + name


def test_rows_hidden_by_a_filter_in_an_xls(tmp_path: Path) -> None:
    book = FilteredWorkbook()
    sheet = book.add_sheet("Dati")
    for row, text in enumerate(["a", "x", "y", "z"]):
        sheet.write(row, 0, text)
        sheet.row(row).hidden = row in (2, 3)
    book.add_sheet("Altro").write(
        0, 0, xlwt.Formula("Dati!A1")
    )  # makes xlwt write the table the name refers to
    book.save(str(tmp_path / "a.xls"))
    assert hidden(open_sheet(tmp_path / "a.xls")) == {3: 2, 4: 1}


# --- .ods -----------------------------------------------------------------------------------------------------

ODS_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"
 xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0" office:version="1.3">
<office:automatic-styles><style:style style:name="off" style:family="table">
<style:table-properties table:display="false"/></style:style></office:automatic-styles>
<office:body><office:spreadsheet>"""
ODS_TAIL = "</office:spreadsheet></office:body></office:document-content>"


def ods(folder: Path, rows: str, extra: str = "") -> Path:
    path = folder / "campaign.ods"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", kind)
        archive.writestr("META-INF/manifest.xml", manifest)
        archive.writestr(
            "content.xml", f'{ODS_HEAD}{extra}<table:table table:name="Dati">{rows}</table:table>{ODS_TAIL}'
        )
    return path


def ods_value(kind: str, attributes: str, shown: str) -> str:
    return f'<table:table-cell office:value-type="{kind}" {attributes}><text:p>{shown}</text:p></table:table-cell>'


def ods_text(text: str) -> str:
    return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'


def ods_row(*row: str, attributes: str = "") -> str:
    return f"<table:table-row {attributes}>{''.join(row)}</table:table-row>"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (ods_value("float", 'office:value="393123456789"', "3,93E+11"), "393123456789"),
        (ods_text("0039"), "0039"),
        (ods_value("date", 'office:date-value="2026-12-05"', "5 dic"), "05/12/2026"),
        (ods_value("date", 'office:date-value="2026-12-05T09:30:00"', "5 dic"), "05/12/2026 09:30"),
        (ods_value("time", 'office:time-value="PT09H30M00S"', "9.30"), "09:30"),
        (ods_value("boolean", 'office:boolean-value="true"', "VERO"), "vero"),
        (ods_value("currency", 'office:value="12.5" office:currency="EUR"', "12,50 €"), "12,5"),
        (ods_value("string", 'office:string-value="" calcext:value-type="error"', "#N/A"), "#N/A"),
    ],
)
def test_cells_of_an_ods(tmp_path: Path, cell: str, text: str) -> None:
    path = ods(tmp_path, ods_row(ods_text("a"), ods_text("b")) + ods_row(ods_text("x"), cell))
    sheet = open_sheet(path)
    assert sheet.kind is SheetKind.ODS
    assert cells(sheet) == {2: ("x", text)}
    assert valueless(sheet) == set()


def test_repeated_hidden_and_valueless_rows_of_an_ods(tmp_path: Path) -> None:
    repeated = 'table:number-{}-repeated="{}"'
    blank, many = "<table:table-cell/>", f"<table:table-cell {repeated.format('columns', 16384)}/>"
    rows = [
        ods_row(blank, attributes=repeated.format("rows", 2)),
        ods_row(blank, ods_text("a"), ods_text("b")),
        ods_row(blank, ods_text("x"), '<table:table-cell table:formula="of:=1+1"/>'),
        ods_row(many),
        ods_row(
            blank,
            ods_text("y"),
            ods_text("1"),
            attributes='table:visibility="collapse" ' + repeated.format("rows", 2),
        ),
        ods_row(blank, ods_text("z"), ods_text("2"), attributes='table:visibility="filter"'),
        ods_row(many, attributes=repeated.format("rows", 1048568)),
    ]
    first = (
        f'<table:table table:name="Nascosto" table:style-name="off">{ods_row(ods_text("q"))}</table:table>'
    )
    sheet = open_sheet(ods(tmp_path, "".join(rows), first))
    assert (sheet.name, sheet.heading_row) == ("Dati", 3)
    assert cells(sheet) == {4: ("x", ""), 6: ("y", "1"), 7: ("y", "1"), 8: ("z", "2")}
    assert hidden(sheet) == {6: 1, 7: 1, 8: 2}
    assert valueless(sheet) == {(4, "b")}


def test_text_under_a_merged_cell_of_an_ods_is_not_read(tmp_path: Path) -> None:
    covered = '<table:covered-table-cell office:value-type="string"><text:p>ghost</text:p></table:covered-table-cell>'
    anchor = ods_value("string", 'table:number-columns-spanned="2"', "x")
    path = ods(tmp_path, ods_row(ods_text("a"), ods_text("b")) + ods_row(anchor, covered))
    assert cells(open_sheet(path)) == {2: ("x", "")}
