"""Callbacks: the message, posted to the address it came with, on every change of state."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from dispatcher.gateway.simulator.config import SimulatorConfig
from dispatcher.gateway.simulator.messages import Message, shares, view
from dispatcher.gateway.simulator.store import Store

_TIMEOUT = aiohttp.ClientTimeout(total=30)
_AT_ONCE = 50


@dataclass(slots=True)
class CallbackTally:
    """What became of the callbacks so far."""

    delivered: int = 0
    failed: int = 0
    lost: int = 0
    under_way: int = 0


class Callbacks:
    """Posts what is due; never in the way of an answer.

    ``acknowledged`` hears the id and the state of each message whose callback was answered with 200.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        store: Store,
        *,
        now: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        acknowledged: Callable[[str, str], None],
    ) -> None:
        self._config = config
        self._store = store
        self._now = now
        self._sleep = sleep
        self._acknowledged = acknowledged
        self._places = asyncio.Semaphore(_AT_ONCE)
        self.tally = CallbackTally()

    async def run(self) -> None:
        """Post callbacks until cancelled; what is under way then is lost, as a callback may be."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, asyncio.TaskGroup() as posts:
            while True:
                for message, moment in self._store.take_callbacks(self._now()):
                    for late in self._delays(message, moment):
                        self.tally.under_way += 1
                        if not late:
                            await self._places.acquire()
                        posts.create_task(self._post(session, message, moment, late))
                await asyncio.sleep(self._config.callback_poll)

    def _delays(self, message: Message, moment: int) -> list[float]:
        """Of each time that this change is told."""
        low, high = self._config.callbacks_late
        named = ("late", message.seq, moment == message.final)
        drawn = shares(self._config.seed, *named)[: self._times(message, moment)]
        return [low + (high - low) * share for share in drawn]

    def _times(self, message: Message, moment: int) -> int:
        lost, doubled = shares(self._config.seed, "callback", message.seq, moment == message.final)
        if lost < self._config.callbacks_lost_rate:
            self.tally.lost += 1
            return 0
        return 2 if doubled < self._config.callbacks_doubled_rate else 1

    async def _post(self, session: aiohttp.ClientSession, message: Message, moment: int, late: float) -> None:
        callback: Mapping[str, Any] = message.body["callback"]
        shown = view(message, moment)
        body = json.dumps(shown)
        if late:
            await self._sleep(late)
            await self._places.acquire()
        try:
            for attempt in range(1 + callback["retry"]):
                if attempt:
                    await self._sleep(self._config.callback_backoff * math.ldexp(1, attempt - 1))
                if await _accepted(session, callback, body):
                    self.tally.delivered += 1
                    self._acknowledged(message.id, shown["state"])
                    return
            self.tally.failed += 1
        finally:
            self.tally.under_way -= 1
            self._places.release()


async def _accepted(session: aiohttp.ClientSession, callback: Mapping[str, Any], body: str) -> bool:
    """Post once; whether the answer was 200."""
    headers = {
        name: value for name, value in callback.get("headers", {}).items() if name.lower() != "content-type"
    }
    if callback["method"] == "POST":
        content: Any = aiohttp.FormData({callback["field"]: body})
    else:
        headers["Content-Type"] = "application/json"
        content = body.encode()
    try:
        async with session.post(
            callback["url"], data=content, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False
