"""The actors: thin.  A message names a campaign and a lane of it; everything else is in the ledger."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import dramatiq
from dramatiq import Broker

from dispatcher.errors import DispatcherError
from dispatcher.sending.dispatch import LaneEnd
from jobs.board import Board
from jobs.broker import QUEUE, reachable

RunLane = Callable[[int, int], Awaitable[LaneEnd]]
OnFailure = Callable[[int, BaseException], None]
Start = Callable[[int, int], None]

log = logging.getLogger(__name__)


def declare_send_lane(broker: Broker, board: Board, run_lane: RunLane, failed: OnFailure) -> Start:
    """Declare the actor that sends one lane of a campaign; gives :func:`lane_starter`'s function.

    A lane whose time slice is over enqueues itself again behind the other campaigns, as long as the board knows it as
    this chain's.  No exception leaves an actor, since the broker's answer to one is to run the message again: what it
    raises goes to ``failed``.
    """

    def pass_on(campaign_id: int, lane: int, chain: str, end: LaneEnd) -> None:
        if end is not LaneEnd.MORE:
            board.end(campaign_id, lane, chain)
        elif board.pass_on(campaign_id, lane, chain):
            with reachable(broker):
                actor.send(campaign_id, lane, chain)

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
            log.info("lane %s of campaign %s ended: %s", lane, campaign_id, type(error).__name__)
            failed(campaign_id, error)

    actor: Any = dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name="send_lane")(send_lane)
    return _starter(broker, board, actor)


def lane_starter(broker: Broker, board: Board) -> Start:
    """For a process that runs no lanes: starts one elsewhere, unless it is on its way.

    Errors: Unreachable when the broker is.
    """

    async def send_lane(campaign_id: int, lane: int, chain: str) -> None:
        raise NotImplementedError("lanes run in workers")

    actor: Any = dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name="send_lane")(send_lane)
    return _starter(broker, board, actor)


def _starter(broker: Broker, board: Board, actor: Any) -> Start:
    def start(campaign_id: int, lane: int) -> None:
        chain = board.start(campaign_id, lane)
        if chain is not None:
            with reachable(broker):
                actor.send(campaign_id, lane, chain)

    return start
