"""Worksheets as other programs write them: allowed by the standard, seen rarely."""

from __future__ import annotations

import xml.dom.minidom
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from dispatcher.report import COLUMNS

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
HEAD = f'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="{MAIN}">'
DATA = (
    '<row r="1"><c r="A1" t="inlineStr"><is><t>tel</t></is></c></row>'
    '<row r="2"><c r="A2" t="inlineStr"><is><t>1</t></is></c></row>'
)


def sheet_xml(path):
    with zipfile.ZipFile(path) as package:
        xml.dom.minidom.parseString(package.read("xl/worksheets/sheet1.xml"))  # well-formed
        return package.read("xl/worksheets/sheet1.xml").decode()


def values(path):
    return list(load_workbook(path).worksheets[0].iter_rows(values_only=True))


def in_order(xml_text):
    """Every row's cells stand in ascending columns and rows in ascending numbers, as Excel demands."""
    document = xml.dom.minidom.parseString(xml_text)
    rows = [node for node in document.documentElement.getElementsByTagName("*") if node.localName == "row"]
    numbers = [int(row.getAttribute("r")) for row in rows if row.getAttribute("r")]
    assert numbers == sorted(set(numbers))
    for row in rows:
        names = [cell.getAttribute("r") for cell in row.childNodes if getattr(cell, "localName", "") == "c"]
        columns = [(len(name.rstrip("0123456789")), name.rstrip("0123456789")) for name in names if name]
        assert columns == sorted(set(columns))


@pytest.mark.parametrize(
    "sheet",
    [
        pytest.param(f"{HEAD}<sheetData>{DATA}</sheetData></worksheet>", id="plain"),
        pytest.param(
            f"{HEAD}<sheetData><row><c t='inlineStr'><is><t>tel</t></is></c></row>"
            "<row><c t='inlineStr'><is><t>1</t></is></c></row></sheetData></worksheet>",
            id="no names at all",
        ),
        pytest.param(
            f"{HEAD}<sheetData>\n <row\n r='1' spans='1:1' >\n"
            "  <c\tt='inlineStr' r='A1'><is><t>tel</t></is></c >\n </row >"
            "<row r='2' customFormat='1'>\n<c t='inlineStr'\nr='A2'><is><t>1</t></is></c>\n</row>\n"
            "</sheetData ></worksheet>",
            id="white space and single quotes",
        ),
        pytest.param(
            f'<x:worksheet xmlns:x="{MAIN}"><x:dimension ref="A1"/><x:sheetData>'
            + DATA.replace("</", "</x:")
            .replace("<r", "<x:r")
            .replace("<c", "<x:c")
            .replace("<i", "<x:i")
            .replace("<t>", "<x:t>")
            + "</x:sheetData></x:worksheet>",
            id="prefix",
        ),
        pytest.param(
            f"<?xml version='1.0'?><!-- <worksheet><sheetData> by hand -->{HEAD.split('?>')[1]}"
            f"<!-- <sheetData> --><sheetData>{DATA}</sheetData><!-- end --></worksheet>",
            id="comments around",
        ),
        pytest.param(
            f'{HEAD}<sheetData>{DATA}<row r="7"/><row r="8" ht="20" customHeight="1"></row>'
            "</sheetData></worksheet>",
            id="empty rows",
        ),
        pytest.param(
            f"{HEAD}<sheetData>"
            + DATA.replace("</row>", '<c r="B1" s="0"/><c r="E1" s="0"></c></row>', 1)
            + "</sheetData></worksheet>",
            id="formatted empty cells where ours go",
        ),
        pytest.param("\ufeff" + f"{HEAD}<sheetData>{DATA}</sheetData></worksheet>", id="byte order mark"),
        pytest.param(
            f"{HEAD}<sheetData>{DATA}</sheetData></worksheet>".replace("UTF-8", "UTF-16").encode("utf-16"),
            id="utf-16",
        ),
        pytest.param(
            f"{HEAD}<sheetData>{DATA}</sheetData></worksheet>".replace("UTF-8", "ISO-8859-1").encode(
                "latin-1"
            ),
            id="latin-1",
        ),
    ],
)
def test_odd_but_legal(package, write, answer, tmp_path, sheet):
    written = write(package(sheet), [answer(2)], tmp_path / "r.xlsx")
    assert (written.how, written.why_rebuilt) == ("extended", None)
    in_order(sheet_xml(written.target))
    rows = values(written.target)
    assert rows[0] == ("tel", *COLUMNS)
    assert rows[1][:4] == ("1", "delivered", None, "+393123456789")


