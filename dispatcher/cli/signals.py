"""Being asked to end, by a person or by a service manager."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Whoever ends the program politely (a service manager, a closed terminal) gets what Ctrl-C gets.

    What is in flight is settled and the campaign is paused, instead of leaving rows in doubt.  For the main thread.
    """
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup, say
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if callable(signal.getsignal(signal.SIGINT)):
        signal.raise_signal(signal.SIGINT)  # while asyncio runs, it has a handler of its own there
    else:  # a shell that starts a program in the background has it ignore Ctrl-C
        raise KeyboardInterrupt
