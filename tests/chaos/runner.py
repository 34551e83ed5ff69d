"""A sender as a process in a strange world: ``python -m tests.chaos.runner run campaign.csv --yes``.

It is the command line of dispatcher with other clocks or shorter waits.  The environment says which:

``CHAOS_CLOCKS``  ``SEED:EPOCH:CALM``: the machine's clocks are those of :class:`tests.chaos.clocks.Machine`.
``CHAOS_HASTE``   the waits of an hour-long campaign (time-outs, margins, pauses between looks at the listing) shrink
                  to seconds, so that a campaign of a few seconds lives through all of them.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from functools import partial

import jobs.sender
from dispatcher import building
from dispatcher.application import Application
from dispatcher.cli import main
from dispatcher.gateway.client import Gateway, GatewayConfig
from dispatcher.sending import dispatch, reconcile
from tests.chaos.clocks import Machine, SteppedClock

REQUEST_TIMEOUT = 2.0


def make_haste() -> None:
    """Shrink the waits; what they are for stays as it is."""
    setattr(building, "GatewayConfig", partial(GatewayConfig, timeout=REQUEST_TIMEOUT))  # noqa: B010
    dispatch.START_MARGIN = timedelta(seconds=0.5)
    reconcile.PATIENCE = timedelta(seconds=2)
    jobs.sender.PASSES = (0.5, 1.0)  # type: ignore[assignment]


def step_clocks(machine: Machine) -> None:
    """Every wall clock of this process, and the sender's monotonic one, become the machine's."""
    clock = SteppedClock(machine)

    def now(*_self: object) -> datetime:
        return clock.now()

    time.time = machine.wall
    setattr(building, "SystemClock", lambda: clock)  # noqa: B010
    setattr(Application, "now", now)  # noqa: B010
    setattr(building, "Gateway", partial(Gateway, now=now))  # noqa: B010


def run() -> None:
    """Prepare the world the environment asks for, then be dispatcher."""
    if described := os.environ.get("CHAOS_CLOCKS"):
        step_clocks(Machine.described(described))
    if os.environ.get("CHAOS_HASTE"):
        make_haste()
    main()


if __name__ == "__main__":
    run()
