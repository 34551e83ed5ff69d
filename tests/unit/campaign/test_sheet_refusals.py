"""What cannot become a campaign: one FileError each, with its facts, exit code 3, in three languages."""

from __future__ import annotations

import os
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
import xlwt

from dispatcher.campaign.sheet import open_sheet
from dispatcher.errors import FileError
from dispatcher.wording import LANGUAGES, Wording

OLE = bytes.fromhex("d0cf11e0a1b11ae1")


def refused(path: Path, **options: str) -> FileError:
    """The one error that opening and reading the file gives; the file is left as it was."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(FileError) as caught:
        for _ in open_sheet(path, **options).chunks():  # type: ignore[arg-type]
            pass
    error = caught.value
    assert error.exit_code == 3
    assert error.file == str(path)
    assert before == (path.read_bytes() if path.is_file() else None)
    for language in LANGUAGES:
        said = Wording(language).error(error)
        assert said["message"]
        assert said["hint"]
        assert "None" not in said["message"]
    return error


def file(folder: Path, content: bytes | str, name: str = "campaign.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def book(folder: Path, *rows: list[object], name: str = "campaign.xlsx") -> Path:
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    for row in rows:
        workbook.active.append(row)
    workbook.save(folder / name)
    return folder / name


def package(folder: Path, parts: dict[str, bytes | str], name: str = "campaign.xlsx") -> Path:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    return folder / name


@pytest.mark.parametrize(
    ("content", "code", "facts"),
    [
        ("", "sheet_empty_file", {}),
        ("\n\n  \n", "sheet_blank", {}),
        (";;;\n\t;\n", "sheet_blank", {}),
        ("\0" * 5000, "sheet_blank", {}),
        ("\ufeff", "sheet_blank", {}),
        ("sep=;\n", "sheet_blank", {}),
        ("phone;text\n", "sheet_no_rows", {"row": 1}),
        ("\n\nphone;text\n\n;\n", "sheet_no_rows", {"row": 3}),
        ("+39 312 345 6789;Ciao\n+393123456780;Ciao\n", "sheet_no_headings", {"row": 1, "column": "A"}),
        ("Ada;3123456789\n", "sheet_no_headings", {"row": 1, "column": "B"}),
        ("Ada;3.93E+11\n", "sheet_no_headings", {"row": 1, "column": "B", "found": "3.93E+11"}),
        ("Ada;05/12/2026\n", "sheet_no_headings", {"row": 1, "column": "B"}),
        ("ada@example.org;x\n", "sheet_no_headings", {"row": 1, "column": "A"}),
        ("sms_status;sms_reason\naccepted;\n", "sheet_no_headings", {"row": 1}),
        ("Phone;text;p_HO - ne\n1;2;3\n", "sheet_duplicate_heading", {"row": 1, "column": "C", "first": "A"}),
        ("a;;b\n1;;2\n1;x;2\n", "sheet_column_without_heading", {"row": 3, "column": "B"}),
        ("a;b;\n1;2;\n1;2;x\n", "sheet_column_without_heading", {"row": 3, "column": "C"}),
        ('"a;b\n1;2\n', "sheet_heading_unreadable", {"row": 1}),
        (b"a;b\nx\x81y;1\n", "sheet_encoding_unclear", {"row": 2}),
        ("a;b\nperché;1\nè;2\n".encode() + b"cos\xec;3\n", "sheet_encoding_mixed", {"row": 4}),
        (b"a;b\nperch\xe9;1\n\xe8;2\ncos\xec;3\nperch\xc3\xa9;4\n", "sheet_encoding_mixed", {"row": 5}),
        ("a;b\n\xe8 \xec;1\n".encode("cp1252") + "l’ora;2\n".encode(), "sheet_encoding_mixed", {"row": 3}),
        ("a;b\nNome;1\nperché no;2\n".encode("cp850"), "sheet_encoding_unclear", {"row": 3}),
        ("a;b\nCiao, è ora;2\n".encode("cp850"), "sheet_encoding_unclear", {"row": 2}),
        ("a;b\nè;2\n5 €;3\n".encode("iso8859-15"), "sheet_encoding_unclear", {"row": 3}),
        ("a;b\nMuñoz;2\n".encode("cp850"), "sheet_encoding_unclear", {"row": 2}),
        ("a;b\nGarcía;2\n".encode("cp850"), "sheet_encoding_unclear", {"row": 2}),
        (b"\xff\xfea\0;\0b\0\n\0\x00\xd8x\0", "sheet_undecodable", {"row": 2, "encoding": "utf-16-le"}),
        ("a;" + "b" * 17_000_000, "sheet_line_too_long", {}),
        (b"%PDF-1.7\n", "sheet_other_kind", {"found": "PDF"}),
        (b"\x89PNG\r\n\x1a\n", "sheet_other_kind", {"found": "PNG"}),
        (b"\xff\xd8\xff\xe0", "sheet_other_kind", {"found": "JPEG"}),
        (b"{\\rtf1", "sheet_other_kind", {"found": "RTF"}),
        (b"\x1f\x8b\x08", "sheet_other_kind", {"found": "gzip"}),
        ("\n <HTML><table><tr><td>a", "sheet_other_kind", {"found": "HTML"}),
        ("\ufeff<!DOCTYPE html>", "sheet_other_kind", {"found": "HTML"}),
        ("<META charset=x>\n<table><tr>\n<td>a;b", "sheet_other_kind", {"found": "HTML"}),
        ("<style>td {}</style>\n<table>", "sheet_other_kind", {"found": "HTML"}),
        ('<?xml version="1.0"?><Workbook/>', "sheet_other_kind", {"found": "XML"}),
        (bytes(range(1, 32)) * 20, "sheet_other_kind", {"found": "binary"}),
        (OLE + b"WordDocument".join([b"", b""]), "sheet_other_kind", {"found": "OLE"}),
        (OLE + "WordDocument".encode("utf-16-le"), "sheet_other_kind", {"found": "Word (.doc)"}),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "sheet_password", {}),
        (OLE + "Workbook".encode("utf-16-le") + b"\0" * 600, "sheet_broken", {}),
        (b"PK\x03\x04 and no more", "sheet_broken", {}),
    ],
)
def test_by_content(tmp_path: Path, content: bytes | str, code: str, facts: dict[str, object]) -> None:
    for name in ("campaign.csv", "campaign.xls"):  # the name decides nothing
        error = refused(file(tmp_path, content, name))
        assert error.code == code
        assert {fact: error.facts()[fact] for fact in facts} == facts


def test_a_phone_in_the_first_row_is_not_shown_whole(tmp_path: Path) -> None:
    assert refused(file(tmp_path, "+39 312 345 6789;x\n1;2\n")).found == "+39 3** *** **89"


@pytest.mark.parametrize(
    ("content", "asked", "code", "row"),
    [
        (b"a;b\n1;2\n", "klingon", "sheet_encoding_unknown", None),
        (b"a;b\n1;2\n", "base64", "sheet_encoding_unknown", None),
        (b"a;b\n1;2\n", "a\0b", "sheet_encoding_unknown", None),
        ("a;b\n1;è\n".encode(), "idna", "sheet_encoding_unknown", None),
        (b"a;b\n1;2\n", "unicode_escape", "sheet_encoding_unknown", None),
        (b"a;b\n1;2\ncos\xec;3\n", "utf-8", "sheet_undecodable", 3),
        ("a;b\n1;è\n".encode(), "ascii", "sheet_undecodable", 2),
        (b"a;b\n1;\x81\n", "cp1252", "sheet_undecodable", 2),
    ],
)
def test_encodings_asked_for(tmp_path: Path, content: bytes, asked: str, code: str, row: int | None) -> None:
    error = refused(file(tmp_path, content), encoding=asked)
    assert (error.code, error.row) == (code, row)


def test_no_such_file_a_folder_and_lock_files(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.xlsx").code == "sheet_not_found"
    assert refused(file(tmp_path, "a\n") / "below.csv").code == "sheet_not_found"
    assert refused(tmp_path).code == "sheet_is_directory"
    assert refused(file(tmp_path, b"\x05Ada", "~$campaign.xlsx")).code == "sheet_lock_file"
    assert refused(file(tmp_path, b"Ada", ".~lock.campaign.ods#")).code == "sheet_lock_file"


@pytest.mark.skipif(sys.platform == "win32", reason="no such files on Windows")
def test_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert refused(tmp_path / "pipe.csv").code == "sheet_not_a_file"


@pytest.mark.parametrize("grow", [lambda path: path.write_bytes(path.read_bytes() + b"3;4\n"), Path.unlink])
def test_a_file_that_changes_meanwhile(tmp_path: Path, grow: Callable[[Path], object]) -> None:
    path = file(tmp_path, "a;b\n1;2\n")
    sheet = open_sheet(path)
    grow(path)
    with pytest.raises(FileError, match="sheet_changed"):
        list(sheet.chunks())


def test_worksheets(tmp_path: Path) -> None:
    path = book(tmp_path, ["a"], ["1"])
    error = refused(path, sheet="Nope")
    assert (error.code, error.found, error.params["sheets"]) == ("sheet_not_in_file", "Nope", "Sheet")
    assert refused(file(tmp_path, "a\n1\n"), sheet="Sheet").code == "sheet_csv_has_no_sheets"


@pytest.mark.parametrize(
    ("rows", "code", "facts"),
    [
        ([], "sheet_blank", {"sheet": "Sheet"}),
        ([[" ", None]], "sheet_blank", {}),
        ([["a", "b"]], "sheet_no_rows", {"row": 1, "sheet": "Sheet"}),
        ([["a", "b"], [None, " "]], "sheet_no_rows", {"row": 1}),
        ([[393123456789, "Ada"]], "sheet_no_headings", {"row": 1, "column": "A"}),
        ([["a", "A "], [1, 2]], "sheet_duplicate_heading", {"column": "B", "first": "A"}),
        (
            [["a", None, "b"], [1, None, 2], [None, "x", 3]],
            "sheet_column_without_heading",
            {"row": 3, "column": "B"},
        ),
        ([["a"], [1], [2, *[None] * 26, "x"]], "sheet_column_without_heading", {"row": 3, "column": "AB"}),
    ],
)
def test_rows_of_a_workbook(
    tmp_path: Path, rows: list[list[object]], code: str, facts: dict[str, object]
) -> None:
    error = refused(book(tmp_path, *rows))
    assert error.code == code
    assert {fact: error.facts()[fact] for fact in facts} == facts


def test_no_visible_worksheet(tmp_path: Path) -> None:
    path = book(tmp_path, ["a"], ["1"])
    parts = parts_of(path)
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace(b'state="visible"', b'state="hidden"')
    assert refused(package(tmp_path, dict(parts))).code == "sheet_no_visible"


def parts_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"word/document.xml": "<x/>"}, "Word (.docx)"),
        ({"ppt/presentation.xml": "<x/>"}, "PowerPoint (.pptx)"),
        ({"xl/workbook.bin": "x"}, "Excel (.xlsb)"),
        ({"Index/Document.iwa": "x"}, "Apple Numbers"),
        ({"mimetype": "application/vnd.oasis.opendocument.text"}, "OpenDocument"),
        ({"campaign.csv": "a;b"}, "ZIP"),
    ],
)
def test_other_packages(tmp_path: Path, parts: dict[str, bytes | str], found: str) -> None:
    error = refused(package(tmp_path, parts))
    assert (error.code, error.found) == ("sheet_other_kind", found)


ODS = "application/vnd.oasis.opendocument.spreadsheet"
MANIFEST = f"""<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">
<manifest:file-entry manifest:full-path="/" manifest:media-type="{ODS}"/>
<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml" manifest:size="100">
<manifest:encryption-data manifest:checksum="x"/></manifest:file-entry></manifest:manifest>"""


@pytest.mark.parametrize(
    "parts",
    [
        {"mimetype": ODS, "META-INF/manifest.xml": MANIFEST, "content.xml": os.urandom(100)},
        {"mimetype": ODS, "META-INF/manifest.xml": MANIFEST, "encrypted-package": os.urandom(100)},
    ],
)
def test_password_protected_ods(tmp_path: Path, parts: dict[str, bytes | str]) -> None:
    assert refused(package(tmp_path, parts, "campaign.ods")).code == "sheet_password"


def test_password_protected_xls(tmp_path: Path) -> None:
    workbook = xlwt.Workbook()
    workbook.add_sheet("a").write(0, 0, "x")
    path = tmp_path / "a.xls"
    workbook.save(str(path))
    content = path.read_bytes()
    # the WRITEACCESS record of xlwt's output becomes FILEPASS: the mark of an encrypted workbook stream
    at = content.index(bytes.fromhex("5c007000"))
    path.write_bytes(content[:at] + b"\x2f\x00" + content[at + 2 :])
    assert refused(path).code == "sheet_password"


def test_broken_workbooks_never_crash(tmp_path: Path) -> None:
    whole = book(tmp_path, ["a", "b"], ["1", "2"], ["3", "=A1"]).read_bytes()
    for cut in (30, len(whole) // 2, len(whole) - 10):
        assert refused(file(tmp_path, whole[:cut], "cut.xlsx")).code == "sheet_broken"
    parts = parts_of(tmp_path / "campaign.xlsx")
    sheet = "xl/worksheets/sheet1.xml"
    for change in (
        {sheet: parts[sheet][:150]},
        {sheet: b"no xml at all"},
        {"xl/workbook.xml": b"<"},
        {"xl/workbook.xml": b'<!DOCTYPE x [<!ENTITY a "b">]>' + parts["xl/workbook.xml"]},
        {"xl/_rels/workbook.xml.rels": b"<Relationships/>"},
    ):
        assert refused(package(tmp_path, {**parts, **change}, "bad.xlsx")).code in {
            "sheet_broken",
            "sheet_blank",
        }


def test_a_damaged_xls_never_crashes(tmp_path: Path) -> None:
    """One reader aborted the process on some of these: all damage must come out as a FileError or be harmless."""
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("a")
    for row in range(20):
        sheet.write(row, 0, f"cell {row}")
    path = tmp_path / "a.xls"
    workbook.save(str(path))
    whole, chance, codes = path.read_bytes(), random.Random(7), set()
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(20):
            content[chance.randrange(512, len(content))] = chance.randrange(256)
        path.write_bytes(content)
        try:
            list(open_sheet(path).chunks())
        except FileError as error:
            codes.add(error.code)
    assert "sheet_broken" in codes


def test_a_worksheet_written_in_utf16_is_refused_rather_than_half_read(tmp_path: Path) -> None:
    parts = parts_of(book(tmp_path, ["a"], ["1"]))
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = ('<?xml version="1.0" encoding="UTF-16"?>' + parts[sheet].decode()).encode("utf-16")
    assert refused(package(tmp_path, dict(parts))).code in {"sheet_broken", "sheet_blank"}


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    parts = parts_of(book(tmp_path, ["a"], ["1"]))
    parts["xl/sharedStrings.xml"] = b" " * (80 << 20)
    assert refused(package(tmp_path, dict(parts))).code == "sheet_zip_bomb"


def test_a_directory_that_lies_about_its_sizes_is_found_out(tmp_path: Path) -> None:
    parts = parts_of(book(tmp_path, ["a"], ["1"]))
    size = 80 << 20
    parts["xl/sharedStrings.xml"] = b" " * size
    path = package(tmp_path, dict(parts))
    content = path.read_bytes()
    assert content.count(size.to_bytes(4, "little")) == 2  # the local header and the directory
    path.write_bytes(content.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    assert refused(path).code == "sheet_broken"


@pytest.mark.parametrize(
    ("row", "cell"),
    [("1048576", "XFD1048576"), ("99999999", "A99999999"), ("400000", "ZZZ400000"), ("3", "C99999999999")],
)
def test_one_cell_far_out_does_not_lay_out_a_giant_grid(tmp_path: Path, row: str, cell: str) -> None:
    """The cell reader would ask for the memory of the whole grid and abort the process."""
    parts = parts_of(book(tmp_path, ["a"], ["1"]))
    sheet = "xl/worksheets/sheet1.xml"
    far = f'<row r="{row}"><c r="{cell}"><v>1</v></c></row></sheetData>'.encode()
    parts[sheet] = parts[sheet].replace(b"</sheetData>", far)
    assert refused(package(tmp_path, dict(parts))).code == "sheet_too_large"


def test_a_styled_blank_cell_far_out_is_nothing(tmp_path: Path) -> None:
    parts = parts_of(book(tmp_path, ["a"], ["1"]))
    sheet = "xl/worksheets/sheet1.xml"
    far = b'<row r="1048576"><c r="XFD1048576" s="0"/></row></sheetData>'
    parts[sheet] = parts[sheet].replace(b"</sheetData>", far)
    assert open_sheet(package(tmp_path, dict(parts))).headings == ("a",)
