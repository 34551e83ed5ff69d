"""CSV files: every trap a spreadsheet program, a person or a half-broken export sets."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher.campaign.reasons import Reason
from dispatcher.campaign.sheet import Sheet, SheetKind, encoding, open_sheet, unguard_formula
from dispatcher.campaign.sheet.csv_source import CsvSource

PHONE = "+393123456789"  # the example mobile number of libphonenumber for Italy

Rows = list[tuple[int, tuple[str, ...]]]


def write(folder: Path, content: bytes | str, name: str = "campaign.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def careful(sheet: Sheet) -> Sheet:
    """The same sheet, read without Arrow."""
    assert isinstance(sheet.source, CsvSource)
    return dataclasses.replace(sheet, source=dataclasses.replace(sheet.source, fast=False))


def read(sheet: Sheet) -> tuple[Rows, dict[int, Reason]]:
    rows: Rows = []
    problems: dict[int, Reason] = {}
    for chunk in sheet.chunks():
        assert list(chunk.cells.columns) == list(sheet.headings)
        rows += zip(chunk.rows.tolist(), chunk.cells.itertuples(index=False, name=None), strict=True)
        problems.update(chunk.problems)
    return rows, problems


def both(path: Path, **options: object) -> tuple[Rows, dict[int, Reason]]:
    """What the file holds, read the fast way and the careful way, which must agree."""
    sheet = open_sheet(path, **options)  # type: ignore[arg-type]
    fast = read(sheet)
    assert fast == read(careful(sheet))
    return fast


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("a,b\n1,2\n", [(2, ("1", "2"))]),
        ("a;b\n1;2", [(2, ("1", "2"))]),
        ("a\tb\r\n1\t2\r\n", [(2, ("1", "2"))]),
        ("a|b\r1|2\r3|4", [(2, ("1", "2")), (3, ("3", "4"))]),
        ("sep=;\na;b\n1;2\n", [(2, ("1", "2"))]),
        ('"SEP=|"\r\na|b\r\n1,0|2,0\r\n', [(2, ("1,0", "2,0"))]),
        ("sep=^\na^b\n1^2\n", [(2, ("1", "2"))]),
        ("sep=§\na§b\n1§2\n", [(2, ("1", "2"))]),
        ("phone\n" + PHONE + "\n", [(2, (PHONE,))]),
        (
            "text\nCiao, come stai\nbene; grazie, e tu\n",
            [(2, ("Ciao, come stai",)), (3, ("bene; grazie, e tu",))],
        ),
        (
            "nome;tel;importo\nMario;1;12,50\nAda;2;9,00\n",
            [(2, ("Mario", "1", "12,50")), (3, ("Ada", "2", "9,00"))],
        ),
        (
            "Cognome, Nome;tel\nRossi, Mario;1\nBianchi;2\n",
            [(2, ("Rossi, Mario", "1")), (3, ("Bianchi", "2"))],
        ),
        # blank lines count, quoted line ends do not, a line of delimiters is blank
        ("\n\na;b\n\n1;2\n;\n \n3;4\n\n", [(5, ("1", "2")), (8, ("3", "4"))]),
        ('a;b\n"x\ny\r\nz";2\n3;4\n', [(2, ("x\ny\r\nz", "2")), (3, ("3", "4"))]),
        ('a;b\n"say ""hi""";"x;y"\n', [(2, ('say "hi"', "x;y"))]),
        ('a;b\n5" pipe;2\n', [(2, ('5" pipe', "2"))]),
        ('a;b\n"x" ;2\n', [(2, ("x ", "2"))]),
        ("a;b\nNA;null\nnan;None\n", [(2, ("NA", "null")), (3, ("nan", "None"))]),
        ("a;b\n0039333;+39333\n007;1.0\n", [(2, ("0039333", "+39333")), (3, ("007", "1.0"))]),
        ("a;b\n  x ;\ty\n", [(2, ("  x ", "\ty"))]),
        # trailing delimiters: on rows, on the heading, on both, on nearly all
        ("a;b\n1;2;\n3;4;\n5;6\n", [(2, ("1", "2")), (3, ("3", "4")), (4, ("5", "6"))]),
        ("a;b;\n1;2;\n3;4\n", [(2, ("1", "2")), (3, ("3", "4"))]),
        ("a;b;\n1;2\n3;4\n", [(2, ("1", "2")), (3, ("3", "4"))]),
        ("a;b\n1;2; ;\n", [(2, ("1", "2"))]),
        # our report's columns and its apostrophes
        (f"phone;sms_status;Sms_Reason\n{PHONE};accepted;x\n", [(2, (PHONE,))]),
        (
            "a;b\n'=1+1;'@x\n'+393331234567;'s-Hertogenbosch\n",
            [(2, ("=1+1", "@x")), (3, ("'+393331234567", "'s-Hertogenbosch"))],
        ),
        ("a;b\n'393331234567;''=1\n", [(2, ("'393331234567", "'=1"))]),
        # a file padded with NULs after its end
        ("a;b\n1;2\n\0\0\0\0", [(2, ("1", "2"))]),
        ("a;b\n1;2\n\x1a", [(2, ("1", "2")), (3, ("", ""))]),
    ],
)
def test_reading(tmp_path: Path, content: str, rows: Rows) -> None:
    read_rows, problems = both(write(tmp_path, content))
    assert read_rows == rows
    assert problems == ({3: Reason.ROW_TOO_SHORT} if "\x1a" in content else {})


