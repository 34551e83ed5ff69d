"""The Dramatiq brokers, built by functions and never at import.

Embedded: Dramatiq's in-process broker.  Distributed: Redis.  The queue carries hints, not rows: losing it loses
nothing, because the ledger knows what is due and lanes are started again from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from dramatiq import Broker, Worker
from dramatiq.asyncio import EventLoopThread, set_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerError
from dramatiq.middleware import AsyncIO
from redis.backoff import NoBackoff
from redis.retry import Retry

from dispatcher.errors import Unreachable, UsageError
from dispatcher.settings import masked

QUEUE = "lanes"
ANSWER_SECONDS = 2.0  # an answer of the server later than this is none
# measured: a killed worker's messages run again after 6 s instead of 405 s, at no cost seen
HEARTBEAT_TIMEOUT = 5_000  # milliseconds
EVERY_COMMAND = 1_000_000  # out of a million: maintenance, which finds dead workers, goes with every command


class _EventLoop(AsyncIO):
    """Dramatiq's own gives up when the thread needs more than a second, and its worker goes on without a loop."""

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        thread = EventLoopThread(self.logger)
        thread.start()
        set_event_loop_thread(thread)


def embedded_broker() -> StubBroker:
    """A broker for one process.

    The middleware is only what asynchronous actors need.  No retries, time limits or shutdown notices:
    after each of them Dramatiq runs a message again while its first coroutine is still sending.
    """
    broker = StubBroker(middleware=[_EventLoop()], fail_fast_default=False)
    # StubBroker never forks, so nobody else tells the middleware that the process is up
    broker.emit_after("process_boot")
    broker.declare_queue(QUEUE)
    return broker


def redis_broker(url: str, name: str) -> RedisBroker:
    """A broker for every machine; ``name`` keeps those of others apart.

    Errors: UsageError for a URL that is none.  Nothing is connected yet.
    """
    broker = RedisBroker(  # type: ignore[no-untyped-call]
        client=connect(url),
        namespace=f"dispatcher:{name}",
        middleware=[_EventLoop()],
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        maintenance_chance=EVERY_COMMAND,
    )
    broker.declare_queue(QUEUE)
    return broker


def connect(url: str, answer_seconds: float = ANSWER_SECONDS) -> redis.Redis:
    """A client that says soon when it cannot: nobody must wait long on a dead connection.

    UsageError for a URL that is none.
    """
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=answer_seconds,
            socket_connect_timeout=answer_seconds,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
    except ValueError as error:
        raise UsageError("settings_broker_url", found=masked(url)) from error


def check(url: str) -> None:
    """Nothing when the server answers; Unreachable when it does not, UsageError for a URL that is none."""
    client = connect(url)
    try:
        client.ping()
    except redis.RedisError as error:
        raise unreachable(client, error) from error
    finally:
        client.close()


@contextmanager
def reachable(broker: Broker) -> Iterator[None]:
    """Unreachable for what a broker's server, if it has one, does not answer."""
    try:
        yield
    except (redis.RedisError, BrokerError) as error:
        client: Any = getattr(broker, "client", None)
        raise unreachable(client, error) from error


def unreachable(client: redis.Redis | None, error: Exception) -> Unreachable:
    """The error for a server that does not answer; its address is shown without user and password."""
    known = client.connection_pool.connection_kwargs if client is not None else {}
    place = f"redis://{known.get('host', '?')}:{known.get('port', '?')}/{known.get('db', 0)}"
    return Unreachable("broker_unreachable", file=place, found=type(error).__name__)
