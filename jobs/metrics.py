"""What a worker did, for Prometheus: requests and what came of them, the limit, and what is still to be done.

A registry of its own, no globals.  Names end in their unit; no label holds a number, a text or a name of a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from pydantic import SecretStr

from dispatcher.gateway.client import Page
from dispatcher.gateway.models import Message, OtpRequest, Route, SendRequest
from dispatcher.gateway.outcomes import Verdict
from dispatcher.sending.services import Pace, Slots, Sms

SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@contextmanager
def _served(registry: CollectorRegistry, port: int, host: str = "127.0.0.1") -> Iterator[int]:
    server, thread = start_http_server(port, host, registry=registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "dispatcher_requests",
            "Requests that sent a message or a dry run, by what the answer meant.",
            ["route", "kind", "outcome"],
            registry=self.registry,
        )
        self._answers = Histogram(
            "dispatcher_answer_seconds",
            "Time until the gateway's answer.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._slots = Counter("dispatcher_pace_slots", "Slots taken of the limit.", registry=self.registry)
        self._waited = Counter(
            "dispatcher_pace_waited_seconds",
            "Time by which the slots taken lay ahead, and until others could be asked for.",
            registry=self.registry,
        )
        self._rows = Gauge(
            "dispatcher_rows",
            "Open rows of the campaigns being sent, by state; told by the process that leads.",
            ["state"],
            registry=self.registry,
        )
        self._campaigns = Gauge("dispatcher_campaigns", "Campaigns being sent.", registry=self.registry)

    def answered(self, route: Route, kind: str, verdict: Verdict, seconds: float) -> None:
        """A request ended."""
        self._requests.labels(str(route), kind, str(verdict.outcome)).inc()
        self._answers.labels(str(route)).observe(seconds)

    def reserved(self, slots: Slots) -> None:
        """The pace was asked."""
        self._slots.inc(len(slots.offsets))
        self._waited.inc(slots.offsets[-1] if slots.offsets else slots.retry_in)

    def open_rows(self, campaigns: int, rows: dict[str, int]) -> None:
        """What the sweep saw."""
        self._campaigns.set(campaigns)
        for state, n in rows.items():
            self._rows.labels(state).set(n)

    def served(self, port: int, host: str = "127.0.0.1") -> AbstractContextManager[int]:
        """``/metrics`` on ``port`` (0: a free one) while the block lasts; gives the port.  OSError when it is taken."""
        return _served(self.registry, port, host)


class CallbackMetrics:
    """The figures of a process that receives callbacks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._callbacks = Counter(
            "dispatcher_callbacks",
            "Requests to the callback address, by what they came to.",
            ["outcome"],
            registry=self.registry,
        )
        self._inbox = Gauge(
            "dispatcher_inbox_reports", "Delivery reports that match no row yet.", registry=self.registry
        )

    def answered(self, outcome: str) -> None:
        """A request was answered."""
        self._callbacks.labels(outcome).inc()

    def inbox(self, reports: int) -> None:
        """So many wait."""
        self._inbox.set(reports)

    def served(self, port: int) -> AbstractContextManager[int]:
        """See :meth:`Metrics.served`."""
        return _served(self.registry, port)


class MeteredSms:
    """A gateway whose requests are counted."""

    def __init__(self, gateway: Sms, metrics: Metrics) -> None:
        self._gateway = gateway
        self._metrics = metrics

    def with_token(self, token: SecretStr) -> MeteredSms:
        """See :class:`Sms`."""
        return MeteredSms(self._gateway.with_token(token), self._metrics)

    async def send(self, route: Route, request: SendRequest) -> Verdict:
        """See :class:`Sms`."""
        began = perf_counter()
        verdict = await self._gateway.send(route, request)
        kind = "dry_run" if request.options is not None and request.options.dry_run else "message"
        self._metrics.answered(route, kind, verdict, perf_counter() - began)
        return verdict

    async def send_otp(self, request: OtpRequest) -> Verdict:
        """See :class:`Sms`."""
        return await self._gateway.send_otp(request)

    async def messages(self, skip: int = 0, limit: int = 100) -> Page:
        """See :class:`Sms`."""
        return await self._gateway.messages(skip, limit)

    async def message(self, message_id: str) -> Message | None:
        """See :class:`Sms`."""
        return await self._gateway.message(message_id)


class MeteredPace:
    """A pace whose slots are counted."""

    def __init__(self, pace: Pace, metrics: Metrics) -> None:
        self._pace = pace
        self._metrics = metrics

    @property
    def rate(self) -> float | None:
        """See :class:`Pace`."""
        return self._pace.rate

    async def reserve(self, n: int) -> Slots:
        """See :class:`Pace`."""
        slots = await self._pace.reserve(n)
        self._metrics.reserved(slots)
        return slots

    async def slow_down(self, seconds: float) -> None:
        """See :class:`Pace`."""
        await self._pace.slow_down(seconds)
