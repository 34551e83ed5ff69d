"""A report of a workbook imports what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.unit.report.conftest import Package

PROGRAM = """
import sys
from pathlib import Path
from dispatcher.report.campaign import Reporter
from dispatcher.report.extend import Extension
with open(sys.argv[2], "wb") as target:
    Extension(Path(sys.argv[1]), None, 1).write([], target)
print(*{name.split(".")[0] for name in sys.modules})
"""
NOT_NEEDED = {"jinja2", "openpyxl", "pandas", "pyarrow", "python_calamine", "xlrd"}
SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    '<row r="1"><c r="A1" t="inlineStr"><is><t>tel</t></is></c></row>'
    '<row r="2" spans="1:1"><c r="A2"><v>3</v></c></row><row r="3"><c r="A3" s="1"/></row>'
    "</sheetData></worksheet>"
)


def test_what_a_workbook_needs(tmp_path: Path, package: Package) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(package(SHEET)), str(tmp_path / "report.xlsx")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(done.stdout.split()) & NOT_NEEDED