@pytest.mark.parametrize("data", ["<sheetData/>", "<sheetData />", "<sheetData></sheetData>"])
def test_rows_that_are_not_there_are_made(package, write, answer, tmp_path, data):
    written = write(
        package(f"{HEAD}{data}<pageMargins/></worksheet>"), [answer(3), answer(5)], tmp_path / "r.xlsx"
    )
    text = sheet_xml(written.target)
    in_order(text)
    assert [(row[0], row[10]) for row in values(written.target)] == [
        (COLUMNS[0], COLUMNS[10]), (None, None), ("delivered", "id3"), (None, None), ("delivered", "id5"),
    ]  # fmt: skip
    assert text.endswith("<pageMargins/></worksheet>")


def test_spans_that_would_lie_are_dropped_and_the_dimension_grows(package, write, answer, tmp_path):
    sheet = f'{HEAD}<dimension ref="A1:A2"/><sheetData>{DATA}</sheetData></worksheet>'.replace(
        '<row r="2"', '<row r="2" spans="1:1"'
    )
    text = sheet_xml(write(package(sheet), [answer(2)], tmp_path / "r.xlsx").target)
    assert "spans" not in text
    assert '<dimension ref="A1:O2"/>' in text


def test_what_follows_the_cells_of_a_row_stays_behind_them(package, write, answer, tmp_path):
    sheet = f"{HEAD}<sheetData>{DATA}</sheetData></worksheet>".replace("</row>", "<extLst/></row>")
    text = sheet_xml(write(package(sheet), [answer(2)], tmp_path / "r.xlsx").target)
    assert text.count("</c><extLst/></row>") == 2


def test_headings_from_shared_strings_with_rich_text_and_phonetics(package, write, answer, tmp_path):
    strings = (
        f'<sst xmlns="{MAIN}"><si><t>tel</t></si><si><r><t>sms_</t></r><r><rPr><b/></rPr><t>status</t></r>'
        "<rPh sb='0' eb='1'><t>no</t></rPh></si><si><t>unused</t></si></sst>"
    )
    sheet = (
        f'{HEAD}<sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
        '<row r="2"><c r="A2"><v>5</v></c><c r="B2" t="s"><v>2</v></c></row></sheetData></worksheet>'
    )
    written = write(package(sheet, strings=strings), [answer(2)], tmp_path / "r.xlsx")
    rows = values(written.target)
    assert rows[0] == ("tel", *COLUMNS)
    assert rows[1][:2] == (5, "delivered")


@pytest.mark.parametrize(
    ("sheet", "why"),
    [
        (
            f'{HEAD}<sheetData>{DATA}</sheetData><sheetProtection password="CC" sheet="1"/></worksheet>',
            "sheet_protected",
        ),
        (
            f'{HEAD}<sheetData>{DATA}<row r="3"><c r="XFD3"><v>1</v></c></row></sheetData></worksheet>',
            "too_many_columns",
        ),
        (f'{HEAD}<sheetData>{DATA}<!-- <row r="3"/> --></sheetData></worksheet>', "sheet_unusual"),
        (
            f"{HEAD}<sheetData>{DATA.replace('<t>1</t>', '<t><![CDATA[<c ]]></t>')}</sheetData></worksheet>",
            "sheet_unusual",
        ),
        (
            f"{HEAD}<sheetData>{DATA.replace('tel', 'sms_status')}</sheetData></worksheet>".replace(
                '<c r="A2" t="inlineStr"><is><t>1</t></is></c>', '<c r="A2"><f>1+1</f><v>2</v></c>'
            ),
            "formula_in_report_columns",
        ),
    ],
)
def test_what_cannot_be_extended_is_rebuilt_and_says_why(package, write, answer, tmp_path, sheet, why):
    written = write(package(sheet), [answer(2)], tmp_path / "r.xlsx")
    assert (written.how, written.why_rebuilt) == ("rebuilt", why)
    assert "delivered" in {
        value for sheet in load_workbook(written.target) for row in sheet.values for value in row
    }


