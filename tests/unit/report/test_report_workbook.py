"""The user's own workbook comes back: our columns in it, everything else as it was."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.table import Table

from dispatcher.report import COLUMNS

SHEET = "xl/worksheets/sheet1.xml"


def rich_workbook(path: Path) -> Path:
    book = Workbook()
    sheet = book.active
    sheet.title = "Clienti"
    sheet.append(["Nome", "Telefono", "Testo"])
    for n in range(2, 12):
        sheet.append([f"Anna {n}", f"+39312345678{n % 10}", f"Ciao & <{n}>"])
    sheet["D1"] = "Somma"
    sheet["D2"] = "=SUM(1,2)"
    sheet["A1"].font = Font(bold=True, color="FF0000")
    sheet["D1"].font = Font(bold=True)
    sheet["B3"].fill = PatternFill("solid", fgColor="FFFF00")
    sheet["A4"].comment = Comment("ricordati", "io")
    sheet.merge_cells("A20:C20")
    sheet["A20"] = "totale"
    sheet.auto_filter.ref = "A1:D11"
    sheet.freeze_panes = "A2"
    sheet.add_data_validation(DataValidation(type="list", formula1='"a,b"', sqref="C2:C5"))
    sheet.conditional_formatting.add(
        "A2:A9", CellIsRule(operator="equal", formula=['"x"'], font=Font(bold=True))
    )
    sheet.add_table(Table(displayName="Clienti1", ref="A1:D11"))
    other = book.create_sheet("Altro")
    other["A1"] = "=Clienti!A2"
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=4, min_row=1, max_row=3))
    other.add_chart(chart, "C3")
    book.save(path)
    return path


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        return {name: package.read(name) for name in package.namelist()}


def headings(path: Path, row: int = 1) -> list[object]:
    return [cell.value for cell in load_workbook(path).worksheets[0][row]]


def test_only_the_sheet_changes_and_the_rest_keeps_its_bytes(tmp_path, write, answer):
    source = rich_workbook(tmp_path / "a.xlsx")
    written = write(
        source, [answer(n) for n in range(2, 12)], tmp_path / "a.report.xlsx", sheet_name="Clienti"
    )

    before, after = parts(source), parts(written.target)
    assert (written.how, written.why_rebuilt) == ("extended", None)
    assert list(before) == list(after)
    assert [name for name in before if before[name] != after[name]] == [SHEET]
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(written.target) as new:
        for info in old.infolist():
            if info.filename != SHEET:
                copied = new.getinfo(info.filename)
                assert (copied.CRC, copied.compress_size, copied.date_time) == (
                    info.CRC,
                    info.compress_size,
                    info.date_time,
                )


def test_openpyxl_finds_the_users_things_and_ours(tmp_path, write, answer):
    source = rich_workbook(tmp_path / "a.xlsx")
    written = write(
        source, [answer(n) for n in range(2, 12)], tmp_path / "a.report.xlsx", sheet_name="Clienti"
    )

    book = load_workbook(written.target)
    sheet = book["Clienti"]
    old = load_workbook(source)["Clienti"]
    assert book.sheetnames == ["Clienti", "Altro"]
    assert book["Altro"]["A1"].value == "=Clienti!A2"
    assert len(book["Altro"]._charts) == 1
    assert sheet["D2"].value == "=SUM(1,2)"
    assert sheet["B3"].fill.fgColor.rgb == "00FFFF00"
    assert sheet["A4"].comment.text == "ricordati"
    assert [str(r) for r in sheet.merged_cells.ranges] == ["A20:C20"]
    assert (sheet.auto_filter.ref, sheet.freeze_panes) == ("A1:D11", "A2")
    assert sheet.tables["Clienti1"].ref == "A1:D11"
    assert len(sheet.data_validations.dataValidation) == 1
    assert len(sheet.conditional_formatting) == 1
    for row in old.iter_rows():
        for cell in row:
            assert sheet[cell.coordinate].value == cell.value
            assert sheet[cell.coordinate].style_id == cell.style_id
    ours = [cell.value for cell in sheet[3][4:]]
    assert [cell.value for cell in sheet[1][4:]] == list(COLUMNS)
    assert ours == [
        "delivered", None, "+393123456789", "IT", "IT", "Studio", "GSM-7", 2, 0.104, 0.104, "id3",
        "2026-12-01 09:00:05", "2026-12-01 09:00:05", None,
    ]  # fmt: skip
    assert sheet["E1"].font.bold  # our headings look like the user's last one
    assert sheet.dimensions == "A1:R20"


def test_macros_stay(tmp_path, write, answer):
    source = rich_workbook(tmp_path / "a.xlsx")
    target = tmp_path / "m.xlsm"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0 macros \x00\xff" * 99)
    written = write(target, [answer(2)], tmp_path / "m.report.xlsm")
    assert parts(written.target)["xl/vbaProject.bin"] == parts(target)["xl/vbaProject.bin"]


def test_a_package_written_as_a_stream_is_copied_too(tmp_path, write, answer):
    """Data descriptors: sizes and checksums stand behind the data, not in the local header."""
    source = rich_workbook(tmp_path / "a.xlsx")
    streamed = tmp_path / "streamed.xlsx"

    class Pipe:
        def __init__(self, file):
            self.write, self.flush = file.write, file.flush

    with (
        zipfile.ZipFile(source) as old,
        streamed.open("wb") as file,
        zipfile.ZipFile(Pipe(file), "w", 8) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with zipfile.ZipFile(streamed) as package:
        assert all(info.flag_bits & 8 for info in package.infolist())
    written = write(streamed, [answer(2)], tmp_path / "r.xlsx")
    before, after = parts(streamed), parts(written.target)
    assert {name for name in before if before[name] != after[name]} == {SHEET}


def test_an_earlier_report_is_replaced_in_place(tmp_path, write, answer):
    source = rich_workbook(tmp_path / "a.xlsx")
    first = write(source, [answer(n) for n in range(2, 12)], tmp_path / "first.xlsx")
    book = load_workbook(first.target)  # saving turns our inline strings into shared ones
    book.worksheets[0]["S1"] = "note"
    book.worksheets[0]["S3"] = "richiamare"
    book.worksheets[0]["E3"].fill = PatternFill("solid", fgColor="00FF00")
    book.save(tmp_path / "edited.xlsx")

    second = write(tmp_path / "edited.xlsx", [answer(2)], tmp_path / "second.xlsx")

    sheet = load_workbook(second.target).worksheets[0]
    assert [cell.value for cell in sheet[1]] == ["Nome", "Telefono", "Testo", "Somma", *COLUMNS, "note"]
    assert sheet["E2"].value == "delivered"
    assert [cell.value for cell in sheet[3][4:]] == [None] * 14 + ["richiamare"]
    assert sheet["E3"].fill.fgColor.rgb == "0000FF00"


def test_writing_a_report_again_changes_nothing(tmp_path, write, answer):
    source = rich_workbook(tmp_path / "a.xlsx")
    rows = [answer(n) for n in range(2, 12)]
    first = write(source, rows, tmp_path / "1.xlsx")
    second = write(first.target, rows, tmp_path / "2.xlsx")
    assert parts(first.target) == parts(second.target)


def test_some_of_our_columns_survive_elsewhere(tmp_path, write, answer):
    book = Workbook()
    book.active.append(["SMS_Status ", "Telefono", "sms_parts", "sms_status"])
    book.active.append(["old", "+393123456789", 9, "older"])
    book.active.append(["old", "+393123456789", 9, "older"])
    book.save(tmp_path / "a.xlsx")
    written = write(tmp_path / "a.xlsx", [answer(2)], tmp_path / "r.xlsx")
    rows = list(load_workbook(written.target).active.iter_rows(values_only=True))
    missing = [name for name in COLUMNS if name not in ("sms_status", "sms_parts")]
    assert rows[0] == ("SMS_Status ", "Telefono", "sms_parts", None, *missing)
    assert rows[1][:4] == ("delivered", "+393123456789", 2, None)
    assert rows[2] == (None, "+393123456789", *[None] * 14)


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        " spaces ",
        "a\nb",
        "<&>\"'",
        "\x00\x1f",
        "_x0041_",
        "\r",
        "é€😀",
        "\ud800",
        "\uffff",
        "x" * 40_000,
    ],
)
def test_any_text_makes_a_workbook_that_opens(tmp_path, write, answer, text):
    book = Workbook()
    book.active.append(["Telefono"])
    book.active.append(["+393123456789"])
    book.save(tmp_path / "a.xlsx")

    written = write(tmp_path / "a.xlsx", [answer(2)._replace(reason=text)], tmp_path / "r.xlsx")
    cell = load_workbook(written.target).active["C2"]
    special = {"\x00\x1f": "_x0000__x001F_", "_x0041_": "_x005F_x0041_", "\r": "_x000D_"}
    special |= {"\ud800": "_xD800_", "\uffff": "_xFFFF_"}
    assert cell.data_type == "s"
    assert cell.value == special.get(text, text[:32_767])


def test_headings_further_down_and_merged_titles(tmp_path, write, answer):
    book = Workbook()
    sheet = book.active
    sheet["B2"] = "Campagna"
    sheet.merge_cells("B2:K2")  # above the heading: does not push our columns to L
    sheet["B4"], sheet["C4"] = "Telefono", "Testo"
    sheet["B5"], sheet["C5"] = "+393123456789", "ciao"
    sheet.merge_cells("C7:F7")  # below: our columns stay clear of it
    book.save(tmp_path / "a.xlsx")
    written = write(tmp_path / "a.xlsx", [answer(5)], tmp_path / "r.xlsx", heading_row=4)
    sheet = load_workbook(written.target).active
    assert (sheet["G4"].value, sheet["T4"].value, sheet["G5"].value) == (COLUMNS[0], COLUMNS[-1], "delivered")


def test_rows_out_of_order_are_refused_and_leave_nothing(tmp_path, write, answer):
    source = rich_workbook(tmp_path / "a.xlsx")
    for rows in ([answer(3), answer(2)], [answer(2), answer(2)], [answer(1)]):
        with pytest.raises(ValueError, match="comes after"):
            write(source, rows, tmp_path / "r.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.xlsx"]
