"""The command line: one module per command.  Each parses, calls, prints, and decides nothing."""

from __future__ import annotations

import gc
import os
import signal
import sys

# A command makes many objects that stay and hardly any garbage with cycles: to look for it as often as Python
# does would be a tenth of what a start takes.
NEW_OBJECTS_BEFORE_A_LOOK = 100_000
# written out: whatever is imported here is imported before a Ctrl-C is answered in words
INTERRUPTED = 130
STREAMS = ("stdin", "stdout", "stderr")


def main() -> None:
    """Run the command line and exit with its documented code."""
    gc.set_threshold(NEW_OBJECTS_BEFORE_A_LOOK)
    _open_what_is_closed()
    try:
        from dispatcher.cli.app import run

        code = run()
    except KeyboardInterrupt:  # another one, while the first was being told of
        code = INTERRUPTED
    if code == INTERRUPTED:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt but the interpreter's end
    # an interruption that came by an exec(), as dataclasses make theirs, would end ``python -m`` by the signal,
    # whatever is exited with, until another exec() has ended well
    exec("")  # noqa: S102
    gc.freeze()  # what is left goes with the process: the interpreter's end need not look through it
    raise SystemExit(code)


def _open_what_is_closed() -> None:
    """Standard streams that the caller has closed (``>&-``) lead nowhere: no other file gets their numbers."""
    for name in STREAMS:
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, mostly the stream's own
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
