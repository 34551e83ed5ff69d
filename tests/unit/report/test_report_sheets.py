"""Our own sheets in the user's workbook: added beside everything that is there, and replaced, never doubled."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.workbook.protection import WorkbookProtection

from dispatcher.campaign.sheet import open_sheet
from dispatcher.campaign.sheet.ours import SHEET_NAMES, may_be_ours
from dispatcher.errors import FileError
from dispatcher.report import ReportWritten, Source, write_report
from dispatcher.report.sheets.model import Chart, ExtraSheet, Line, Series
from dispatcher.wording import LANGUAGES, Wording
from tests.unit.report.conftest import Answer, pages

CHANGED = {"[Content_Types].xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/worksheets/sheet1.xml"}
ROWS = [Answer(row=n, status="accepted") for n in range(2, 6)]


def extra(mark: str = "sms_summary", name: str | None = None, n: int = 1) -> ExtraSheet:
    """A sheet of ours, with a chart where it is the summary."""
    lines = [
        Line((mark, "title")),
        Line(("country", "rows"), heading=True),
        Line(("IT", n)),
        Line(("F&R", 2)),
    ]
    chart = Chart(
        title='Rows <by> "country"',
        stacked=True,
        heading=2,
        first=3,
        category_column=1,
        categories=["IT", "F&R"],
        series=[Series("rows", 2, [n, Decimal("2.50")], "2E7D32")],
        number_format="#,##0",
        at=(3, 1),
        size=(5, 12),
    )
    charts = (chart,) if mark == "sms_summary" else ()
    return ExtraSheet(mark, name or mark, (20, 10), lambda: iter(lines), charts)


BOTH = (extra(), extra("sms_bill"))


def users_workbook(path: Path, change: Callable[[Workbook], None] = lambda _: None) -> Path:
    book = Workbook()
    sheet = book.active
    sheet.title = "Clienti"
    sheet.append(["Telefono", "Testo"])
    for n in range(4):
        sheet.append([f"+39312345678{n}", f"Ciao {n}"])
    other = book.create_sheet("Altro")
    other["A1"] = "=Clienti!A2"
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=1, min_row=1, max_row=3))
    other.add_chart(chart, "C3")
    change(book)
    book.save(path)
    return path


def report(
    source: Path, target: Path, *sheets: ExtraSheet, sheet: str = "Clienti", kind: str = "xlsx"
) -> ReportWritten:
    facts = Source(source, kind, sheet, 1, None, None, source.name)
    return write_report(facts, pages(ROWS), target, sheets=sheets)


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        names = package.namelist()
        assert len(names) == len(set(names))
        return {name: package.read(name) for name in names}


def check_whole(path: Path) -> None:
    """What Excel insists on: each relation leads somewhere, each part has a type, names and numbers are unique."""
    found = parts(path)
    types = ElementTree.fromstring(found["[Content_Types].xml"])
    overrides = [e.get("PartName", "") for e in types if e.tag.endswith("Override")]
    assert len(overrides) == len(set(overrides))
    assert {name.lstrip("/") for name in overrides} <= found.keys()
    for name, content in found.items():
        if not name.endswith(".rels"):
            continue
        folder = posixpath.dirname(posixpath.dirname(name))
        links = list(ElementTree.fromstring(content))
        assert len({link.get("Id") for link in links}) == len(links)
        for link in links:
            target = link.get("Target", "")
            assert posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/") in found
    book = ElementTree.fromstring(found["xl/workbook.xml"])
    sheets = [e for e in book.iter() if e.tag.endswith("}sheet")]
    assert len({e.get("sheetId") for e in sheets}) == len(sheets)
    names = [str(e.get("name")) for e in sheets]
    assert len({name.casefold() for name in names}) == len(names)
    assert all(len(name) <= 31 and not re.search(r"[\[\]:*?/\\]", name) for name in names)


def test_everything_that_was_there_keeps_its_bytes_and_ours_is_only_added(tmp_path: Path) -> None:
    source = users_workbook(tmp_path / "a.xlsx")
    written = report(source, tmp_path / "r.xlsx", *BOTH)
    before, after = parts(source), parts(written.target)
    assert (written.how, written.without_sheets) == ("extended", None)
    assert {name for name in before if before[name] != after[name]} == CHANGED
    assert all("sms_" in name for name in after.keys() - before.keys())
    for name in CHANGED - {"xl/worksheets/sheet1.xml"}:
        ours = re.compile(rb"<(?:sheet|Relationship|Override)\s[^>]*sms_[^>]*/>")
        assert ours.sub(b"", after[name]) == before[name]
    check_whole(written.target)


def test_a_spreadsheet_program_finds_the_charts_and_the_users_too(tmp_path: Path) -> None:
    report(users_workbook(tmp_path / "a.xlsx"), tmp_path / "r.xlsx", *BOTH)
    book = load_workbook(tmp_path / "r.xlsx")
    assert book.sheetnames == ["Clienti", "Altro", "sms_summary", "sms_bill"]
    assert [len(sheet._charts) for sheet in book.worksheets] == [0, 1, 1, 0]
    summary = book["sms_summary"]
    assert [[cell.value for cell in row] for row in summary.iter_rows(max_row=4)] == [
        ["sms_summary", "title"], ["country", "rows"], ["IT", 1], ["F&R", 2]
    ]  # fmt: skip
    series = summary._charts[0].series[0]
    assert series.val.numRef.f == "'sms_summary'!$B$3:$B$4"
    assert series.cat.strRef.f == "'sms_summary'!$A$3:$A$4"
    assert [point.v for point in series.val.numRef.numCache.pt] == [1, 2.5]
    assert summary["A2"].style_id == book["Clienti"]["B1"].style_id


def renamed(book: Workbook) -> None:
    book["sms_summary"].title = "sms_riepilogo"


def moved_to_the_front(book: Workbook) -> None:
    book.move_sheet("sms_bill", -3)
    book.move_sheet("sms_summary", -3)


def without_the_bill(book: Workbook) -> None:
    del book["sms_bill"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda _: None, ["Clienti", "Altro", "sms_summary", "sms_bill"]),
        (renamed, ["Clienti", "Altro", "sms_riepilogo", "sms_bill"]),
        (moved_to_the_front, ["sms_summary", "sms_bill", "Clienti", "Altro"]),
        (without_the_bill, ["Clienti", "Altro", "sms_summary", "sms_bill"]),
    ],
)
def test_an_earlier_report_that_another_program_has_saved_is_filled_again_in_its_place(
    tmp_path: Path, change: Callable[[Workbook], None], names: list[str]
) -> None:
    report(users_workbook(tmp_path / "a.xlsx"), tmp_path / "r.xlsx", *BOTH)
    book = load_workbook(tmp_path / "r.xlsx")
    change(book)
    book.save(tmp_path / "saved.xlsx")
    assert open_sheet(tmp_path / "saved.xlsx").name == "Clienti"
    again = report(tmp_path / "saved.xlsx", tmp_path / "again.xlsx", extra(n=7), extra("sms_bill"))
    check_whole(again.target)
    found = load_workbook(again.target)
    assert found.sheetnames == names
    summary = found[next(name for name in names if may_be_ours(name) == "sms_summary")]
    assert summary["B3"].value == 7
    assert [len(sheet._charts) for sheet in found.worksheets] == [
        1 if name in ("Altro", summary.title) else 0 for name in names
    ]
    assert f"'{summary.title}'!" in summary._charts[0].series[0].val.numRef.f
    assert len([name for name in parts(again.target) if "chart" in name and name.endswith(".xml")]) == 2


def test_the_report_of_a_report_is_the_same_bytes(tmp_path: Path) -> None:
    first = report(users_workbook(tmp_path / "a.xlsx"), tmp_path / "r.xlsx", *BOTH)
    second = report(first.target, tmp_path / "r2.xlsx", *BOTH)
    third = report(second.target, tmp_path / "r3.xlsx", *BOTH)
    assert parts(second.target) == parts(first.target)
    assert third.sha256 == second.sha256


def their_own(book: Workbook) -> None:
    book.create_sheet("SMS_Bill")["A1"] = "what we owe"


def with_a_formula(book: Workbook) -> None:
    sheet = book.create_sheet("sms_bill")
    sheet["A1"], sheet["B2"] = "sms_bill", "=1+1"


@pytest.mark.parametrize("change", [their_own, with_a_formula])
def test_what_is_theirs_stays_whatever_it_is_called(
    tmp_path: Path, change: Callable[[Workbook], None]
) -> None:
    source = users_workbook(tmp_path / "a.xlsx", change)
    for n in range(2):
        report(source, tmp_path / f"r{n}.xlsx", *BOTH)
        source = tmp_path / f"r{n}.xlsx"
        check_whole(source)
        book = load_workbook(source)
        assert [name.casefold() for name in book.sheetnames] == [
            "clienti", "altro", "sms_bill", "sms_summary", "sms_bill 2"
        ]  # fmt: skip
        assert (
            book.worksheets[2]["A1"].value != book["sms_bill 2"]["A1"].value or book.worksheets[2]["B2"].value
        )


def test_a_sheet_that_is_the_campaign_itself_is_never_replaced(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    sheet.title = "sms_bill"
    sheet.append(["sms_bill", "Telefono"])
    sheet.append(["x", "+393123456789"])
    book.save(tmp_path / "a.xlsx")
    report(tmp_path / "a.xlsx", tmp_path / "r.xlsx", *BOTH, sheet="sms_bill")
    found = load_workbook(tmp_path / "r.xlsx")
    assert found.sheetnames == ["sms_bill", "sms_summary", "sms_bill 2"]
    assert found["sms_bill"]["B2"].value == "+393123456789"


def locked(book: Workbook) -> None:
    book.security = WorkbookProtection(lockStructure=True)


def test_a_protected_structure_stays_as_it_is_and_the_report_says_so(tmp_path: Path) -> None:
    written = report(users_workbook(tmp_path / "a.xlsx", locked), tmp_path / "r.xlsx", *BOTH)
    assert (written.how, written.without_sheets) == ("extended", "structure_protected")
    book = load_workbook(written.target)
    assert book.sheetnames == ["Clienti", "Altro"]
    assert book["Clienti"]["C2"].value == "accepted"


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes], more: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as package:
        for name, content in parts(source).items():
            package.writestr(name, change(name, content))
        if more:
            package.writestr(more, b"<x/>")
    return target


def strict(name: str, content: bytes) -> bytes:
    if name != "xl/workbook.xml":
        return content
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return content.replace(main, b"http://purl.oclc.org/ooxml/spreadsheetml/main")


def utf16(name: str, content: bytes) -> bytes:
    text = content.decode().partition("?>")[2] or content.decode()
    return text.encode("utf-16") if name == "xl/_rels/workbook.xml.rels" else content


@pytest.mark.parametrize(
    ("change", "more", "code"),
    [
        (strict, "", "workbook_unusual"),
        (utf16, "", "workbook_unusual"),
        (lambda _, content: content, "xl/revisions/revisionHeaders.xml", "workbook_shared"),
    ],
)
def test_what_is_not_understood_comes_back_without_our_sheets(
    tmp_path: Path, change: Callable[[str, bytes], bytes], more: str, code: str
) -> None:
    source = rewritten(users_workbook(tmp_path / "a.xlsx"), tmp_path / "b.xlsx", change, more)
    written = report(source, tmp_path / "r.xlsx", *BOTH)
    assert (written.how, written.without_sheets) == ("extended", code)
    before, after = parts(source), parts(written.target)
    assert {name for name in after if before[name] != after[name]} == {"xl/worksheets/sheet1.xml"}


def test_a_namespace_prefix_is_kept(package: Any, tmp_path: Path) -> None:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    row = '<row r="1"><c r="A1" t="str"><v>phone</v></c></row>'
    sheet = f'<worksheet xmlns="{main}"><sheetData>{row}</sheetData></worksheet>'
    book = (
        f'<x:workbook xmlns:x="{main}" xmlns:q="{office}"><x:sheets><x:sheet name="S" sheetId="8" q:id="s"/>'
        "</x:sheets><!-- </x:sheets> --></x:workbook>"
    )
    source = package(sheet, extra={"xl/workbook.xml": book.replace("<!-- </x:sheets> -->", "")})
    written = report(source, tmp_path / "r.xlsx", *BOTH, sheet="S")
    assert written.without_sheets is None
    check_whole(written.target)
    assert load_workbook(written.target).sheetnames == ["S", "sms_summary", "sms_bill"]
    # where a comment misleads, the sheets would come to nothing, and nothing is risked
    fooled = report(package(sheet, extra={"xl/workbook.xml": book}), tmp_path / "f.xlsx", *BOTH, sheet="S")
    assert fooled.without_sheets == "workbook_unusual"


def test_a_new_workbook_has_them_too(tmp_path: Path) -> None:
    def protect(book: Workbook) -> None:
        book["Clienti"].protection.sheet = True

    written = report(users_workbook(tmp_path / "a.xlsx", protect), tmp_path / "r.xlsx", *BOTH)
    assert written.why_rebuilt == "sheet_protected"
    check_whole(written.target)
    book = load_workbook(written.target)
    assert book.sheetnames == ["Clienti", "sms_summary", "sms_bill"]
    assert [len(sheet._charts) for sheet in book.worksheets] == [0, 1, 0]
    assert open_sheet(written.target).other_sheets == ()


def only_ours(path: Path) -> Path:
    book = Workbook()
    book.active.title = "sms_bill"
    book.active["A1"] = "sms_bill"
    book.save(path)
    return path


def test_a_workbook_with_nothing_but_our_sheets_has_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        open_sheet(only_ours(tmp_path / "a.xlsx"))
    assert caught.value.code == "sheet_no_visible"


def test_a_long_sheet_ends_where_a_sheet_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.report.sheets.parts.LAST_ROW", 3)

    def lines() -> Iterator[Line]:
        yield Line(("sms_bill",))
        yield from (Line((n,)) for n in range(10))

    sheet = ExtraSheet("sms_bill", "sms_bill", (), lines)
    report(users_workbook(tmp_path / "a.xlsx"), tmp_path / "r.xlsx", sheet)
    assert load_workbook(tmp_path / "r.xlsx")["sms_bill"].max_row == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_fit_a_tab_and_have_words(language: str) -> None:
    names = [SHEET_NAMES[mark][language] for mark in SHEET_NAMES]
    assert all(len(name) <= 28 and may_be_ours(name) for name in names)
    assert len(set(names)) == len(names)
    words = Wording(language)
    assert all(
        words(f"without_sheets.{code}")
        for code in ("structure_protected", "workbook_shared", "workbook_unusual")
    )


ORDER = {  # of ECMA-376, as far as we use it: Excel repairs a file in which elements stand otherwise
    "worksheet": "sheetPr dimension sheetViews sheetFormatPr cols sheetData pageMargins pageSetup drawing",
    "chartSpace": "date1904 lang roundedCorners style chart spPr txPr",
    "chart": "title autoTitleDeleted view3D plotArea legend plotVisOnly dispBlanksAs",
    "title": "tx layout overlay spPr txPr",
    "plotArea": "layout barChart catAx valAx spPr",
    "barChart": "barDir grouping varyColors ser dLbls gapWidth overlap serLines axId",
    "ser": "idx order tx spPr invertIfNegative dPt dLbls cat val shape",
    "strRef": "f strCache",
    "numRef": "f numCache",
    "numCache": "formatCode ptCount pt",
    "strCache": "ptCount pt",
    "catAx": "axId scaling delete axPos majorGridlines title numFmt majorTickMark minorTickMark tickLblPos spPr txPr"
    " crossAx crosses auto lblAlgn lblOffset noMultiLvlLbl",
    "valAx": "axId scaling delete axPos majorGridlines title numFmt majorTickMark minorTickMark tickLblPos spPr txPr"
    " crossAx crosses crossBetween",
    "legend": "legendPos layout overlay spPr txPr",
    "twoCellAnchor": "from to graphicFrame clientData",
    "graphicFrame": "nvGraphicFramePr xfrm graphic",
}


def test_elements_stand_in_the_order_of_the_schema(tmp_path: Path) -> None:
    report(users_workbook(tmp_path / "a.xlsx"), tmp_path / "r.xlsx", *BOTH)
    checked = set()
    for name, content in parts(tmp_path / "r.xlsx").items():
        if "sms_" not in name or name.endswith(".rels"):
            continue
        for element in ElementTree.fromstring(content).iter():
            tag = element.tag.rpartition("}")[2]
            if tag not in ORDER or (
                tag == "chart" and not len(element)
            ):  # a drawing refers to its chart by that name
                continue
            order, children = ORDER[tag].split(), [child.tag.rpartition("}")[2] for child in element]
            assert [order.index(child) for child in children] == sorted(order.index(c) for c in children), tag
            checked.add(tag)
    assert checked == set(ORDER)


def test_a_csv_has_no_sheets(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("phone\n+393123456789\n", encoding="utf-8")
    facts = Source(source, "csv", None, 1, ",", "utf-8", source.name)
    written = write_report(facts, pages(ROWS[:1]), tmp_path / "r.csv", sheets=BOTH)
    assert written.without_sheets is None
    assert "sms_summary" not in written.target.read_text(encoding="utf-8-sig")
