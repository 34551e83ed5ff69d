"""The actor: thin.  A message names a campaign and a lane of it; everything else is in the ledger."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import dramatiq

from dispatcher.errors import DispatcherError
from dispatcher.sending.dispatch import LaneEnd
from jobs.broker import QUEUE
from jobs.queue import SEND_LANE, Queue

RunLane = Callable[[int, int], Awaitable[LaneEnd]]
OnFailure = Callable[[int, BaseException], None]

log = logging.getLogger(__name__)


def declare_send_lane(queue: Queue, run_lane: RunLane, failed: OnFailure) -> Callable[[int, int], None]:
    """Declare the actor that sends one lane of a campaign; gives the function that starts a lane.

    A lane whose time slice is over enqueues itself again behind the other campaigns, as long as the board knows it as
    this chain's.  No exception leaves an actor, since the broker's answer to one is to run the message again: what it
    raises goes to ``failed``.
    """
    board = queue.board

    def pass_on(campaign_id: int, lane: int, chain: str, end: LaneEnd) -> None:
        if end is not LaneEnd.MORE:
            board.end(campaign_id, lane, chain)
        elif board.pass_on(campaign_id, lane, chain):
            queue.enqueue(campaign_id, lane, chain)

    async def send_lane(campaign_id: int, lane: int, chain: str) -> None:
        try:
            # a board in a server may take its time, and the loop is everybody's
            if not await asyncio.to_thread(board.take, campaign_id, lane, chain):
                return
            try:
                end = await run_lane(campaign_id, lane)
            except Exception:  # and no cancellation: then the loop is ending, and waiting would keep it
                with suppress(DispatcherError):  # what the lane failed with is what has to be heard
                    await asyncio.to_thread(board.end, campaign_id, lane, chain)
                raise
            await asyncio.to_thread(pass_on, campaign_id, lane, chain, end)
        except Exception as error:  # noqa: BLE001 - who hears of it stops the campaign and tells the person
            named = error.code if isinstance(error, DispatcherError) else type(error).__name__
            log.warning("lane_failed", extra={"campaign": campaign_id, "lane": lane, "error": named})
            failed(campaign_id, error)

    dramatiq.actor(broker=queue.broker, queue_name=QUEUE, actor_name=SEND_LANE)(send_lane)
    return queue.start_lane
