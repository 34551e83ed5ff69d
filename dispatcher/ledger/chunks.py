"""A long list in pieces: a statement takes only so many values, and a transaction should be short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """``items`` in their order, at most ``size`` at a time; nothing for none."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
