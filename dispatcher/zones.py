"""The clock of this machine, by the name under which every other machine knows it."""

from __future__ import annotations

import os
from zoneinfo import ZoneInfo

NOBODY_KNOWS = "UTC"


def machine_zone() -> str:
    """The machine's time zone, as ``Europe/Rome``; UTC where it has none that has a name."""
    named = (os.environ.get("TZ") or "").removeprefix(":")
    if named and is_zone(named):
        return named
    from babel.localtime import get_localzone  # it looks at the machine when it is imported

    try:
        found = getattr(get_localzone(), "key", None)
    except (LookupError, OSError, ValueError):
        found = None
    return str(found) if found else NOBODY_KNOWS


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
