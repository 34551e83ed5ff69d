"""Ctrl-C at a moment when it does no harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@contextmanager
def unbroken() -> Iterator[Callable[[], None]]:
    """An interruption waits until the block ends, well or not, or until the function given here is called;
    KeyboardInterrupt then.

    Raised inside a transaction it would leave a half-dead connection that keeps the ledger locked for as long as the
    exception is being handled: nothing could be settled or paused.  Off the main thread nothing is interrupted anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True

    def check() -> None:
        nonlocal came
        if came:
            came = False
            raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    handlers = {n: handler for n in numbers if callable(handler := signal.getsignal(n))}
    for number in handlers:
        signal.signal(number, note)
    try:
        yield check
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        check()  # also where the block failed: an interruption weighs more than an error that is tried again
