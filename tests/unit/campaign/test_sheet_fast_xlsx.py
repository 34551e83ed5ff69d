"""The fast reader of workbooks says what the general one says, or nothing at all."""

from __future__ import annotations

import datetime as dt
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dispatcher.campaign.locale import Locale
from dispatcher.campaign.sheet import open_sheet
from dispatcher.campaign.sheet.chunks import ChunkBuilder
from dispatcher.campaign.sheet.headings import read_headings
from dispatcher.campaign.sheet.model import SheetKind
from dispatcher.campaign.sheet.workbook import Worksheet, open_columns, open_typed
from dispatcher.campaign.sheet.xlsx.bytes import NotPlain
from dispatcher.errors import FileError

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
STYLES = (  # 0 and 3 are numbers, 1 a date, 2 a time of day, 4 a duration, 5 a date by its own format
    f'<styleSheet xmlns="{MAIN}"><numFmts count="1"><numFmt numFmtId="170" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    '<cellXfs count="6"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="21"/><xf numFmtId="2"/>'
    '<xf numFmtId="46"/><xf numFmtId="170"/></cellXfs></styleSheet>'
)
HEADINGS = "".join(f'<c r="{column}1" t="inlineStr"><is><t>h{column}</t></is></c>' for column in "ABCD")


def package(
    path: Path,
    rows: str,
    items: Sequence[str] = (),
    *,
    before: str = "",
    after: str = "",
    declaration: str = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n',
    settings: str = "",
    strings: str = "",
) -> Path:
    """A workbook of one worksheet with these rows of XML, and these ``<si>`` elements."""
    parts = {
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" Type="{OFFICE}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="Dati" sheetId="1"'
        f' r:id="rId1"/></sheets>{settings}</workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">'
        f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{OFFICE}/styles" Target="styles.xml"/>'
        f'<Relationship Id="rId3" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        "xl/styles.xml": STYLES,
        "xl/sharedStrings.xml": f'{declaration}<sst xmlns="{MAIN}" count="9"{strings}>{"".join(items)}</sst>',
        "xl/worksheets/sheet1.xml": f'{declaration}<worksheet xmlns="{MAIN}">{before}<sheetData>{rows}</sheetData>'
        f"{after}</worksheet>",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def told(worksheet: Worksheet, size: int = 7) -> list[Any]:
    """All that the reader says of a sheet."""
    number, cells = next((n, cells) for n, cells in worksheet.rows.heads() if any(cells))
    headings = read_headings(cells, file="f", sheet=worksheet.name, row=number)
    builder = ChunkBuilder(headings, size, "f", worksheet.name)
    chunks = [chunk for batch in worksheet.rows.batches(size, number) for chunk in builder.build(batch)]
    assert all(kind == pd.ArrowDtype(pa.string()) for chunk in chunks for kind in chunk.cells.dtypes)
    rows = [
        (number, hidden, *cells)
        for chunk in chunks
        for number, hidden, cells in zip(
            chunk.rows.tolist(),
            chunk.hidden.tolist(),
            chunk.cells.itertuples(index=False, name=None),
            strict=True,
        )
    ]
    valueless = {cell for chunk in chunks for cell in chunk.valueless}
    dated = {
        (number, name)
        for chunk in chunks
        for name, mask in chunk.dated.items()
        for number in chunk.rows[mask].tolist()
    }
    return [headings.names, worksheet.name, worksheet.others, rows, valueless, dated]


def both(path: Path, size: int = 7) -> tuple[list[Any], list[Any]]:
    """What the fast reader says (NotPlain is let through), and the general one."""
    fast = told(open_columns(path, None, Locale.IT), size)
    return fast, told(open_typed(path, SheetKind.XLSX, None, Locale.IT), size)


TEXTS = st.text(
    st.sampled_from("ab 0\t\n\r_x<>&\"'àß\u00a0\u2003\u200e€😀")
    | st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]),
    max_size=9,
) | st.sampled_from(["_x000D_", "a_x0041_", "&#13;", "{{ Nome }}", "=1+1", "#N/A", "0039", "1.0"])
NUMBERS = st.one_of(
    st.integers(-(10**17), 10**17).map(str),
    st.integers(0, 10**15).map(str),
    st.floats(0, 60_000).map(repr),
    st.sampled_from(
        ["0", "00", "007", "-0", "1E21", "3.93E11", "1e5", "+5", " 5", "5 ", "", "inf", "x", "1_0"]
    ),
)
XML_TEXTS = TEXTS.map(escape)
T_TAGS = st.sampled_from(["<t>", '<t xml:space="preserve">', "<t >", '<t xml:space="default">'])


