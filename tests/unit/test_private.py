"""Folders that hold numbers and texts: who may enter them."""

import sys
from pathlib import Path

import pytest

from dispatcher.private import private_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights of this kind are POSIX")


def rights(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_every_folder_made_is_its_owners(tmp_path: Path) -> None:
    private_folder(tmp_path / "ledger" / "inputs" / "one")
    made = [tmp_path / "ledger", tmp_path / "ledger/inputs", tmp_path / "ledger/inputs/one"]
    assert [rights(folder) for folder in made] == [0o700] * 3


def test_a_folder_that_is_there_keeps_its_rights(tmp_path: Path) -> None:
    there = tmp_path / "shared"
    there.mkdir()
    there.chmod(0o750)
    private_folder(there / "inside")
    private_folder(there)
    assert (rights(there), rights(there / "inside")) == (0o750, 0o700)


def test_a_file_in_the_way_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        private_folder(tmp_path / "file")
    with pytest.raises((FileExistsError, NotADirectoryError)):
        private_folder(tmp_path / "file" / "inside")
