"""Names of files: which are nobody's campaign, and how a file is called once it is taken.

A taken file's name begins with the time (``2026-11-22 07.22.20 clinic.xlsx``): it collides with no other, sorts by
age, and holds nothing that any file system, the ledger or a report would stumble over.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime

SETTINGS_FILE = "campaign.toml"

# on their way, or kept by a program beside a file that is open
_ON_THEIR_WAY = (
    *(".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".filepart", ".opdownload", ".bak"),
    *(
        ".!sync",
        ".!ut",
        ".!qb",
        ".bts",
        ".swp",
        ".swx",
        ".swo",
        ".lock",
        ".icloud",
        ".conflict",
        ".lnk",
        ".url",
    ),
)
_LEFT_BY_SYSTEMS = frozenset({"thumbs.db", "desktop.ini", "icon\r", "ehthumbs.db"})
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d (?:\(\d+\) )?")
_REPORT = re.compile(r"(?:\.simulated)?\.report(?:-\d+)?$", re.IGNORECASE)  # its own report gets the name
# what Windows forbids in a name, and what would act as a path or a line
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]')
_LONGEST = 160  # bytes of the name behind the stamp; reports and notes add theirs, and 255 is the end
_LONGEST_SUFFIX = 10


def is_ignored(name: str) -> bool:
    """Whether a file of this name is never a campaign: hidden, a lock file, a sync client's partial, our own."""
    low = name.lower()
    return (
        low.startswith((".", "~", SETTINGS_FILE))
        or low.endswith(("~", "#", *_ON_THEIR_WAY))
        or low in _LEFT_BY_SYSTEMS
        or ".part-" in low
    )


def plain_name(name: str) -> str:
    """The name a person gave the file: without the stamp of an earlier time in the folder."""
    return _STAMP.sub("", name) or name


def is_stamped(name: str) -> bool:
    """Whether it is the name of a file that was taken once."""
    return _STAMP.match(name) is not None


def stamped_name(name: str, at: datetime, is_taken: Callable[[str], bool]) -> str:
    """The name under which the file is taken at ``at`` (local time).

    ``is_taken`` is asked about stems, since a report or a note beside the file is named after its stem.
    """
    stem, suffix = _safe(plain_name(name))
    stamp = f"{at:%Y-%m-%d %H.%M.%S} "
    n = 1
    while is_taken(chosen := f"{stamp}{f'({n}) ' if n > 1 else ''}{stem}"):
        n += 1
    return f"{chosen}{suffix}"


def stem_of(name: str) -> str:
    """The name without its suffix."""
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def _safe(name: str) -> tuple[str, str]:
    """Stem and suffix with nothing in them that a file system or a database refuses."""
    clean = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).strip(" .") or "file"
    stem = stem_of(clean)
    suffix = clean[len(stem) :]
    if len(suffix.encode()) > _LONGEST_SUFFIX:
        stem, suffix = clean, ""
    stem = _REPORT.sub("", stem)
    shortened = stem.encode()[:_LONGEST].decode(errors="ignore").rstrip(" .")
    return shortened or "file", suffix
