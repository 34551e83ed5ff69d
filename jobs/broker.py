"""The Dramatiq broker, built by a function and never at import.

Embedded: Dramatiq's in-process broker.  The queue carries hints, not rows: losing it loses nothing, because
the ledger knows what is due and lanes are started again from there.
"""

from __future__ import annotations

from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import AsyncIO

QUEUE = "lanes"


def embedded_broker() -> StubBroker:
    """A broker for one process.

    The middleware is only what asynchronous actors need.  No retries, time limits or shutdown notices:
    after each of them Dramatiq runs a message again while its first coroutine is still sending.
    """
    broker = StubBroker(middleware=[AsyncIO()], fail_fast_default=False)
    # StubBroker never forks, so nobody else tells the middleware that the process is up
    broker.emit_after("process_boot")
    broker.declare_queue(QUEUE)
    return broker
