"""CSV in, CSV out."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher.campaign.sheet import unguard_formula
from dispatcher.report import COLUMNS
from dispatcher.report.records import read_records

OURS = "sms_status"


def lines(path: Path) -> list[str]:
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    return data[3:].decode("utf-8").split("\r\n")


def table(path: Path, delimiter: str) -> list[list[str]]:
    """As any other program reads it."""
    text = path.read_bytes().decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


@pytest.mark.parametrize(
    ("delimiter", "cost"), [(";", "0,1040"), (",", "0.1040"), ("\t", "0.1040"), ("|", "0.1040")]
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16-le"])
def test_ours_follow_in_the_files_own_delimiter(tmp_path, write, answer, delimiter, cost, encoding):
    source = tmp_path / "a.csv"
    source.write_bytes(f"nome{delimiter}tel\nPerò{delimiter}+393123456789\n".encode(encoding))
    written = write(source, [answer(2)], tmp_path / "r.csv", delimiter=delimiter, encoding=encoding)
    assert (written.how, written.why_rebuilt) == ("extended", None)
    assert lines(written.target) == [
        delimiter.join(["nome", "tel", *COLUMNS]),
        delimiter.join(
            [
                *["Però", "+393123456789", "delivered", "", "+393123456789", "IT", "IT", "Studio", "GSM-7"],
                *["2", cost, cost, "id2", "2026-12-01 09:00:05", "2026-12-01 09:00:05", ""],
            ]
        ),
        "",
    ]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+A1", "'+A1"),
        ("-A1", "'-A1"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("'=1+1", "'=1+1"),  # guarded by an earlier report: once is enough
        ("+39 312 345 6789", "+39 312 345 6789"),
        ("+44 (0)20-7946.0018/9", "+44 (0)20-7946.0018/9"),
        ("-12,50", "-12,50"),
        ("-12.50", "-12.50"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
        ("Ciao = 1", "Ciao = 1"),
    ],
)
def test_what_would_act_as_a_formula_does_not(tmp_path, write, answer, cell, written):
    source = tmp_path / "a.csv"
    quoted = '"' + cell.replace('"', '""') + '"'
    source.write_text(f"testo;tel\n{quoted};1\n", encoding="utf-8", newline="")
    target = write(source, [answer(2)._replace(reason=cell)], tmp_path / "r.csv").target
    row = table(target, ";")[1]
    assert row[0] == written
    assert row[3] == written


def test_an_earlier_reports_columns_are_replaced_and_its_guards_not_doubled(tmp_path, write, answer):
    source = tmp_path / "a.csv"
    source.write_text("testo;tel\n=1+1;1\n", encoding="utf-8")
    first = write(source, [answer(2)], tmp_path / "1.csv").target
    second = write(first, [answer(2)], tmp_path / "2.csv").target
    third = tmp_path / "3.csv"
    third.write_text("testo;SMS_Status;tel; sms_parts\n=1+1;old;1;9\n", encoding="utf-8")
    assert second.read_bytes() == first.read_bytes()
    assert write(third, [answer(2)], tmp_path / "4.csv").target.read_bytes() == first.read_bytes()


def test_ragged_rows_keep_everything_and_ours_keep_their_place(tmp_path, write, answer):
    source = tmp_path / "a.csv"
    source.write_text("a;b;c\n1\n1;2;3;4;=5\n1;2;3;;\n", encoding="utf-8")
    rows = table(write(source, [answer(2), answer(3)], tmp_path / "r.csv").target, ";")
    at = rows[0].index(OURS)
    assert (at, len(rows[0])) == (3, 17)
    assert rows[1][:4] == ["1", "", "", "delivered"]
    assert rows[2][:4] == ["1", "2", "3", "delivered"]
    assert rows[2][17:] == ["4", "'=5"]  # still a longer row for whoever reads the report again
    assert rows[3] == ["1", "2", "3", *[""] * 16]  # no answer for this row: our cells are empty


def test_row_numbers_are_those_of_a_spreadsheet(tmp_path, write, answer):
    """Blank lines count, line ends inside quotes and a sep= line do not."""
    source = tmp_path / "a.csv"
    source.write_bytes(b'sep=;\r\n\r\nTitolo\r\na;b\r\n"x\r\ny";1\r\n\r\n\r\nz;2\r\n')
    rows = [answer(4), answer(7)]
    target = write(source, rows, tmp_path / "r.csv", heading_row=3).target
    found = table(target, ";")
    assert found[0] == []
    assert found[1] == ["Titolo"]
    assert found[2][:3] == ["a", "b", OURS]
    assert (found[3][:3], found[3][12]) == (["x\r\ny", "1", "delivered"], "id4")
    assert found[4:6] == [[], []]
    assert (found[6][:3], found[6][12]) == (["z", "2", "delivered"], "id7")
    assert "sep=" not in target.read_text(encoding="utf-8-sig")


def test_an_unclosed_quote_takes_its_own_line_only(tmp_path, write, answer):
    source = tmp_path / "a.csv"
    source.write_text('a;b\n"open;1\nx;2\ny;3\n', encoding="utf-8")
    target = write(source, [answer(n) for n in (2, 3, 4)], tmp_path / "r.csv").target
    assert [row[:3] for row in table(target, ";")[1:]] == [
        ['"open', "1", "delivered"], ["x", "2", "delivered"], ["y", "3", "delivered"],
    ]  # fmt: skip


def test_answers_beyond_the_end_are_not_lost(tmp_path, write, answer):
    source = tmp_path / "a.csv"
    source.write_text("a;b\n1;2", encoding="utf-8")
    rows = table(write(source, [answer(2), answer(5)], tmp_path / "r.csv").target, ";")
    assert [row[2:3] for row in rows] == [[OURS], ["delivered"], [], [], ["delivered"]]


def test_costs_that_need_quotes_get_them(tmp_path, write, answer):
    source = tmp_path / "a.csv"
    source.write_text("a,b\n1,2\n", encoding="utf-8")
    row = answer(2)._replace(estimated_cost=Decimal("1E+3"), actual_cost=Decimal("0"))
    rows = table(write(source, [row], tmp_path / "r.csv", delimiter=",").target, ",")
    assert rows[1][10:12] == ["1000", "0"]


fields = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
) | st.sampled_from(['"', "''=1", "=1", "a\r\nb", "\r", ";", ",", '""', " ", "+39 312", "'+x", "-", "'"])


def written_csv(rows: list[list[str]], delimiter: str) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), delimiter=st.sampled_from([";", ",", "\t", "|"]), width=st.integers(2, 4))
def test_the_users_fields_come_back(tmp_path, write, answer, data, delimiter, width):
    body = data.draw(st.lists(st.lists(fields, min_size=width, max_size=width), max_size=6))
    rows = [[f"h{n}" for n in range(width)], *body]
    source = tmp_path / "a.csv"
    source.write_text(written_csv(rows, delimiter), encoding="utf-8", newline="")
    answered = data.draw(st.sets(st.integers(2, max(2, len(rows)))))

    target = write(
        source, [answer(n) for n in sorted(answered)], tmp_path / "r.csv", delimiter=delimiter
    ).target

    read = list(read_records(source, delimiter, "utf-8", 1))  # what the reader makes of the file
    found = table(target, delimiter)
    for record, row in zip(read, found, strict=False):
        users = [*row[:width], *row[width + len(COLUMNS) :]]
        assert [unguard_formula(field) for field in users[: len(record)]] == [
            unguard_formula(f) for f in record
        ]
        assert not any(users[len(record) :])
    assert {n for n, row in enumerate(found, 1) if row[width : width + 1] == ["delivered"]} == answered
