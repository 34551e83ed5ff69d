"""A file is read in blocks of bytes: where they end changes nothing, also inside a character."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher.campaign.sheet import Sheet, encoding, open_sheet
from dispatcher.campaign.sheet.encoding import require_text
from dispatcher.errors import FileError

CONTENT = 'Nome,Città\nZoë,Forlì\n"a\nb",😀\n\nŁukasz,漢字\ny"x,Málaga\nAnna,'
SAME_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def cells(sheet: Sheet) -> list[tuple[int, tuple[str, ...]]]:
    return [
        (int(row), tuple(line))
        for chunk in sheet.chunks()
        for row, line in zip(chunk.rows, chunk.cells.itertuples(index=False, name=None), strict=True)
    ]


@pytest.mark.parametrize("written", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("size", [3, 4, 5, 7, 11, 40])
def test_blocks_may_end_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, size: int
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(CONTENT.encode(written))
    sheet = open_sheet(path)
    whole = cells(sheet)
    monkeypatch.setattr(encoding, "BLOCK_BYTES", size)

    assert cells(sheet) == whole
    assert [row for row, _ in whole] == [2, 3, 5, 6, 7]


@SAME_FILE
@given(
    st.one_of(
        st.binary(max_size=8),
        st.text(max_size=8).map(str.encode),
        st.tuples(st.text("aè€😀", max_size=6), st.integers(0, 24)).map(lambda t: t[0].encode()[: t[1]]),
    ),
    st.integers(1, 6),
)
def test_text_is_what_can_be_decoded(tmp_path: Path, data: bytes, size: int) -> None:
    path = tmp_path / "text"
    path.write_bytes(data)
    expected: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    try:
        data.decode()
    except UnicodeDecodeError:
        expected = pytest.raises(FileError)
    with pytest.MonkeyPatch.context() as patched, expected:
        patched.setattr(encoding, "BLOCK_BYTES", size)
        require_text(path, "utf-8")


def test_bytes_that_are_no_text_any_more_are_never_rows(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"a,b\n1,x\n")
    sheet = open_sheet(path)
    stamp = path.stat()
    path.write_bytes(b"a,b\n1,\xe8\n")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    with pytest.raises(FileError) as raised:
        list(sheet.chunks())
    assert raised.value.code == "sheet_undecodable"