@st.composite
def rich_or_plain(draw: st.DrawFn) -> str:
    """What is in an ``<is>`` or ``<si>``."""
    pieces = [f"{draw(T_TAGS)}{text}</t>" for text in draw(st.lists(XML_TEXTS, min_size=1, max_size=2))]
    form = draw(st.sampled_from(["plain"] * 6 + ["rich", "phonetic", "empty", "closed"]))
    if form == "rich":
        return "".join(f"<r><rPr><b/></rPr>{piece}</r>" for piece in pieces)
    if form == "phonetic":
        return f'{pieces[0]}<rPh sb="0" eb="1"><t>x</t></rPh>'
    return {"plain": pieces[0], "empty": "", "closed": "<t/>"}[form]


@st.composite
def cells(draw: st.DrawFn, name: str, items: int) -> str:
    """A cell of the name, as programs write it, and sometimes as none does."""
    style = draw(st.sampled_from(["", "", "", *(f' s="{number}"' for number in range(6))]))
    kind = draw(
        st.sampled_from(
            ["shared"] * 3 + ["number"] * 3 + ["inline"] * 2 + ["blank", "formula", "error", "odd"]
        )
    )
    if kind == "shared" and items:
        return f'<c r="{name}"{style} t="s"><v>{draw(st.integers(0, items - 1))}</v></c>'
    if kind == "inline":
        return f'<c r="{name}"{style} t="inlineStr"><is>{draw(rich_or_plain())}</is></c>'
    if kind == "formula":
        result = draw(st.sampled_from(["", "<v></v>", "<v/>", "<v>0</v>", "<v>5</v>", "<v>45000.5</v>"]))
        said = draw(st.sampled_from(["", ' t="str"']))
        return f'<c r="{name}"{style}{said}><f>A1</f>{result}</c>'
    if kind == "error":
        return f'<c r="{name}"{style} t="e"><v>{draw(st.sampled_from(["#N/A", "#REF!"]))}</v></c>'
    if kind == "odd":
        return draw(
            st.sampled_from(
                [
                    f'<c r="{name}" t="b"><v>1</v></c>',
                    f'<c r="{name}" t="d"><v>2026-12-05</v></c>',
                    f'<c r="{name}" t="s" s="1"><v>0</v></c>' if items else "",
                    f'<c r="{name}" t="str"><v> a b </v></c>',
                    f'<c r="{name}" s="1" />',
                    f'<c r="{name}"></c>',
                    f"<c r='{name}'><v>7</v></c>",
                    f'<c r="{name}"><v xml:space="preserve">7</v></c>',
                    f'<c r="{name}" cm="1"><v>7</v></c>',
                    f'<c s="1" r="{name}"><v>7</v></c>',
                ]
            )
        )
    if kind == "blank":
        return f'<c r="{name}"{style}/>'
    said = draw(st.sampled_from(["", "", ' t="n"']))
    return f'<c r="{name}"{style}{said}><v>{draw(NUMBERS)}</v></c>'


