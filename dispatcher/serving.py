"""Builds the receiver of callbacks from one application's settings, and serves it.

Apart from what sends: it needs no spreadsheet, no queue and no limit, and starts without them.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import uvicorn

from dispatcher.delivery.filing import Filing, Told
from dispatcher.delivery.receiver import PATH, STATUSES, Ledgers, Outcome, Receiver
from dispatcher.errors import UsageError
from dispatcher.ports import free_port, is_taken, problem_of
from dispatcher.presence import present
from dispatcher.sending.services import LedgerThread, SystemClock
from dispatcher.target import choose_target
from jobs.garbage import collected_seldom

if TYPE_CHECKING:
    from dispatcher.application import Application

BACKLOG = 2_048
CONNECTIONS = 2_000
HEADERS = 16 * 1024  # bytes of a request before its body
IDLE_SECONDS = 30
LAST_SECONDS = 30  # for what is in hand when it is told to stop
TOLD_EVERY = timedelta(minutes=1)


@dataclass
class Figures:
    """What came in since the start, and what it came to in the ledger."""

    requests: Counter[Outcome] = field(default_factory=Counter)
    changed: int = 0
    waiting: int = 0
    strange: int = 0
    inbox: int = 0

    def values(self) -> Mapping[str, int]:
        """By name: every outcome, then ``changed`` rows, reports that matched no row or were strange, the inbox."""
        outcomes = {str(outcome): self.requests[outcome] for outcome in Outcome}
        return {
            **{"received": self.requests.total(), **outcomes, "changed": self.changed},
            **{"unmatched": self.waiting, "strange": self.strange, "inbox": self.inbox},
        }

    def turned_away(self) -> Mapping[int, int]:
        """How many requests were answered with each status that is not 200; all but the stored ones."""
        return {
            status: self.requests[outcome]
            for outcome, status in STATUSES.items()
            if outcome is not Outcome.STORED and self.requests[outcome]
        }


class CallbackService:
    """Listens; :meth:`serve` answers.  ``url`` is where."""

    def __init__(self, receiver: Receiver, listener: socket.socket, gateway: str, figures: Figures) -> None:
        self._receiver = receiver
        self._listener = listener
        self.gateway = gateway
        self.figures = figures
        host, port = listener.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"

    def serve(self, listening: Callable[[], None]) -> None:
        """Until SIGINT or SIGTERM, which let what is in hand be stored and answered; raises KeyboardInterrupt then.

        For the main thread.  ``listening`` is called once requests are answered.
        """
        config = uvicorn.Config(
            self._receiver.app,
            http="h11",  # the quicker parser takes headers without an end
            lifespan="on",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            backlog=BACKLOG,
            h11_max_incomplete_event_size=HEADERS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=LAST_SECONDS,
        )
        asyncio.run(_Server(config, listening).serve(sockets=[self._listener]))


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._listening()


@contextmanager
def build_callback_service(
    application: Application, host: str, port: int, told: Callable[[Figures], None]
) -> Iterator[CallbackService]:
    """What receives the callbacks of a ledger's messages, listening, while the block lasts.

    ``told`` hears the figures now and then while they change.  UsageError when the address cannot be listened on.
    """
    with ExitStack() as stack:
        target = choose_target(application.configuration, must_be_named=True)
        ledger = application.ledger()
        signer = application.signer(ledger)
        stack.enter_context(collected_seldom())
        listener = stack.enter_context(_listener(host, port))
        presence = stack.enter_context(present(application, ledger, "serve", target.name))
        presence.register()
        if application.distributed:
            stack.enter_context(presence.beating(lambda: None))
        thread, clock, figures = LedgerThread(ledger), SystemClock(), Figures()
        stack.callback(thread.close)
        filing, teller = Filing(ledger, target.name), _Teller(clock, figures, told)
        count, full = _metered(application, figures, stack)

        async def file(batch: Sequence[Told]) -> None:
            filed = await thread(filing, batch, clock.now())
            figures.changed += filed.changed
            figures.waiting += filed.waiting
            figures.strange += filed.strange

        async def tidy() -> None:
            figures.inbox = await thread(filing.tidy, clock.now())
            full(figures.inbox)
            teller.tell()

        receiver = Receiver(Ledgers(ledger.id, file, tidy), signer, clock, count=count)
        yield CallbackService(receiver, listener, target.name, figures)


class _Teller:
    """Tells the figures once a minute, where they have changed."""

    def __init__(self, clock: SystemClock, figures: Figures, told: Callable[[Figures], None]) -> None:
        self._clock = clock
        self._figures = figures
        self._told = told
        self._last = figures.values()
        self._next = clock.monotonic() + TOLD_EVERY.total_seconds()

    def tell(self) -> None:
        now, values = self._clock.monotonic(), self._figures.values()
        if now < self._next or values == self._last:
            return
        self._next, self._last = now + TOLD_EVERY.total_seconds(), values
        self._told(self._figures)


def _metered(
    application: Application, figures: Figures, stack: ExitStack
) -> tuple[Callable[[Outcome], None], Callable[[int], None]]:
    """What counts requests, and what is told the inbox's size; for Prometheus as well, where a port is set."""

    def count(outcome: Outcome) -> None:
        figures.requests[outcome] += 1

    port = application.settings.metrics_port
    if port is None:
        return count, lambda size: None
    from jobs.metrics import CallbackMetrics

    metrics = CallbackMetrics()
    try:
        stack.enter_context(metrics.served(port))
    except OSError as error:
        raise UsageError("settings_metrics_port", found=str(port), problem=problem_of(error)) from error

    def count_both(outcome: Outcome) -> None:
        count(outcome)
        metrics.answered(str(outcome))

    return count_both, metrics.inbox


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        if is_taken(error):
            raise UsageError(
                "serve_port_taken", found=str(port), host=host, free=free_port(host, port)
            ) from error
        raise UsageError("serve_address", found=f"{host}:{port}", problem=problem_of(error)) from error
