"""The actors: thin.  A message names a campaign and a lane; everything else is in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import dramatiq
from dramatiq import Broker

from dispatcher.sending.dispatch import LaneEnd
from jobs.broker import QUEUE

RunLane = Callable[[int, int], Awaitable[LaneEnd]]
OnBug = Callable[[int, BaseException], None]
Enqueue = Callable[[int, int], None]

log = logging.getLogger(__name__)


def declare_send_lane(broker: Broker, run_lane: RunLane, on_bug: OnBug) -> Enqueue:
    """Declare the actor that sends one lane of a campaign; gives the function that enqueues it.

    A lane whose time slice is over enqueues itself again behind the other campaigns.  No exception leaves
    the actor, since the broker's answer to one is to run the message again: what ``run_lane`` raises goes
    to ``on_bug``.
    """

    async def send_lane(campaign_id: int, lane: int) -> None:
        try:
            end = await run_lane(campaign_id, lane)
        except Exception as error:
            log.exception("lane %s of campaign %s failed", lane, campaign_id)
            on_bug(campaign_id, error)
            return
        if end is LaneEnd.MORE:
            enqueue(campaign_id, lane)

    actor: Any = dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name="send_lane")(send_lane)

    def enqueue(campaign_id: int, lane: int) -> None:
        actor.send(campaign_id, lane)

    return enqueue
