"""Python's cyclic garbage collector while messages are sent."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

ALLOCATIONS = 50_000
"""Containers made between two collections: Python's own 700 are three messages' worth, and hundreds of messages are in
flight, which every collection walks in vain."""


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Collections are rarer, and what was there before is left out of them; as it was afterwards."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
