"""A sender as a process in a strange world: ``python -m tests.chaos.runner run campaign.csv --yes``.

It is the command line of dispatcher with other clocks or shorter waits.  The environment says which:

``CHAOS_CLOCKS``  ``SEED:EPOCH:CALM``: the machine's clocks are those of :class:`tests.chaos.clocks.Machine`.
``CHAOS_HASTE``   the waits of an hour-long campaign (time-outs, margins, pauses between looks at the listing) shrink
                  to seconds, so that a campaign of a few seconds lives through all of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from types import ModuleType

from dispatcher import line
from dispatcher.application import Application
from dispatcher.cli import main
from dispatcher.gateway.client import Gateway, GatewayConfig
from dispatcher.sending import lease, reconcile
from dispatcher.watch import service, settling
from jobs import doubts
from tests.chaos.clocks import Machine, SteppedClock

HASTE: Sequence[tuple[ModuleType, str, object]] = (
    (line, "GatewayConfig", partial(GatewayConfig, timeout=2.0)),
    (lease, "START_MARGIN", timedelta(seconds=0.5)),
    (reconcile, "PATIENCE", timedelta(seconds=2)),
    (doubts, "PASSES", (0.5, 1.0)),
    (doubts, "PROOF_PASS", 0.3),
    (settling, "LEAST_PATIENCE", 4.0),
    (service, "AGAIN", timedelta(seconds=1)),
)
"""Where a wait is kept, and how short it becomes; what it is for stays as it is."""


def step_clocks(machine: Machine) -> None:
    """Every wall clock of this process, and the sender's monotonic one, become the machine's."""
    clock = SteppedClock(machine)

    def now(*_self: object) -> datetime:
        return clock.now()

    substitute(time, "time", machine.wall)
    substitute(line, "SystemClock", lambda: clock)
    substitute(line, "Gateway", partial(Gateway, now=now))
    substitute(Application, "now", now)


def substitute(owner: object, name: str, value: object) -> None:
    """Put ``value`` in the place of what must be there already; AttributeError when it has moved away."""
    getattr(owner, name)
    setattr(owner, name, value)


def run() -> None:
    """Prepare the world the environment asks for, then be dispatcher."""
    if described := os.environ.get("CHAOS_CLOCKS"):
        step_clocks(Machine.described(described))
    if os.environ.get("CHAOS_HASTE"):
        for module, name, short in HASTE:
            substitute(module, name, short)
    main()


if __name__ == "__main__":
    run()
