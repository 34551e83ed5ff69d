"""A stand-in for the gateway, over real HTTP, written from the published description alone.

It knows nothing of the client it is tested with: its part counter and its number check are its own.

    with SimulatorThread(SimulatorConfig(state=Path("gateway.sqlite"))) as stand_in:
        ...  # the six calls at stand_in.url, token "simulator"
    stand_in.simulator.received()

Beside the API it answers ``GET /_simulator/received`` (``skip``, ``limit``), ``GET /_simulator/stats``,
``GET /_simulator/arrivals`` and ``POST /_simulator/faults`` (the fields of :class:`Faults`), without a token.

What a name stands for is imported when it is first asked for: whoever only wants its prices needs no HTTP server.
"""

from typing import TYPE_CHECKING

from dispatcher.lazily import lazily

if TYPE_CHECKING:
    from dispatcher.gateway.simulator.config import DEFAULT_FORBIDDEN, SimulatorConfig, published_prices
    from dispatcher.gateway.simulator.faults import Fault, Faults, Window, faults_from_json
    from dispatcher.gateway.simulator.inspection import Received
    from dispatcher.gateway.simulator.running import SimulatorThread, run
    from dispatcher.gateway.simulator.server import Simulator

__getattr__ = lazily(
    __name__,
    {
        "DEFAULT_FORBIDDEN": "config",
        "Fault": "faults",
        "Faults": "faults",
        "Received": "inspection",
        "Simulator": "server",
        "SimulatorConfig": "config",
        "SimulatorThread": "running",
        "Window": "faults",
        "faults_from_json": "faults",
        "published_prices": "config",
        "run": "running",
    },
)

__all__ = [
    "DEFAULT_FORBIDDEN",
    "Fault",
    "Faults",
    "Received",
    "Simulator",
    "SimulatorConfig",
    "SimulatorThread",
    "Window",
    "faults_from_json",
    "published_prices",
    "run",
]
