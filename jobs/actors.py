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
RunReconcile = Callable[[int], Awaitable[None]]
OnBug = Callable[[int, BaseException], None]

log = logging.getLogger(__name__)


def declare_send_lane(broker: Broker, run_lane: RunLane, on_bug: OnBug) -> Callable[[int, int], None]:
    """Declare the actor that sends one lane of a campaign; gives the function that enqueues it.

    A lane whose time slice is over enqueues itself again behind the other campaigns.  No exception leaves an
    actor, since the broker's answer to one is to run the message again: what it raises goes to ``on_bug``.
    """

    async def send_lane(campaign_id: int, lane: int) -> None:
        try:
            end = await run_lane(campaign_id, lane)
        except Exception as error:  # noqa: BLE001 - on_bug stops the campaign and tells the person
            log.error("lane %s of campaign %s failed: %s", lane, campaign_id, type(error).__name__)
            on_bug(campaign_id, error)
            return
        if end is LaneEnd.MORE:
            enqueue(campaign_id, lane)

    actor: Any = dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name="send_lane")(send_lane)

    def enqueue(campaign_id: int, lane: int) -> None:
        actor.send(campaign_id, lane)

    return enqueue


def declare_reconcile(broker: Broker, run_reconcile: RunReconcile, on_bug: OnBug) -> Callable[[int], None]:
    """Declare the actor that looks once for a campaign's rows in doubt; gives the function that enqueues it."""

    async def reconcile(campaign_id: int) -> None:
        try:
            await run_reconcile(campaign_id)
        except Exception as error:  # noqa: BLE001 - on_bug stops the campaign and tells the person
            log.error("reconciling campaign %s failed: %s", campaign_id, type(error).__name__)
            on_bug(campaign_id, error)

    actor: Any = dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name="reconcile")(reconcile)

    def enqueue(campaign_id: int) -> None:
        actor.send(campaign_id)

    return enqueue
