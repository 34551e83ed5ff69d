"""What arrives while one transaction is made shares the next one: one flush to the disk for all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from dispatcher.errors import DispatcherError

T = TypeVar("T")


class Full(Exception):
    """More waits already than can be stored soon."""


class Batches(Generic[T]):
    """Stores items in the order they came; each is answered once its own batch is stored."""

    def __init__(
        self, store: Callable[[Sequence[T]], Awaitable[None]], *, most: int = 256, room: int = 4_000
    ) -> None:
        """``most`` items are stored at once, and ``room`` may wait."""
        self._store = store
        self._most = most
        self._room = room
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._some = asyncio.Event()
        self._closed = False

    async def put(self, item: T) -> None:
        """Returns once it is stored.  Raises Full, or what storing it raised: then it is not known to be stored."""
        if self._closed or len(self._waiting) >= self._room:
            raise Full
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._some.set()
        await future

    def close(self) -> None:
        """Take nothing more; :meth:`run` ends when what waits is stored."""
        self._closed = True
        self._some.set()

    async def run(self) -> None:
        """Store what comes until it is closed."""
        while self._waiting or not self._closed:
            await self._some.wait()
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            if not self._waiting and not self._closed:
                self._some.clear()
            await self._finish(batch)

    async def _finish(self, batch: Sequence[tuple[T, asyncio.Future[None]]]) -> None:
        if not batch:
            return
        try:
            await self._store([item for item, _ in batch])
        except DispatcherError as error:
            _answer(batch, error)
        except Exception as error:  # noqa: BLE001 - put() raises it to whoever brought the item
            if len(batch) == 1:
                _answer(batch, error)
                return
            for each in batch:  # one that cannot be stored must not keep the others out
                await self._finish([each])
        else:
            _answer(batch, None)


def _answer(batch: Sequence[tuple[object, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, future in batch:
        with suppress(asyncio.InvalidStateError):  # who brought it has gone
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
