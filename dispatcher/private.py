"""What holds numbers and texts is for its owner's eyes only."""

from __future__ import annotations

from pathlib import Path

OWNER_ONLY = 0o700


def private_folder(folder: Path) -> None:
    """Make ``folder``, with every folder above it that is missing, so that only its owner may enter.

    ``Path.mkdir(mode, parents=True)`` gives the mode to the last one alone.  A folder that is there keeps its rights:
    a person set them.  Raises OSError.
    """
    if not folder.is_dir() and folder.parent != folder:
        private_folder(folder.parent)
    folder.mkdir(mode=OWNER_ONLY, exist_ok=True)
