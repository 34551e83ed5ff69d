"""Two cores for one file: the next chunk is made by another thread while the one before it is used."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from dispatcher.errors import DispatcherError

Raw = TypeVar("Raw")
Item = TypeVar("Item")

# Of the chunks whose turn comes next one is made, and one waits to be.
_AHEAD = 2


def ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The items in order, each made by another thread while the one before it is used.

    What making an item raises comes when that item is asked for.  numpy and Arrow do most of such work without
    holding back other threads.
    """
    coming: deque[Future[tuple[Item] | None]] = deque()
    with _thread("reading", coming) as pool:
        coming.append(pool.submit(_next, items))
        while item := coming[0].result():
            coming.append(pool.submit(_next, items))
            coming.popleft()
            yield item[0]


@dataclass(frozen=True)
class _Failure:
    """In place of what could not be taken."""

    error: DispatcherError


def made_ahead(raws: Iterator[Raw], make: Callable[[Raw], Item]) -> Generator[Item, None, None]:
    """``make`` of all of them in order, in another thread, while earlier ones are used; this thread takes the raw ones.

    So the time is halved where taking and using together are as much work as making.  What making an item raises
    comes when that item is asked for, and so does what taking it raises.
    """
    coming: deque[Future[Item]] = deque()
    with _thread("making", coming) as pool:
        for raw in _taken(raws):
            coming.append(pool.submit(_made, raw, make))
            if len(coming) > _AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


@contextmanager
def _thread(name: str, coming: deque[Future[Item]]) -> Iterator[ThreadPoolExecutor]:
    """Another thread; at the end none of ``coming`` is being made, and none will be."""
    own: set[int] = set()
    pool = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=lambda: own.add(threading.get_ident()))
    try:
        yield pool
    finally:
        # The garbage collector may come here in any thread and at any moment: in one that is just starting, which
        # holds a lock that whoever joins a thread waits for; or in this very one.  So none is joined.
        pool.shutdown(wait=False)
        running = [future for future in coming if not future.cancel()]
        if threading.get_ident() not in own:
            wait(running)


def _taken(raws: Iterator[Raw]) -> Iterator[Raw | _Failure]:
    """The raw ones; a failure to take one is the last."""
    try:
        yield from raws
    except DispatcherError as error:
        yield _Failure(error)


def _made(raw: Raw | _Failure, make: Callable[[Raw], Item]) -> Item:
    if isinstance(raw, _Failure):
        raise raw.error
    return make(raw)


def _next(items: Iterator[Item]) -> tuple[Item] | None:
    # in a tuple, since no exception of its own may end the thread's work: StopIteration would look like a mistake
    for item in items:
        return (item,)
    return None
