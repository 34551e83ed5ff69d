"""The command line as a whole: help, wrong usage, and the exit code of every way to end."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from dispatcher import __version__
from dispatcher.cli.app import MODULES, command_line, language_of, run
from dispatcher.cli.exits import Exit, campaign_exit
from dispatcher.errors import DispatcherError, FileError, Halted, Interrupted, Unreachable, UsageError
from dispatcher.ledger import CampaignState, RowState
from dispatcher.wording import Wording

ROOT = Path(__file__).parents[3]
HEAVY = (
    "pandas",
    "pyarrow",
    "sqlalchemy",
    "aiohttp",
    "httptools",
    "httpx",
    "numpy",
    "openpyxl",
    "phonenumbers",
    "dramatiq",
)

Capture = pytest.CaptureFixture[str]


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    group = typer.main.get_command(command_line()) if group is None else group
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())
GROUPS = sorted({path[0] for path in COMMANDS if len(path) > 1})


# --- one command, or all


def test_all_commands_are_there_when_none_is_asked_for() -> None:
    assert {path[0] for path in COMMANDS} == MODULES.keys()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_command_that_is_asked_for_is_there_with_its_module_alone(name: str) -> None:
    group: Any = typer.main.get_command(command_line(name))

    assert name in group.commands
    assert {MODULES[other] for other in group.commands} == {MODULES[name]}


# --- alone, --version, --help


@pytest.mark.parametrize("language", ["en", "it", "es"])
def test_alone_it_says_what_to_do_first(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("DISPATCHER_LANG", language)
    assert run([]) == 0
    words = Wording(language)
    out, err = capsys.readouterr()
    assert out.splitlines() == [words(f"first_steps.{step}") for step in ("try", "check", "live")]
    assert err == ""


def test_version(capsys: Capture) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr() == (f"dispatcher {__version__}\n", "")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_shows_an_example(capsys: Capture, path: tuple[str, ...]) -> None:
    assert run([*path, "--help"]) == 0
    out, err = capsys.readouterr()
    assert f"Example: dispatcher {' '.join(path)}" in " ".join(out.split())
    assert err == ""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_speaks_json_and_three_languages(path: tuple[str, ...]) -> None:
    flags = {flag for parameter in COMMANDS[path].params for flag in parameter.opts}
    assert {"--json", "--lang", "--ledger"} <= flags


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_flag_has_a_help(path: tuple[str, ...]) -> None:
    assert [p.name for p in COMMANDS[path].params if not getattr(p, "help", None)] == []


def test_the_example_in_a_help_can_be_parsed() -> None:
    for path, command in COMMANDS.items():
        example = shlex.split(command.help.split("Example: ", 1)[1])
        assert example[: 1 + len(path)] == ["dispatcher", *path]
        with command.make_context("dispatcher", example[1 + len(path) :]):
            pass


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["--version"], [], ["check", "--bogus"]]
)
def test_help_does_not_pay_for_the_engine(arguments: list[str]) -> None:
    program = (
        "import json, sys\n"
        "from dispatcher.cli.app import run\n"
        f"run({arguments!r})\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )
    assert json.loads(done.stderr.splitlines()[-1]) == []


def test_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dispatcher", "check", "--no-such-flag", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"


# --- wrong usage


@pytest.mark.parametrize(
    ("arguments", "found", "command"),
    [
        (["--bogus"], "--bogus", "dispatcher"),
        (["frobnicate"], "frobnicate", "dispatcher"),
        (["check"], "FILE", "dispatcher check"),
        (["check", "a.csv", "b.csv"], "b.csv", "dispatcher check"),
        (["check", "a.csv", "--sheeet", "x"], "--sheeet", "dispatcher check"),
        (["run", "a.csv", "--rate-per-minute", "0"], "--rate-per-minute", "dispatcher run"),
        (["run", "a.csv", "--sender"], "--sender", "dispatcher run"),
        (["resume", "twelve"], "ID", "dispatcher resume"),
        (["optout", "frobnicate"], "frobnicate", "dispatcher optout"),
        (["optout", "add"], "NUMBER", "dispatcher optout add"),
    ],
)
def test_wrong_usage_is_one_clear_message(
    capsys: Capture, arguments: list[str], found: str, command: str
) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    message, *expected, hint = err.splitlines()
    assert message.startswith("Error: ")
    assert found in message
    assert len(expected) <= 1
    assert hint == f"  what to do: See {command} --help."

    assert run([*arguments[:1], "--json", *arguments[1:]]) == 2
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert error["code"] == "usage"
    assert error["hint"] == f"See {command} --help." or arguments[0] in ("--bogus", "frobnicate", "optout")
    assert out.count("\n") == 1
    assert len(err.splitlines()) == 2 + len(expected)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_alone_asks_for_a_command(capsys: Capture, group: str) -> None:
    assert run([group]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"Error: dispatcher {group}: a command has to follow.",
        f"  what to do: See dispatcher {group} --help.",
    ]


# --- exit codes

CHECK = ["check", "a.csv"]


def ends_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Have every command end with this."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("dispatcher.cli.session.configure", fail)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("settings_gateway_required"), Exit.USAGE, "settings_gateway_required"),
        (FileError("sheet_empty_file", file="a.csv"), Exit.FILE, "sheet_empty_file"),
        (Halted("usage_confirm_no", campaign=1), Exit.HALTED, "usage_confirm_no"),
        (Unreachable("gateway_no_answer", host="x", reason="y"), Exit.UNREACHABLE, "gateway_no_answer"),
        (Interrupted("interrupted"), Exit.INTERRUPTED, "interrupted"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "interrupted"),
        (typer.Abort(), Exit.INTERRUPTED, "interrupted"),
        (DispatcherError("bug", found="x", log="y"), Exit.BUG, "bug"),
        (ZeroDivisionError(), Exit.BUG, "bug"),
        (UsageError("without_words"), Exit.BUG, "bug"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_how_a_command_ends(
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: BaseException,
    code: Exit,
    said: str,
    as_json: bool,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ends_with(monkeypatch, error)
    assert run(CHECK + ["--json"] * as_json) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert err.startswith("Error: ")
    assert bool(out) is as_json
    if as_json:
        assert json.loads(out)["error"]["code"] == said


def test_a_bug_leaves_a_log_without_values(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = "+393123456789 Gentile Anna"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        raise LookupError(secret)
    except LookupError as cause:
        error = ValueError(secret)
        error.__cause__ = cause
    ends_with(monkeypatch, error)

    assert run([*CHECK, "--json"]) == 70
    out, err = capsys.readouterr()
    said = json.loads(out)["error"]
    assert said["found"] == "ValueError"
    (log,) = tmp_path.iterdir()
    assert str(log) in said["hint"]
    written = log.read_text("utf-8")
    assert "in fail" in written
    assert "ValueError" in written
    assert "LookupError" in written
    for text in (out, err, written):
        assert secret not in text
        assert "Traceback" not in text


S, R = CampaignState, RowState


@pytest.mark.parametrize(
    ("state", "reason", "counts", "code"),
    [
        (S.FINISHED, None, {}, Exit.OK),
        (S.FINISHED, None, {R.ACCEPTED: 3, R.DELIVERED: 4}, Exit.OK),
        (S.FINISHED, None, dict.fromkeys((R.DUPLICATE, R.OPTED_OUT, R.ALREADY_SENT, R.HIDDEN), 1), Exit.OK),
        *(
            (S.FINISHED, None, {R.ACCEPTED: 9, state: 1}, Exit.PROBLEMS)
            for state in (R.INVALID, R.REFUSED, R.IN_DOUBT, R.TOO_LATE, R.CAPPED)
        ),
        *(
            (S.FINISHED, None, {R.DELIVERED: 9, state: 1}, Exit.PROBLEMS)
            for state in (R.UNDELIVERABLE, R.EXPIRED, R.REJECTED)
        ),
        (S.FINISHED, None, {R.ACCEPTED: 9, R.INVALID: 0}, Exit.OK),
        (S.HALTED, "token_refused", {R.ACCEPTED: 1}, Exit.HALTED),
        (S.HELD, "cost_cap", {R.ACCEPTED: 1}, Exit.HALTED),
        (S.HALTED, "gateway_unreachable", {}, Exit.UNREACHABLE),
        (S.HELD, "gateway_unreachable", {}, Exit.UNREACHABLE),
        (S.PAUSED, None, {R.READY: 1}, Exit.INTERRUPTED),
        (S.WAITING, "due_times", {R.READY: 1, R.INVALID: 1}, Exit.WAITING),
    ],
)
def test_the_exit_code_of_a_campaign(
    state: CampaignState, reason: str | None, counts: dict[RowState, int], code: Exit
) -> None:
    assert campaign_exit(state, reason, counts) is code


def test_the_documented_exit_codes() -> None:
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0,
        "PROBLEMS": 1,
        "USAGE": 2,
        "FILE": 3,
        "HALTED": 4,
        "UNREACHABLE": 5,
        "WAITING": 6,
        "BUG": 70,
        "INTERRUPTED": 130,
    }
    for error in (UsageError, FileError, Halted, Unreachable, Interrupted, DispatcherError):
        assert error.exit_code in set(Exit)


# --- the language before settings are there


@pytest.mark.parametrize(
    ("arguments", "environment", "language"),
    [
        ([], {}, "en"),
        ([], {"LANG": "it_IT.UTF-8"}, "it"),
        ([], {"LANG": "it_IT.UTF-8", "LC_ALL": "es_ES.UTF-8"}, "es"),
        ([], {"LANG": "it_IT.UTF-8", "LC_MESSAGES": "es_ES.UTF-8"}, "es"),
        ([], {"LANG": "de_DE.UTF-8"}, "en"),
        ([], {"LANG": "it_IT.UTF-8", "DISPATCHER_LANG": "es"}, "es"),
        (["check", "--lang", "it"], {"DISPATCHER_LANG": "es"}, "it"),
        (["check", "--lang=it"], {"DISPATCHER_LANG": "es"}, "it"),
        (["check", "--lang"], {"DISPATCHER_LANG": "es"}, "es"),
    ],
)
def test_the_language(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], environment: dict[str, str], language: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Wording(language_of(arguments)).language == language