LONG, SHORT, UNREADABLE = Reason.ROW_TOO_LONG, Reason.ROW_TOO_SHORT, Reason.ROW_UNREADABLE


@pytest.mark.parametrize(
    ("content", "numbers", "problems"),
    [
        ("a;b;c\n1;2;3;4\n1;2;3\n1;2\n", [2, 3, 4], {2: LONG, 4: SHORT}),
        ("a;b\n1;2;;x\n3;4\n", [2, 3], {2: LONG}),
        ("a;b\n1;2;3\n4;5;6\n7;8;9\n", [2, 3, 4], {2: LONG, 3: LONG, 4: LONG}),
        ("a;b;c\n1;2\n4;5\n7;8\n", [2, 3, 4], {2: SHORT, 3: SHORT, 4: SHORT}),
        # an unclosed quote, with and without later quotes to close it by accident
        ('a;b\n"Mario;1\nAda;2\nUgo;3\n', [2, 3, 4], {2: UNREADABLE}),
        ('a;b\n"Mario;1\nAda;2\nUgo;"x; y"\nEva;4\n', [2, 3, 4, 5], {2: UNREADABLE}),
        ('a;b\n1;"Mario\n2;Ada', [2, 3], {2: UNREADABLE}),
        ('a;b\n"Mario;1"\n"Ada";"2\n"Ugo";"3"\n', [2, 3, 4], {2: SHORT, 3: UNREADABLE}),
        # two stray quotes far apart that would make one field of the rows between
        (
            'text;phone\n"Mario;+393123456780\nAda;+393123456781\nUgo";+393123456782\nEva;+393123456783\n',
            [2, 3, 4, 5],
            {2: UNREADABLE},
        ),
        ('a;b\n"Bar "Roma"";2\n3;4\n', [2, 3], {2: UNREADABLE}),
        ("a;b\n1;x\0y\n3;4\n", [2, 3], {2: UNREADABLE}),
    ],
)
def test_rows_that_do_not_fit_are_told_and_nothing_moves(
    tmp_path: Path, content: str, numbers: list[int], problems: dict[int, Reason]
) -> None:
    rows, found = both(write(tmp_path, content))
    assert [number for number, _ in rows] == numbers
    assert found == problems
    for number, cells in rows:
        line = content.splitlines()[number - 1]
        assert (
            cells == tuple("" for _ in cells)
            if number in problems
            else cells == tuple(next(csv.reader([line], delimiter=";")))
        )


def test_an_unclosed_quote_does_not_swallow_a_large_file(tmp_path: Path) -> None:
    lines = ["name;phone", *(f"n{i};{i}" for i in range(2, 30_001))]
    lines[99] = '"broken;100'
    sheet = open_sheet(write(tmp_path, "\n".join(lines)))
    rows, problems = read(sheet)
    assert problems == {100: Reason.ROW_UNREADABLE}
    assert [number for number, _ in rows] == list(range(2, 30_001))
    assert rows[-1] == (30_000, ("n30000", "30000"))


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("cp1252", b""),
    ],
)
def test_encodings_are_found_out(tmp_path: Path, encoding: str, mark: bytes) -> None:
    text = "nome;città\nÈ così;perché costa 5 €\nAñoÑ;“così”\n"
    path = write(tmp_path, mark + text.encode(encoding))
    assert open_sheet(path).encoding == encoding
    assert open_sheet(path).headings == ("nome", "città")
    assert both(path)[0] == [(2, ("È così", "perché costa 5 €")), (3, ("AñoÑ", "“così”"))]


@pytest.mark.parametrize("asked", ["cp850", "latin-1", "UTF-16"])
def test_an_encoding_can_be_named(tmp_path: Path, asked: str) -> None:
    path = write(tmp_path, "nome;città\nNoè;Forlì\n".encode(asked))
    assert both(path, encoding=asked)[0] == [(2, ("Noè", "Forlì"))]


