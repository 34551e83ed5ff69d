"""The columns that hold times: by name, since a date of birth looks like any other date."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from dispatcher.campaign.headings import heading_key
from dispatcher.campaign.sheet import Sheet
from dispatcher.errors import UsageError

_SEND_AT = heading_key("send_at")


def send_at_heading(headings: Sequence[str]) -> str | None:
    """The column called ``send_at``, if there is one."""
    return next((heading for heading in headings if heading_key(heading) == _SEND_AT), None)


def find_heading(sheet: Sheet, wanted: str | None, flag: str) -> str | None:
    """The heading that a person named, in any spelling; None for none.  UsageError ``columns_no_such``."""
    if wanted is None:
        return None
    key = heading_key(wanted)
    alike = [heading for heading in sheet.headings if heading_key(heading) == key]
    found = wanted if wanted in sheet.headings else (alike[0] if len(alike) == 1 else None)
    if found is not None:
        return found
    closest = difflib.get_close_matches(wanted, sheet.headings, n=1, cutoff=0.0)
    raise UsageError(
        "columns_no_such",
        file=sheet.path.name,
        sheet=sheet.name,
        found=wanted,
        flag=flag,
        headings=", ".join(sheet.headings),
        closest=closest[0] if closest else "",
    )
