"""Two cores for one file: the next chunk is read while the one before it is planned."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


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


def _next(items: Iterator[Item]) -> tuple[Item] | None:
    # in a tuple, since no exception of its own may end the thread's work: StopIteration would look like a mistake
    for item in items:
        return (item,)
    return None
