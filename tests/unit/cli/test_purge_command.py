"""``purge`` asks before it removes, and says what stays."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher.cli.app import run
from dispatcher.ledger import Ledger
from tests.unit.loaded import load_campaign, loadable_row

Capture = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    """Somebody who types an answer."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """With an old cancelled campaign, and an old one that was only planned."""
    url = f"sqlite:///{tmp_path / 'l' / 'ledger.db'}"
    monkeypatch.setenv("DISPATCHER_LEDGER", url)
    ledger = Ledger.open(url, create=True)
    old = datetime.now(UTC) - timedelta(days=100)
    assert ledger.campaigns.cancel(load_campaign(ledger, 1, [loadable_row(2), loadable_row(3)], old), old)
    yield ledger
    ledger.dispose()


@pytest.mark.parametrize(
    ("answer", "code", "texts"), [("y\n", 0, 0), ("n\n", 4, 2), ("\n", 4, 2), ("", 4, 2)]
)
def test_it_asks(
    ledger: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, texts: int
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run(["purge", "--older-than", "90d"]) == code
    said = capsys.readouterr()
    assert "1 campaign with 2 rows" in said.out
    assert "[y/N]" in said.out
    kept = ledger.queries.texts(1, [2, 3])
    assert len([text for text in kept.values() if text]) == texts


def test_without_anybody_to_ask_nothing_goes(ledger: Any, capsys: Capture) -> None:
    assert run(["purge", "--older-than", "90d", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "purge_needs_yes"
    assert ledger.queries.texts(1, [2]) == {2: "Hello 2"}


def test_what_stays_is_said_and_is_exit_code_1(ledger: Any, capsys: Capture) -> None:
    planned = load_campaign(ledger, 2, [loadable_row(2)], datetime.now(UTC) - timedelta(days=99))
    assert run(["purge", "--older-than", "12w", "--yes", "--json"]) == 1
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["campaigns"], found["rows"], found["dry_run"]) == ([1], 2, False)
    assert found["left"] == [{"campaign": planned, "state": "planned", "in_doubt": False}]
    assert f"dispatcher cancel {planned}" in said.err
    assert run(["purge", "--older-than", "90d", "--yes", "--lang", "it"]) == 1
    assert "è altrettanto vecchia e resta" in capsys.readouterr().err


def test_a_time_in_which_a_person_has_a_cap_is_too_short(
    ledger: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPATCHER_CAP", "2 per 30d")
    assert run(["purge", "--older-than", "29d", "--yes", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "purge_cap"


def test_without_a_ledger_there_is_nothing_to_purge(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISPATCHER_LEDGER", f"sqlite:///{tmp_path / 'none' / 'ledger.db'}")
    assert run(["purge", "--older-than", "90d", "--yes", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "no_ledger"
    assert not (tmp_path / "none").exists()
