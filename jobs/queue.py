"""The queue of one ledger: its broker, and the board of the lanes on their way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dramatiq import Broker
from dramatiq.brokers.redis import RedisBroker

from jobs.actors import lane_starter
from jobs.board import Board, LocalBoard, RedisBoard
from jobs.broker import embedded_broker, redis_broker


@dataclass(frozen=True)
class Queue:
    """Where a process finds its jobs."""

    broker: Broker
    board: Board

    def lane_starter(self) -> Callable[[int, int], None]:
        """For a process that runs no lanes: starts one elsewhere, unless it is on its way.  Ask for it once.

        What it raises: Unreachable.
        """
        return lane_starter(self.broker, self.board)

    def close(self) -> None:
        """Close the connections."""
        if isinstance(self.broker, RedisBroker):
            self.broker.client.close()


def embedded_queue() -> Queue:
    """For one process that runs its own jobs."""
    return Queue(embedded_broker(), LocalBoard())


def redis_queue(url: str, ledger_id: str, gateway: str) -> Queue:
    """For every process of the ledger that sends through this gateway, and for no other."""
    broker = redis_broker(url, f"{ledger_id}:{gateway}")
    return Queue(broker, RedisBoard(broker.client, broker.namespace))
