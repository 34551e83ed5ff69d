"""Two cores for one file: the next chunk is made by another thread while the one before it is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from dispatcher.errors import DispatcherError

Raw = TypeVar("Raw")
Item = TypeVar("Item")

# Of the chunks whose turn comes next one is made, and one waits to be.
_AHEAD = 2


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items in order, each made by another thread while the one before it is used.

    What making an item raises comes when that item is asked for.  numpy and Arrow do most of such work without
    holding back other threads.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="reading") as pool:
        coming = pool.submit(_next, items)
        while item := coming.result():
            coming = pool.submit(_next, items)
            yield item[0]


@dataclass(frozen=True)
class _Failure:
    """In place of what could not be taken."""

    error: DispatcherError


def made_ahead(raws: Iterator[Raw], make: Callable[[Raw], Item]) -> Iterator[Item]:
    """``make`` of all of them in order, in another thread, while earlier ones are used; this thread takes the raw ones.

    So the time is halved where taking and using together are as much work as making.  What making an item raises
    comes when that item is asked for, and so does what taking it raises.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="making") as pool:
        coming: deque[Future[Item]] = deque()
        for raw in _taken(raws):
            coming.append(pool.submit(_made, raw, make))
            if len(coming) > _AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


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
