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
    try:
        from babel.localtime import get_localzone  # it looks at the machine when it is imported, too

        found = name_of(get_localzone())
    except (LookupError, OSError, ValueError):  # TZ may name a file that is no time zone
        found = None
    return found or NOBODY_KNOWS


def name_of(zone: object) -> str | None:
    """The name of a zone of zoneinfo, or of pytz, which Babel prefers where some other package has brought it."""
    names = (getattr(zone, attribute, None) for attribute in ("key", "zone"))
    return next((str(name) for name in names if name and is_zone(str(name))), None)


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
