"""The automaton kept on disk, one file per version of phonenumbers, so that it is built once on a machine.

The file is a convenience: one that is missing, damaged or cannot be written costs a second or two, never a
number.  Nothing is trusted that could make the table point outside itself.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np

from dispatcher.campaign.phones.automaton import LONGEST, SYMBOLS, Automaton, build_automaton
from dispatcher.campaign.phones.metadata import Kind
from dispatcher.campaign.phones.numbering import LIBRARY_VERSION

# Counted up whenever the same metadata gives another table.
_FORMAT = 1
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def kept_automaton(folder: Path, build: Callable[[], Automaton] = build_automaton) -> Automaton:
    """The automaton from ``folder``, or a new one, which is then kept there if that is possible.

    Raises UnknownSyntax when there is none and the metadata cannot be compiled.
    """
    file = kept_file(folder)
    with contextlib.suppress(*_UNREADABLE):
        return _load(file)
    automaton = build()
    with contextlib.suppress(OSError):
        _store(automaton, file)
    return automaton


def kept_file(folder: Path) -> Path:
    """Where the automaton of the installed phonenumbers is kept."""
    return folder / f"phones-{LIBRARY_VERSION}-{_FORMAT}.npz"


def _load(file: Path) -> Automaton:
    # A damaged array fails its checksum (BadZipFile).
    with np.load(file, allow_pickle=False) as stored:
        automaton = Automaton(**{field.name: stored[field.name] for field in fields(Automaton)})
    if not _holds_together(automaton):
        raise ValueError(f"{file.name} does not hold an automaton")
    return automaton


def _holds_together(automaton: Automaton) -> bool:
    states, labels, regions = len(automaton.label), len(automaton.verdict), len(automaton.regions)
    shapes = {
        "regions": (np.str_, (regions,)),
        "following": (np.uint16, (states * SYMBOLS,)),
        "label": (np.uint16, (states,)),
        "verdict": (np.uint16, (labels, LONGEST + 1)),
        "drops": (np.bool_, (labels,)),
        "general": (np.bool_, (labels, regions)),
        "trunk": (np.bool_, (labels, regions)),
        "abroad": (np.bool_, (labels, regions)),
    }
    for name, (kind, shape) in shapes.items():
        array = getattr(automaton, name)
        if array.shape != shape or not np.issubdtype(array.dtype, kind) or not array.size:
            return False
    inside = (
        (automaton.following, states),
        (automaton.label, labels),
        (automaton.verdict, 1 + len(Kind) * regions),
    )
    return all(int(array.max()) < limit for array, limit in inside)


def _store(automaton: Automaton, file: Path) -> None:
    """Whole or not at all: other processes may read, or write the same, at this moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as part:
            np.savez_compressed(
                part, **{field.name: getattr(automaton, field.name) for field in fields(Automaton)}
            )
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