@st.composite
def sheets(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Rows of XML, and shared strings."""
    items = [f"<si>{item}</si>" for item in draw(st.lists(rich_or_plain(), max_size=6))]
    rows = [f'<row r="1">{HEADINGS}</row>']
    for number in sorted(draw(st.sets(st.integers(2, 120), max_size=8))):
        columns = sorted(draw(st.sets(st.sampled_from("ABCD"), max_size=4)))
        row_tag = draw(
            st.sampled_from(
                ["", "", ' spans="1:4"', ' hidden="1"', ' hidden="0" ht="12.8"', ' hidden="true"']
            )
        )
        inside = "".join(draw(cells(f"{column}{number}", len(items))) for column in columns)
        end = "/>" if not inside and draw(st.booleans()) else f">{inside}</row>"
        rows.append(f'<row r="{number}"{row_tag}{end}')
    return draw(st.sampled_from(["", "", "", "\n  "])).join(rows), items


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sheet=sheets(), filtered=st.booleans(), recalculated=st.booleans())
def test_both_readers_say_the_same(
    tmp_path: Path, sheet: tuple[str, list[str]], filtered: bool, recalculated: bool
) -> None:
    path = package(
        tmp_path / "a.xlsx",
        *sheet,
        after='<autoFilter ref="A1:D40"/>' if filtered else "",
        settings='<calcPr fullCalcOnLoad="1"/>' if recalculated else "",
    )
    try:
        fast = told(open_columns(path, None, Locale.IT))
    except NotPlain:
        return  # the general reader reads it
    assert fast == told(open_typed(path, SheetKind.XLSX, None, Locale.IT))


def test_a_number_too_large_for_a_time_is_told(tmp_path: Path) -> None:
    """As a duration Python cannot hold it, and the reader's own error says nothing to anybody."""
    rows = f'<row r="1">{HEADINGS}</row><row r="2"><c r="A2" s="4"><v>393123456789</v></c></row>'
    with pytest.raises(FileError, match="sheet_broken"):
        list(open_sheet(package(tmp_path / "a.xlsx", rows)).chunks())


@pytest.mark.parametrize(
    "item",
    [
        "<t>Ada</t>",
        '<t xml:space="preserve"> Ada </t>',
        "<t>D&amp;G &lt;b&gt; &#233;</t>",
        "<t>due\nrighe</t>",
        "<t>due\r\nrighe</t>",
        "<t>a_x000D_b</t>",
        "<t> trimmed </t>",
        "<t>\u00a0kept\u00a0</t>",
        '<r><t>per</t></r><r><rPr><b/></rPr><t xml:space="preserve"> te</t></r>',
        '<t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh>',
    ],
)
def test_texts_in_every_form_are_read_fast(tmp_path: Path, item: str) -> None:
    cells = f'<c r="A2" t="inlineStr"><is>{item}</is></c><c r="B2" t="s"><v>0</v></c><c r="C2"><v>1</v></c>'
    rows = f'<row r="1">{HEADINGS}</row><row r="2">{cells}</row>'
    fast, general = both(package(tmp_path / "a.xlsx", rows, [f"<si>{item}</si>"]))
    assert fast == general


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="A2"><v>393123456789</v></c>',
        '<c r="A2" s="3" t="n"><v>393123456789</v></c>',
        '<c r="A2"><v>3.93123456789E11</v></c>',
        '<c r="A2"><v>1E+21</v></c>',
        '<c r="A2"><v>1234567890123456789</v></c>',
        '<c r="A2"><v>-5</v></c>',
        '<c r="A2"><v>12.5</v></c>',
        '<c r="A2"><v>0.30000000000000004</v></c>',
        '<c r="A2" s="1"><v>46361</v></c>',
        '<c r="A2" s="1"><v>46361.395833333336</v></c>',
        '<c r="A2" s="2"><v>0.39583333333333331</v></c>',
        '<c r="A2" s="4"><v>1.3958333333333333</v></c>',
        '<c r="A2" s="5"><v>46361</v></c>',
        '<c r="A2" t="b"><v>1</v></c>',
        '<c r="A2" t="e"><v>#N/A</v></c>',
        '<c r="A2" t="e"><f>1/0</f><v>#DIV/0!</v></c>',
        '<c r="A2" t="str"><f>B2</f><v>ciao &amp; ciao</v></c>',
        '<c r="A2" t="str"><f>B2</f><v></v></c>',
        '<c r="A2"><f>B2</f></c>',
        '<c r="A2"><f t="shared" si="0"/><v>5</v></c>',
        '<c r="A2" s="1"/>',
        '<c r="A2" s="1" />',
    ],
)
def test_cells_in_every_form_are_read_fast(tmp_path: Path, cell: str) -> None:
    rows = f'<row r="1">{HEADINGS}</row><row r="2" spans="1:4" ht="15">{cell}<c r="D2"><v>7</v></c></row>'
    fast, general = both(package(tmp_path / "a.xlsx", rows))
    assert fast == general