def test_a_byte_order_mark_wins_over_the_encoding_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, codecs.BOM_UTF8 + "nome;città\nNoè;Forlì\n".encode())
    assert open_sheet(path, encoding="cp1252").encoding == "utf-8"


def test_what_is_promised_about_a_chunk(tmp_path: Path) -> None:
    path = write(tmp_path, "a;b\n" + "".join(f"{i};x\n" for i in range(2, 12)))
    sheet = open_sheet(path, chunk_rows=4)
    assert (sheet.kind, sheet.name, sheet.delimiter, sheet.other_sheets) == (SheetKind.CSV, None, ";", ())
    chunks = list(sheet.chunks())
    assert [len(chunk.rows) for chunk in chunks] == [4, 4, 2]
    for chunk in chunks:
        assert chunk.rows.dtype == np.int64
        assert chunk.hidden.dtype == np.int8
        assert not chunk.hidden.any()
        assert all(dtype == pd.ArrowDtype(pa.string()) for dtype in chunk.cells.dtypes)
        assert list(chunk.cells.index) == list(range(len(chunk.rows)))
    assert read(sheet) == read(sheet)


def test_a_csv_that_is_called_xls_is_read_as_what_it_is(tmp_path: Path) -> None:
    assert open_sheet(write(tmp_path, "a\tb\n1\t2\n", "old.xls")).kind is SheetKind.CSV


def test_records_and_row_numbers_hold_over_block_borders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several blocks, quoted line ends and a ragged row wherever the borders fall."""
    monkeypatch.setattr(encoding, "BLOCK_BYTES", 1 << 20)
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(["n", "text"])
    expected: Rows = []
    for number in range(2, 40_002):
        text = f'line "{number}"\nof; text ' + "à" * (number % 90)
        writer.writerow([number, text])
        expected.append((number, (str(number), text)))
    out.write("lonely\r\n")
    rows, problems = both(write(tmp_path, out.getvalue()))
    assert rows[:-1] == expected
    assert problems == {40_002: Reason.ROW_TOO_SHORT}


CELL = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12) | st.text(
    st.sampled_from("ab;,|\t\"\n\r '=0"), max_size=8
)
TABLE = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=12)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    table=TABLE,
    delimiter=st.sampled_from(",;\t|"),
    # csv.writer quotes a line end inside a cell only if its own line end has that character
    style=st.sampled_from(
        [(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r")]
    ),
    tail=st.booleans(),
)
def test_any_table_comes_back_exactly(
    tmp_path: Path, table: list[list[str]], delimiter: str, style: tuple[int, str], tail: bool
) -> None:
    """What csv.writer writes: the fast way = the careful way = csv.reader."""
    quoting, line_end = style
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=line_end)  # type: ignore[arg-type]
    writer.writerow([f"h{i}" for i in range(len(table[0]))])
    writer.writerows(table)
    writer.writerow(["end"] * len(table[0]))
    text = f"sep={delimiter}\n" + out.getvalue()[: None if tail else -len(line_end)]
    again = csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=delimiter)
    expected: Rows = [
        (number, tuple(map(unguard_formula, cells)))
        for number, cells in enumerate(again, 1)
        if number > 1 and any(unguard_formula(cell).strip() for cell in cells)
    ]
    assert both(write(tmp_path, text.encode())) == (expected, {})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from('ab;"\n\r\0 1'), max_size=60))
def test_no_text_makes_the_two_ways_differ_or_loses_a_row(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"x;y\n{text}\nlast;row\n")
    rows, problems = both(path)
    # lines are joined only by quotes: without any, every line that is not blank is a row
    lines = re.split(r"\r\n|\r|\n", f"{text}\nlast;row")
    filled = [
        number for number, line in enumerate(lines, 2) if line.replace("\0", "").replace(";", "").strip()
    ]
    if '"' not in text:
        assert [number for number, _ in rows] == filled
        assert rows[-1][1] == ("last", "row")
    assert set(problems) <= {number for number, _ in rows}


@pytest.mark.parametrize(
    "text", ["È… tardi", "C’È", "«CAFÉ»", "ora è", "Šimon", "l’età – 5 €", "perché…", "¿Qué año?", "Niño¡"]
)
def test_what_people_write_in_windows_1252_is_read_as_that(tmp_path: Path, text: str) -> None:
    path = tmp_path / "campaign.csv"
    path.write_bytes(f"a;b\nperò;1\n{text};2\n".encode("cp1252"))

    assert next(open_sheet(path).chunks()).cells["a"].tolist() == ["però", text]
