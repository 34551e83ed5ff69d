"""Which files are nobody's campaign, and what a taken file is called."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.watch.names import is_ignored, is_stamped, plain_name, stamped_name, stem_of

NOON = datetime(2026, 11, 22, 12, 0, 5)  # noqa: DTZ001 - the operator's wall clock


def free(stem: str) -> bool:
    return False


@pytest.mark.parametrize(
    "name",
    [
        "~$clinic.xlsx",  # Excel's lock
        ".~lock.clinic.ods#",  # LibreOffice's
        "~WRL0001.tmp",
        ".clinic.xlsx.icloud",
        "._clinic.xlsx",  # macOS' other half of a file
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "clinic.xlsx.part",
        "clinic.xlsx.PART",
        "clinic.xlsx.crdownload",
        "clinic.xlsx.filepart",
        "clinic.xlsx.tmp",
        "clinic.xlsx.ocTransferId123.part-4",
        "~syncthing~clinic.xlsx.tmp",
        ".syncthing.clinic.xlsx.tmp",
        ".clinic.xlsx.Xh3a",  # rsync
        "clinic.xlsx~",
        "campaign.toml",
        "Campaign.toml",
        "campaign.toml.READ-ME.txt",
        "campaign.toml.bak",
        ".dispatcher",
    ],
)
def test_what_is_never_a_campaign(name: str) -> None:
    assert is_ignored(name)


@pytest.mark.parametrize(
    "name",
    [
        "clinic.xlsx",
        "CLINIC.CSV",
        "clinica però (2).xlsx",
        "..xlsx",
        "a..b.csv",
        "partial.csv",
        "scan.pdf",
        "list",
    ],
)
def test_what_is_taken(name: str) -> None:
    assert is_ignored(name) == name.startswith(".")


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("clinic.xlsx", "2026-11-22 12.00.05 clinic.xlsx"),
        ("clinica però.csv", "2026-11-22 12.00.05 clinica però.csv"),
        ("clinica pero\u0300.csv", "2026-11-22 12.00.05 clinica però.csv"),  # as macOS writes it
        ("2026-01-02 03.04.05 clinic.xlsx", "2026-11-22 12.00.05 clinic.xlsx"),
        ("2026-01-02 03.04.05 (2) clinic.xlsx", "2026-11-22 12.00.05 clinic.xlsx"),
        ("clinic.report.xlsx", "2026-11-22 12.00.05 clinic.xlsx"),  # or its report would have its name
        ("clinic.simulated.report-3.csv", "2026-11-22 12.00.05 clinic.csv"),
        ("a/../b.csv", "2026-11-22 12.00.05 a_.._b.csv"),
        ("two\nlines.csv", "2026-11-22 12.00.05 two_lines.csv"),
        ("bad\udcffbyte.csv", "2026-11-22 12.00.05 bad_byte.csv"),
        ("a:b?.csv", "2026-11-22 12.00.05 a_b_.csv"),
        ("list", "2026-11-22 12.00.05 list"),
    ],
)
def test_the_name_of_a_taken_file(name: str, taken: str) -> None:
    assert stamped_name(name, NOON, free) == taken


def test_a_taken_stem_is_not_given_twice() -> None:
    there = {"2026-11-22 12.00.05 clinic", "2026-11-22 12.00.05 (2) clinic"}
    assert stamped_name("clinic.csv", NOON, there.__contains__) == "2026-11-22 12.00.05 (3) clinic.csv"


@given(st.text(st.characters(codec=None), min_size=1, max_size=300).filter(lambda name: "/" not in name))
def test_any_name_becomes_one_that_every_system_takes(name: str) -> None:
    taken = stamped_name(name, NOON, free)
    assert len(taken.encode()) < 200
    assert not set(taken) & set('/\\:*?"<>|\0\n')
    assert is_stamped(taken)
    assert not is_ignored(taken) or is_ignored(plain_name(taken))
    assert stem_of(taken).strip() == stem_of(taken)