@pytest.mark.parametrize(
    ("rows", "more"),
    [
        ('<x:row r="2"/>', {}),
        ('<row r="2"><c><v>1</v></c></row>', {}),
        ("<row><c><v>1</v></c></row>", {}),
        ('<row r="2"><c r="A2"><v>1</v></c><c s="0" r="B2"><v>2</v></c></row>', {}),
        ('<row r="2"><c r="A2" t="b"><v>1</v></c><c\n r="B2"><v>2</v></c></row>', {}),
        ('<row r="2"><c r="A2" t="b"><v>1</v></c></c></row>', {}),
        ('<row r="2"><c r="A2" t="b"><v>1</v></c></row><row s="1" r="3"><c r="A3"><v>1</v></c></row>', {}),
        ('<row r="2"><c r="A2" t="b"><v>1</v></c></row ><row r="3"><c r="A3"><v>1</v></c></row>', {}),
        ('<row r="2"><c r="A3"><v>1</v></c></row>', {}),
        ('<row r="2"><c r="B2"><v>1</v></c><c r="A2"><v>1</v></c></row>', {}),
        ('<row r="3"><c r="A3"><v>1</v></c></row><row r="2"><c r="A2"><v>1</v></c></row>', {}),
        ('<row r="2"><c r="A2" t="s"><v>1</v></c></row>', {}),
        ('<row r="2"><!-- <c r="A2"><v>1</v></c> --></row>', {}),
        ('<row r="2"><c r="A2"><v><![CDATA[1]]></v></c></row>', {}),
        ('<row r="2"><c r="A2"><v>1</v></c></row><c r="B2"><v>1</v></c>', {}),
        ('<row r="2" hidden=\'1\'><c r="A2"><v>1</v></c></row>', {}),
        (
            '<row r="2"><c r="A2"><v>1</v></c></row>',
            {"after": '<mergeCells><mergeCell ref="A2:B2"/></mergeCells>'},
        ),
        ('<row r="2"><c r="A2"><v>1</v></c></row>', {"before": "<!-- <sheetData> -->"}),
        (
            '<row r="2"><c r="A2"><v>1</v></c></row>',
            {"declaration": '<?xml version="1.0" encoding="cp1252"?>'},
        ),
        ('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', {}),
        ('<row r="2"><c r="A2"><v>1</v></c></row>', {"after": '<row r="2" hidden="1"/>'}),
        ('<row r="2"><c r="A2"><v>1</v></c></row>', {"after": "<cols><col></cols>"}),
        ('<row r="2"><c r="A2"><v>1</v></c></row>', {"before": "<sheetData/>"}),
        ('<row r="2"><c r="A2"><v>1</v></c></row>', {"before": '<dimension ref="A1/>'}),
        ('<row r="2"><c r="A2"><v>1</v></c></row>', {"strings": ' odd"'}),
    ],
)
def test_what_is_not_known_is_left_to_the_general_reader(
    tmp_path: Path, rows: str, more: dict[str, str]
) -> None:
    path = package(tmp_path / "a.xlsx", f'<row r="1">{HEADINGS}</row>{rows}', ["<si><t>a</t></si>"], **more)
    with pytest.raises(NotPlain):
        open_columns(path, None, Locale.IT)


def test_a_sheet_too_wide_takes_no_memory_first(tmp_path: Path) -> None:
    """A few bytes a row, and each row as wide as a reference can say."""
    rows = "".join(f'<row r="{number}"><c r="ZZZ{number}"/></row>' for number in range(2, 3_000))
    path = package(tmp_path / "a.xlsx", f'<row r="1">{HEADINGS}</row>{rows}')
    tracemalloc.start()
    try:
        with pytest.raises(NotPlain):
            open_columns(path, None, Locale.IT)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000  # its grid is 220 MB
    finally:
        tracemalloc.stop()


def test_many_blocks_of_rows(tmp_path: Path) -> None:
    """More than a block of the XML, so that rows and strings are cut."""

    def row(number: int) -> str:
        hidden = ' hidden="1"' if number % 1000 == 7 else ""
        return (
            f'<row r="{number}" spans="1:4"{hidden}><c r="A{number}" s="3" t="s"><v>{number - 2}</v></c>'
            f'<c r="B{number}"><v>{393120000000 + number}</v></c>'
            f'<c r="C{number}" s="1"><v>{46000 + number % 50}</v></c>'
            f'<c r="D{number}" t="inlineStr"><is><t>riga {number}</t></is></c></row>'
        )

    items = [f"<si><t>però {number} {'&amp;' * (number % 40 == 3)}</t></si>" for number in range(40_000)]
    rows = f'<row r="1">{HEADINGS}</row>' + "".join(map(row, range(2, 40_002)))
    fast, general = both(package(tmp_path / "a.xlsx", rows, items), size=9_999)
    assert fast == general


def openpyxl_book(path: Path, fill: Callable[[Any], None], *, write_only: bool) -> Path:
    book = openpyxl.Workbook(write_only=write_only)
    fill(book.create_sheet("Dati", 0))
    book.save(path)
    return path


@pytest.mark.parametrize("write_only", [False, True])
def test_what_openpyxl_writes_is_read_fast(tmp_path: Path, write_only: bool) -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["nome", "tel", "data", "ora", "saldo", "attivo", "nota"])
        for number in range(2, 40):
            moment = dt.datetime(2026, 12, number % 28 + 1, 9, 30)  # noqa: DTZ001 - a spreadsheet knows no zones
            row = [
                "Zoë & co",
                393123456789,
                moment,
                moment.time(),
                12.5,
                True,
                None if number % 3 else " a\nb ",
            ]
            sheet.append(row)

    fast, general = both(openpyxl_book(tmp_path / "a.xlsx", fill, write_only=write_only))
    assert fast == general
    assert len(fast[3]) == 38


@pytest.mark.parametrize(
    "rows", ['<c r="A2"><v>1</v></c></row><row r="2"/>', "</row>", '<c r="A1"><v>1</v></c></row>']
)
def test_cells_before_the_first_row_are_left_to_the_general_reader(tmp_path: Path, rows: str) -> None:
    with pytest.raises(NotPlain):
        open_columns(package(tmp_path / "a.xlsx", rows), None, Locale.IT)
