"""The sheets that a report adds to a workbook: how they are told from a person's own.

Like the ``sms_`` columns they are ignored on reading and replaced on writing.  A sheet is one of ours when its name
is one we give and its first cell says so too: what a person happens to call ``sms_bill`` stays that person's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

SUMMARY, BILL = "sms_summary", "sms_bill"
"""What the first cell of our sheets holds, whatever the language."""

SHEET_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        SUMMARY: MappingProxyType({"en": "sms_summary", "it": "sms_riepilogo", "es": "sms_resumen"}),
        BILL: MappingProxyType({"en": "sms_bill", "it": "sms_conto", "es": "sms_cuenta"}),
    }
)
"""By mark and language, what the sheets are called."""

_COPY = re.compile(r"\s*\(?\d{1,3}\)?$")  # "sms_bill 2" is ours, "sms_bill (2)" a copy that Excel made


def may_be_ours(name: str) -> str | None:
    """The mark that a sheet of this name has if it is ours; None for a name that we never give."""
    plain = _COPY.sub("", name.strip().casefold())
    return next((mark for mark, names in SHEET_NAMES.items() if plain in names.values()), None)


def is_mark(name: str, first_cell: object) -> bool:
    """Whether the sheet of this name, with this in A1, is one of ours."""
    mark = may_be_ours(name)
    return mark is not None and isinstance(first_cell, str) and first_cell.strip() == mark
