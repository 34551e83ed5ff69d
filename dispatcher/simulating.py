"""The embedded simulator, for a process that was given no other gateway."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from dispatcher.errors import UsageError
from dispatcher.gateway.simulator import SimulatorConfig, SimulatorThread
from dispatcher.ledger.database import create_file
from dispatcher.settings import Target

if TYPE_CHECKING:
    from dispatcher.application import Application


def embedded_simulator(application: Application, target: Target, stack: ExitStack) -> str:
    """Starts one with its state beside the ledger, shared by all of them; gives its base URL.  UsageError where several
    machines share the work.
    """
    if application.distributed:
        raise UsageError("settings_simulator_shared")
    create_file(application.folder / "simulator.db")  # it holds numbers and texts: for its owner's eyes
    config = SimulatorConfig(state=application.folder / "simulator.db", token=target.token.get_secret_value())
    return stack.enter_context(SimulatorThread(config)).url
