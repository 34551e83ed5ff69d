"""The sender a phone shows: 3 to 11 letters, digits and spaces, not only digits.

A missing sender silently becomes the provider's own, "Openapi".  Operators in Spain block senders that are
not registered, so with the default a text to +34 is paid for and never arrives.
"""

from __future__ import annotations

import re

import pyarrow as pa

from dispatcher.campaign.coded import Coded
from dispatcher.campaign.reasons import Reason

_SHORTEST, _LONGEST = 3, 11
_ALLOWED = re.compile(r"[A-Za-z0-9 ]*")
# Countries where a sender of one's own is required, and the name that is nobody's own.
_OWN_SENDER_COUNTRIES = frozenset({"ES"})
_PROVIDER_DEFAULT = "openapi"


def sender_problem(sender: str | None, country: str) -> Reason | None:
    """Why ``sender`` cannot be shown in ``country`` (ISO), or None.  Blanks around it do not count."""
    name = (sender or "").strip()
    if country in _OWN_SENDER_COUNTRIES and name.casefold() in ("", _PROVIDER_DEFAULT):
        return Reason.SENDER_REQUIRED
    if not name:
        return None
    if not _ALLOWED.fullmatch(name):
        return Reason.SENDER_CHARACTERS
    if not _SHORTEST <= len(name) <= _LONGEST:
        return Reason.SENDER_LENGTH
    return Reason.SENDER_NUMERIC if name.replace(" ", "").isdigit() else None


def read_senders(column: pa.Array | None, default: str | None, countries: Coded) -> tuple[Coded, Coded]:
    """Senders (str or None, trimmed) and reasons (Reason or None), one for each country.

    A blank cell, or no column, takes ``default``.  A row without a country is judged as any but Spain.
    """
    fallback = _name(default)
    cells = Coded.same(None, len(countries)) if column is None else Coded.of(column.to_pylist())
    senders = cells.mapped(lambda cell: _name(cell) or fallback)
    pairs = senders.paired(countries)
    return senders, pairs.mapped(lambda pair: sender_problem(pair[0], pair[1] or ""))


def _name(cell: object) -> str | None:
    return (cell.strip() or None) if isinstance(cell, str) else None
