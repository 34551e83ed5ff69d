"""Dispatcher inside the test's own process: a tenth of the time where nothing is killed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dispatcher.cli.app import run
from tests.integration.processes import Ended


@dataclass(frozen=True)
class Inside:
    """Runs commands in ``folder``, the working directory."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def set(self, values: Mapping[str, str]) -> None:
        """Set environment variables."""
        for name, value in values.items():
            self.monkeypatch.setenv(name, value)

    def __call__(self, *arguments: str | Path) -> Ended:
        """Run to the end."""
        self.capsys.readouterr()
        code = run([str(each) for each in arguments])
        out, err = self.capsys.readouterr()
        return Ended(code, out, err)

    def json(self, *arguments: str | Path) -> dict[str, Any]:
        """The object of a command that may end as it likes, with its exit code under ``code``."""
        ended = self(*arguments, "--json")
        found: dict[str, Any] = json.loads(ended.out)
        return {**found, "code": ended.code}
