"""The README's commands are run, and its tables are compared with the code: a README that lies fails the build."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dispatcher.cli.app import MODULES
from dispatcher.cli.exits import Exit
from dispatcher.report import COLUMNS
from dispatcher.settings import PREFIX, SECOND_NAMES, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def command(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n```\n(.+?)\n```", README)
    assert found is not None
    return found[1]


def test_the_first_command_sends_the_sample(tmp_path: Path) -> None:
    install, _, run = command("first command").partition(" && ")
    assert install == "pip install -e ."
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    words = shlex.split(run)
    assert words[:3] == ["python", "-m", "dispatcher"]

    ended = subprocess.run(
        [sys.executable, *words[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert ended.returncode == Exit.PROBLEMS, ended.stderr
    assert (tmp_path / "samples" / "campaign.simulated.report.xlsx").is_file()


def test_the_test_command_installs_the_test_extra_and_runs_pytest() -> None:
    assert command("test command") == "pip install -e '.[test]' && python -m pytest"


def test_every_command_of_the_program_is_in_the_table() -> None:
    rows = re.findall(
        r"^\| (`.+?) \|", README.split("## Commands")[1].split("## The report")[0], re.MULTILINE
    )
    named = {word for row in rows for word in re.findall(r"`([a-z]+)", row)} | {
        word for row in rows for word in re.findall(r"`([a-z]+) ", row)
    }

    assert MODULES.keys() <= named


@pytest.mark.parametrize("code", list(Exit))
def test_every_exit_code_is_in_the_table(code: Exit) -> None:
    assert re.search(rf"^\| {code.value} \|", README, re.MULTILINE)


@pytest.mark.parametrize("column", COLUMNS)
def test_every_report_column_is_named(column: str) -> None:
    assert f"`{column}`" in README


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(rf"{PREFIX}([A-Z_]+)", README)) | {
        SECOND_NAMES[name].upper() for name in re.findall(r"OPENAPI_[A-Z]+", README)
    }
    named -= {"TEST_POSTGRES", "TEST_REDIS"}  # the tests' own
    assert {name.lower() for name in named} <= set(Settings.model_fields)