def test_an_unprotected_sheet_may_still_remember_a_protection(package, write, answer, tmp_path):
    sheet = f'{HEAD}<sheetData>{DATA}</sheetData><sheetProtection sheet="0" objects="1"/></worksheet>'
    assert write(package(sheet), [answer(2)], tmp_path / "r.xlsx").how == "extended"


def test_a_signed_workbook_is_rebuilt(package, write, answer, tmp_path):
    made = package(
        f"{HEAD}<sheetData>{DATA}</sheetData></worksheet>", extra={"_xmlsignatures/sig1.xml": "<s/>"}
    )
    assert write(made, [answer(2)], tmp_path / "r.xlsx").why_rebuilt == "workbook_signed"


def test_marks_are_found_wherever_the_blocks_are_cut(package, write, answer, tmp_path):
    """Rows longer than what is read at once, and marks across the borders of the blocks."""
    long = "x" * 30_000
    rows = "".join(
        f'<row r="{n}">'
        + "".join(f'<c r="{c}{n}" t="inlineStr"><is><t>{long}</t></is></c>' for c in "ABCDEFGHIJKL")
        + "</row>"
        for n in range(3, 9)
    )
    merges = "".join(f'<mergeCell ref="A{n}:B{n}"/>' for n in range(20, 20_000))
    tail = f"<mergeCells>{merges}<mergeCell ref='A9:Z9'/></mergeCells>"
    made = package(f"{HEAD}<sheetData>{DATA}{rows}</sheetData>{tail}</worksheet>")
    written = write(made, [answer(n) for n in range(2, 9)], tmp_path / "r.xlsx")
    text = sheet_xml(written.target)
    in_order(text)
    assert text.count(">delivered<") == 7
    assert '<c r="AA2" t="inlineStr"><is><t>delivered' in text  # right of the merged A9:Z9
    assert text.count(long) == 72


cells = st.sampled_from(
    [
        "",
        "<c/>",
        '<c r="{n}"/>',
        '<c r="{n}"><v>1</v></c>',
        '<c s="0" r="{n}"><v>2</v></c >',
        "<c><v>3</v></c>",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    grid=st.lists(st.lists(cells, max_size=5), min_size=1, max_size=6),
    answered=st.sets(st.integers(2, 8)),
    named=st.booleans(),
)
def test_the_users_cells_are_where_they_were(package, write, answer, tmp_path, grid, answered, named):
    data = ""
    for number, row in enumerate(grid, 1):
        data += f'<row r="{number}">' if named else "<row>"
        position = 0
        for column, cell in enumerate(row):
            if cell:
                # a cell without a name follows the one before; a named one may leave a gap
                position = column + 1 if "{n}" in cell and column + 1 > position else position + 1
                data += cell.replace("{n}", f"{'ABCDEFGHIJ'[position - 1]}{number}")
        data += "</row>"
    source = package(f"{HEAD}<sheetData>{data}</sheetData></worksheet>")
    before = load_workbook(source).worksheets[0]
    written = write(source, [answer(n) for n in sorted(answered)], tmp_path / "r.xlsx")
    assert written.how == "extended"
    in_order(sheet_xml(written.target))
    after = load_workbook(written.target).worksheets[0]
    first = next(cell.column for cell in after[1] if cell.value == COLUMNS[0])
    for row in before.iter_rows():
        for cell in row:
            if cell.value is not None:
                assert cell.column < first
                assert after[cell.coordinate].value == cell.value
    found = {n for n in range(2, after.max_row + 1) if after.cell(n, first).value == "delivered"}
    assert found == answered
