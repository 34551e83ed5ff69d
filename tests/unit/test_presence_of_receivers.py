"""Who only receives callbacks has no part in what senders must agree on."""

from __future__ import annotations

from pathlib import Path

import pytest

from dispatcher.application import Application
from dispatcher.presence import present
from dispatcher.settings import load
from dispatcher.wording import Wording


@pytest.mark.parametrize(("role", "alone"), [("serve", True), ("worker", False), ("run", False)])
def test_a_receiver_keeps_no_sender_from_being_alone(tmp_path: Path, role: str, alone: bool) -> None:
    values = {"ledger": f"sqlite:///{tmp_path / 'ledger.db'}"}
    configuration = load(values, environ={}, directory=tmp_path, user_directory=tmp_path)
    with Application(configuration, Wording("en")) as application:
        ledger = application.ledger()
        ledger.processes.register(
            "other", pid=1, host="elsewhere", role=role, lock_path="x", now=application.now()
        )
        with present(application, ledger, "worker", "sandbox") as presence:
            presence.register()
            assert presence.is_alone() is alone
