"""The queue of one ledger and gateway: its broker, and the board of the lanes on their way."""

from __future__ import annotations

from dataclasses import dataclass

from dramatiq import Broker, Message
from dramatiq.brokers.redis import RedisBroker

from jobs.board import Board, LocalBoard, RedisBoard
from jobs.broker import QUEUE, embedded_broker, reachable, redis_broker

SEND_LANE = "send_lane"  # the actor that runs one time slice of a lane


@dataclass(frozen=True)
class Queue:
    """Where a process finds its jobs, and leaves them.  Errors: Unreachable when its server does not answer."""

    broker: Broker
    board: Board

    def start_lane(self, campaign_id: int, lane: int) -> None:
        """Start a lane in whatever process comes to it first, unless it is on its way."""
        chain = self.board.start(campaign_id, lane)
        if chain is not None:
            self.enqueue(campaign_id, lane, chain)

    def enqueue(self, campaign_id: int, lane: int, chain: str) -> None:
        """A job for the next time slice of a lane, behind those of the other campaigns."""
        arguments = (campaign_id, lane, chain)
        with reachable(self.broker):
            self.broker.enqueue(
                Message(queue_name=QUEUE, actor_name=SEND_LANE, args=arguments, kwargs={}, options={})
            )

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
