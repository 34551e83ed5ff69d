"""A new workbook where the user's cannot be extended."""

from __future__ import annotations

import zipfile
from datetime import date, datetime, time, timedelta

import pytest
import xlwt
from openpyxl import Workbook, load_workbook

from dispatcher.report import COLUMNS
from dispatcher.wording import LANGUAGES, Wording


@pytest.fixture
def xls(tmp_path):
    book = xlwt.Workbook()
    other = book.add_sheet("Prima")
    other.write(0, 0, "not this one")
    sheet = book.add_sheet("Clienti")
    day = xlwt.easyxf(num_format_str="DD/MM/YYYY")
    for column, value in enumerate(["Nome", "Telefono", "Quando", "Vero", "Euro"]):
        sheet.write(1, column + 1, value)
    sheet.write(2, 1, "=1+1 è <b>")
    sheet.write(2, 2, 393123456789)
    sheet.write(2, 3, datetime(2026, 12, 1), day)  # noqa: DTZ001
    sheet.write(2, 4, True)
    sheet.write(2, 5, 1.5)
    sheet.write(4, 1, "Bea")
    path = tmp_path / "a.xls"
    book.save(path)
    return path


def test_xls_becomes_a_new_xlsx_with_every_value_where_it_was(tmp_path, write, answer, xls):
    written = write(xls, [answer(3), answer(5)], tmp_path / "r.xlsx", sheet_name="Clienti", heading_row=2)
    assert (written.how, written.why_rebuilt) == ("rebuilt", "old_format")
    book = load_workbook(written.target)
    sheet = book["Clienti"]
    assert [cell.value for cell in sheet[2]] == [None, "Nome", "Telefono", "Quando", "Vero", "Euro", *COLUMNS]
    values = [cell.value for cell in sheet[3]]
    assert values[1:6] == ["=1+1 è <b>", 393123456789, datetime(2026, 12, 1), True, 1.5]  # noqa: DTZ001
    assert sheet["B3"].data_type == "s"
    assert sheet["D3"].number_format == "mm-dd-yy"
    assert values[6:9] == ["delivered", None, "+393123456789"]
    assert (values[13], values[14]) == (2, 0.104)
    assert [cell.value for cell in sheet[4]] == [None] * 20
    assert (sheet["B5"].value, sheet["G5"].value) == ("Bea", "delivered")


def test_ods_too(tmp_path, write, answer):
    path = tmp_path / "a.ods"
    names = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text")
    )
    rows = [["Nome", "Telefono"], ["Però", "+393123456789"]]
    cells = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{v}</text:p></table:table-cell>'
            for v in row
        )
        + "</table:table-row>"
        for row in rows
    )
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        package.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        )
        package.writestr(
            "content.xml",
            f"<office:document-content{names}><office:body><office:spreadsheet>"
            f'<table:table table:name="Uno/Due: un nome piuttosto lungo per Excel">{cells}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    name = "Uno/Due: un nome piuttosto lungo per Excel"
    written = write(path, [answer(2)], tmp_path / "r.xlsx", sheet_name=name)
    sheet = load_workbook(written.target).active
    assert sheet.title == "Uno_Due_ un nome piuttosto lung"
    assert list(sheet.values)[1][:3] == ("Però", "+393123456789", "delivered")


def protected(path, rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.active.protection.sheet = True
    book.save(path)
    return path


def test_every_kind_of_value_stays_what_it_is(tmp_path, write, answer):
    moments = [
        datetime(2026, 3, 29, 9, 30),  # noqa: DTZ001
        date(2026, 3, 29),
        time(9, 30),
        timedelta(hours=30),
        date(1900, 1, 5),  # Excel's calendar is wrong here: written as text
    ]
    source = protected(tmp_path / "a.xlsx", [["tel", *"abcde"], ["1", *moments]])
    written = write(source, [answer(2)], tmp_path / "r.xlsx")
    assert written.why_rebuilt == "sheet_protected"
    row = list(load_workbook(written.target).active.values)[1]
    assert row[1:5] == (datetime(2026, 3, 29, 9, 30), datetime(2026, 3, 29), time(9, 30), timedelta(hours=30))  # noqa: DTZ001
    assert "1900-01-0" in str(row[5])


def test_macros_are_gone_but_an_xlsm_may_keep_its_name(tmp_path, write, answer):
    source = protected(tmp_path / "a.xlsm", [["tel"], ["1"]])
    written = write(source, [answer(2)], tmp_path / "r.xlsm")
    with zipfile.ZipFile(written.target) as package:
        assert b"macroEnabled.main+xml" in package.read("[Content_Types].xml")
    assert load_workbook(written.target).active["B2"].value == "delivered"


def test_an_earlier_reports_columns_are_used_again(tmp_path, write, answer):
    source = protected(tmp_path / "a.xlsx", [["sms_status", "tel"], ["old", "1"], ["old", "2"]])
    rows = list(load_workbook(write(source, [answer(2)], tmp_path / "r.xlsx").target).active.values)
    assert rows[0][:3] == ("sms_status", "tel", "sms_reason")
    assert [row[:2] for row in rows[1:]] == [("delivered", "1"), (None, "2")]


def test_without_room_to_the_right_ours_stand_on_their_own_sheet(tmp_path, write, answer):
    book = Workbook()
    book.active.append(["tel"])
    book.active.append(["1"])
    book.active["XFC2"] = "far out"
    book.save(tmp_path / "a.xlsx")
    written = write(tmp_path / "a.xlsx", [answer(2)], tmp_path / "r.xlsx")
    assert (written.how, written.why_rebuilt) == ("rebuilt", "too_many_columns")
    book = load_workbook(written.target)
    assert (book["Sheet"]["A2"].value, book["Sheet"]["XFC2"].value) == ("1", "far out")
    assert next(iter(book["dispatcher"].values)) == COLUMNS
    assert book["dispatcher"]["A2"].value == "delivered"


@pytest.mark.parametrize(
    "why",
    [
        "old_format",
        "sheet_protected",
        "workbook_signed",
        "too_many_columns",
        "formula_in_report_columns",
        "sheet_unusual",
    ],
)
def test_every_reason_has_its_words(why):
    assert len({Wording(language)(f"rebuilt.{why}") for language in LANGUAGES}) == 3
