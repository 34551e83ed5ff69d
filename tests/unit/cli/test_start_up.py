"""What a command imports is what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dispatcher.ledger import Ledger

PROGRAM = """
import sys
from dispatcher.cli.app import run
run(sys.argv[1:])
print("imported", *sorted(sys.modules))
"""
HEAVY = {
    "aiohappyeyeballs",
    "aiohttp",
    "dispatcher.gateway.account_models",
    "dispatcher.ledger.records",
    "dramatiq",
    "filelock",
    "httptools",
    "httpx",
    "openpyxl",
    "pandas",
    "pydantic",
    "python_calamine",
    "pyarrow",
    "redis",
    "sqlalchemy",
    "xlrd",
}


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        (["--help"], set()),
        (["check", "people.csv", "--json"], {"pyarrow", "pydantic"}),
        (["check", "people.csv", "--send-at-column", "When"], {"pandas", "pyarrow", "pydantic"}),
        (["status"], {"dispatcher.ledger.records", "pydantic", "sqlalchemy"}),
    ],
)
def test_a_command_imports_what_it_needs(command: list[str], needed: set[str], tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(
        "Phone,Message,When\n+393123456789,Hello,01/12/2099 10:00\n", encoding="utf-8"
    )
    if "status" in command:  # a ledger that is there
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", create=True).dispose()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "DISPATCHER_GATEWAY": "simulator",
            "DISPATCHER_LEDGER": f"sqlite:///{tmp_path / 'ledger.db'}",
        },
        check=False,
    )

    (line,) = [line for line in done.stdout.splitlines() if line.startswith("imported")]
    assert set(line.split()) & HEAVY == needed
